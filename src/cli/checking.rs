//! `tine check` as a command: connects to the databases and shows what [`crate::check`] finds.

use std::collections::BTreeMap;
use std::io;

use clap::{Arg, ArgAction, ArgMatches, Command};
use postgres::Client;
use tine_worker::files::Files;

use crate::config::Settings;
use crate::config::database::Database;
use crate::exit::Exit;
use crate::flags;
use crate::{check, parts, terminal};

const EXAMPLES: &str = "\
Examples:
  tine check                                     every tool that ./tine.toml names, with its database
  tine check --toolset tools/tickets             one folder
  tine check --offline                           the files alone
  tine check --json | jq '.faults[].message'

With a database it prepares every variant of every statement, compares types, proves that a tool which says it
reads holds no write, and runs the examples; whatever they write is rolled back.

Exit status:
  0 nothing is wrong (there may be warnings)   1 something is wrong   2 a database can't be reached
  64 wrong command line   78 wrong configuration";

pub fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    flags::common(Command::new("check"))
        .about("Prove the tool files, with their databases")
        .arg(switch(
            "offline",
            "Check the files alone, without a database",
        ))
        .arg(switch("no-examples", "Don't run the examples"))
        .arg(switch("json", "Print the report as a JSON object"))
        .after_help(EXAMPLES)
}

pub fn run(matches: &ArgMatches) -> Exit {
    let files = Files::disk();
    let settings = match flags::settings(matches, &files) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    if let Some(fault) = settings.no_tools() {
        terminal::print_faults([&fault]);
        return Exit::Configuration;
    }
    let (catalog, mut faults) = parts::catalog(&settings, &files);
    faults.extend(parts::unknown_toolsets(&settings, &catalog));
    let mut databases = if matches.get_flag("offline") {
        BTreeMap::new()
    } else {
        connections(&settings, &files)
    };
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let options = check::Options {
        examples: !matches.get_flag("no-examples"),
        host: host.unwrap_or_default(),
        ..check::Options::default()
    };
    let report = check::run(&catalog, faults, &mut databases, &options);
    let text = match matches.get_flag("json") {
        true => format!("{:#}\n", report.to_json()),
        false => report.render(terminal::colour(&io::stdout())),
    };
    if let Err(error) = terminal::print(&text) {
        terminal::print_error(format!("can't write the report: {error}"));
        return Exit::Internal;
    }
    match (databases.values().any(Result::is_err), report.failed()) {
        (true, _) => Exit::Unreachable,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Clean,
    }
}

/// A connection to each database, or why there is none.
fn connections(settings: &Settings, files: &Files) -> BTreeMap<String, Result<Client, String>> {
    let databases = settings.databases.iter();
    databases
        .map(|database| (database.name.clone(), connect(settings, database, files)))
        .collect()
}

fn connect(settings: &Settings, database: &Database, files: &Files) -> Result<Client, String> {
    let url = database
        .url
        .as_ref()
        .map_err(|fault| fault.message.clone())?;
    let database =
        parts::database(settings, database, url, files).map_err(|error| error.to_string())?;
    database.connect_blocking("tine check")
}
