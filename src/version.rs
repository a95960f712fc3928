//! `tine version`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::exit::Exit;
use crate::terminal;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn command() -> Command {
    Command::new("version")
        .about("Print the version")
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print a JSON object"),
        )
        .after_help("Examples:\n  tine version\n  tine version --json")
}

pub fn run(matches: &ArgMatches) -> Exit {
    let text = match matches.get_flag("json") {
        true => format!("{}\n", json!({ "name": "tine", "version": VERSION })),
        false => format!("tine {VERSION}\n"),
    };
    terminal::print(&text).map_or(Exit::Internal, |()| Exit::Clean)
}
