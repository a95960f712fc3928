//! `tine serve` and `tine demo` as commands: the same options, and what each adds.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tine_worker::files::Files;

use crate::config::{Inputs, Settings};
use crate::demo::data::Size;
use crate::demo::load::Loaded;
use crate::demo::progress::Printer;
use crate::demo::{self, Demo, guide};
use crate::exit::Exit;
use crate::flags;
use crate::terminal;

const SERVE_EXAMPLES: &str = "\
Examples:
  tine serve                                     what ./tine.toml describes
  tine serve --config /etc/tine/tine.toml --workers 8
  tine serve --toolset tools/tickets --port 8080 --allowed-host bots.example
  TINE_TOKEN=\"$(cat token)\" tine serve           accept one bearer token
  tine serve --print-config                      each value, and where it came from

Signals: TERM stops gracefully (a second one quickly), INT and QUIT quickly, HUP reloads configuration and tools,
USR2 executes the binary anew in place, USR1 logs the pool's state, TTIN and TTOU add and remove a worker.

Exit status:
  0 stopped as asked   64 wrong command line   69 can't bind   70 internal fault
  75 workers kept dying before they were ready   78 wrong configuration or tool file";

const DEMO_EXAMPLES: &str = "\
Examples:
  tine demo                                      a temporary one; Ctrl-C leaves nothing behind
  tine demo --port 8010 --workers 2              every option of `tine serve` works
  tine demo --state ~/tine-demo                  keep the data for the next time
  tine demo --size full                          as much data as a large service has

It starts a private PostgreSQL (Debian's package `postgresql` must be installed), fills it with made-up data, serves
a whole service's tools on it, and prints what to paste into curl and into a client's configuration.

Exit status: as `tine serve`, and 2 when PostgreSQL can't be started or filled";

pub fn serve_command() -> Command {
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print every effective value and where it came from, without credentials, and exit");
    flags::all(Command::new("serve"))
        .about("Serve the tools over MCP")
        .arg(print)
        .after_help(SERVE_EXAMPLES)
}

pub fn demo_command() -> Command {
    let state = Arg::new("state")
        .long("state")
        .value_name("FOLDER")
        .value_parser(value_parser!(PathBuf))
        .help("Keep the database here, and find it again [default: a temporary folder]");
    let size = Arg::new("size")
        .long("size")
        .value_parser([Size::Small.name(), Size::Full.name()])
        .default_value(Size::Small.name())
        .help("How much data");
    let seed = Arg::new("seed")
        .long("seed")
        .value_name("NUMBER")
        .value_parser(value_parser!(u64))
        .default_value("1")
        .help("The same seed gives the same data");
    let fresh = Arg::new("fresh")
        .long("fresh")
        .action(ArgAction::SetTrue)
        .help("Make the data anew, even if the folder has it");
    flags::options(Command::new("demo"))
        .about("Try it: a private PostgreSQL, made-up data, a whole service's tools")
        .args([state, size, seed, fresh])
        .after_help(DEMO_EXAMPLES)
}

pub fn serve(matches: &ArgMatches) -> Exit {
    let inputs = flags::inputs(matches);
    if let Some(exit) = crate::serve::ordered(&inputs) {
        return exit;
    }
    let files = Files::disk();
    let settings = match flags::settings(matches, &files) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    if matches.get_flag("print-config") {
        return terminal::print(&settings.dump()).map_or(Exit::Internal, |()| Exit::Clean);
    }
    terminal::print_faults(settings.no_tools().as_ref());
    let program = crate::serve::program();
    crate::serve::run(inputs, settings, &files, program, |_, _| ())
}

pub fn demo(matches: &ArgMatches) -> Exit {
    // Flags and variables are checked before the database takes its time. The demo writes the file itself.
    let no_file = Inputs {
        file: Some("/dev/null".into()),
        ..flags::inputs(matches)
    };
    if let Err(error) = Settings::load(&no_file, &Files::disk()) {
        terminal::print_config_error(&error);
        return error.exit();
    }
    let state = matches.get_one::<PathBuf>("state").cloned();
    let options = demo::Options {
        state: state.clone(),
        size: match matches.get_one::<String>("size") {
            Some(name) if name == Size::Full.name() => Size::Full,
            _ => Size::Small,
        },
        seed: matches.get_one::<u64>("seed").copied().unwrap_or(1),
        fresh: matches.get_flag("fresh"),
    };
    let printer = Printer::default();
    let demo = match demo::prepare(&options, &mut |progress| printer.print(progress)) {
        Ok(demo) => demo,
        Err(error) => {
            terminal::print_error(error.to_string());
            return Exit::Unreachable;
        }
    };
    if let Loaded::Before { days } = demo.loaded() {
        eprintln!("the data from {days} days ago is still there (--fresh makes it anew)");
    }
    let inputs = Inputs {
        file: Some(demo.config().to_owned()),
        ..flags::inputs(matches)
    };
    let files = Files::disk();
    let exit = match Settings::load(&inputs, &files) {
        // Another process can't take over a database that is this one's child.
        Ok(settings) => crate::serve::run(inputs, settings, &files, None, |settings, place| {
            present(settings, place, state)
        }),
        Err(error) => {
            terminal::print_config_error(&error);
            error.exit()
        }
    };
    stop(demo, exit)
}

/// Prints what to paste into clients. `place` is where the server listens.
fn present(settings: &Settings, place: &str, state: Option<PathBuf>) {
    // A name that clients can use, where the configuration knows one: nobody connects to 0.0.0.0.
    let url = settings.url().unwrap_or_else(|_| place.to_owned());
    let state = state.map(|folder| folder.display().to_string());
    // The server serves all the same when nobody reads this.
    let _ = terminal::print(&format!("\n{}\n", guide::guide(&url, state.as_deref())));
}

fn stop(demo: Demo, exit: Exit) -> Exit {
    match demo.stop() {
        Ok(()) => exit,
        Err(error) => {
            terminal::print_error(error.to_string());
            Exit::Internal
        }
    }
}
