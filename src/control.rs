//! `tine status`, `tine reload`, `tine upgrade` and `tine stop`: one order each to a running server's master, and how it ended.
//! What an order does is the master's affair.

pub mod place;
mod talk;

use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use crate::exit::Exit;
use crate::flags;
use crate::{target, terminal};
use talk::{Line, Talk, TalkError};

const STATUS_EXAMPLES: &str = "\
Examples:
  tine status                                    the server that ./tine.toml describes
  tine status --config /etc/tine/swf.toml        the service tine@swf
  tine status --json | jq '.workers[].phase'     the fields of GET /health, and the master's
  tine status --control /run/user/1000/tine/swf/control

Exit status:
  0 shown   1 refused   2 no server answers   64 wrong command line";

const RELOAD_EXAMPLES: &str = "\
Examples:
  tine reload                                    the server that ./tine.toml describes
  tine reload --config /etc/tine/swf.toml        the service tine@swf

It does what SIGHUP does, waits for the outcome, and prints it.

Exit status:
  0 done   1 refused, and why; the server goes on as before   2 no server answers, or no outcome in time
  64 wrong command line";

const UPGRADE_EXAMPLES: &str = "\
Examples:
  tine upgrade --config /etc/tine/swf.toml       after the binary was replaced

It does what SIGUSR2 does, waits for the outcome, and prints it.

Exit status:
  0 done   1 refused, and why; the server goes on as before   2 no server answers, or no outcome in time
  64 wrong command line";

const STOP_EXAMPLES: &str = "\
Examples:
  tine stop                                      the server that ./tine.toml describes
  tine stop --quick                              without waiting for requests in flight

It does what SIGTERM does (--quick: SIGQUIT), and waits until the server's master is gone.
Stop a service with `systemctl stop` rather, which knows then that it was meant to stop.

Exit status:
  0 gone   1 refused, or it left with an error   2 no server answers, or it isn't gone in time
  64 wrong command line";

/// The commands.
pub fn commands() -> [Command; 4] {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    [
        command("status", "5s")
            .about("Show a running server, worker by worker")
            .arg(switch("json", "Print a JSON object"))
            .after_help(STATUS_EXAMPLES),
        command("reload", "60s")
            .about("Let a running server take its changed configuration and tools")
            .after_help(RELOAD_EXAMPLES),
        command("upgrade", "60s")
            .about("Let a running server become its changed binary")
            .after_help(UPGRADE_EXAMPLES),
        command("stop", "60s")
            .about("Stop a running server, and wait until it is gone")
            .arg(switch("quick", "Don't wait for requests in flight"))
            .after_help(STOP_EXAMPLES),
    ]
}

fn command(name: &'static str, timeout: &'static str) -> Command {
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("SPAN")
        .default_value(timeout)
        .value_parser(target::span)
        .help("How long to wait for the outcome; the server goes on with it");
    flags::some(Command::new(name), &["control"]).arg(timeout)
}

/// Runs the command of this name.
pub fn run(name: &str, matches: &ArgMatches) -> Exit {
    let (path, owner) = place::find(&flags::inputs(matches));
    let timeout = matches.get_one::<Duration>("timeout").copied();
    let deadline = Instant::now() + timeout.unwrap_or_default();
    let flag = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
    let order = match (name, flag("quick")) {
        ("stop", true) => "stop quick",
        _ => name,
    };
    // Only the master there knows whether it is the one that is meant.
    let meant = owner.map_or_else(String::new, |owner| format!("\t{owner}"));
    match ask(&path, &format!("{order}{meant}"), deadline) {
        Ok(Answer {
            ok: true, fields, ..
        }) if flag("json") => print(&format!("{:#}\n", Value::Object(fields))),
        Ok(Answer { ok: true, text, .. }) => print(&format!("{text}\n")),
        Ok(Answer { text, .. }) => {
            terminal::print_error(text);
            Exit::Failed
        }
        Err(error) => {
            terminal::print_error(error.to_string());
            Exit::Unreachable
        }
    }
}

struct Answer {
    ok: bool,
    text: String,
    fields: Map<String, Value>,
}

/// Gives the order, prints how it goes on, and returns how it ended.
fn ask(path: &Path, order: &str, deadline: Instant) -> Result<Answer, TalkError> {
    let mut talk = Talk::begin(path, order, deadline)?;
    loop {
        match talk.line()? {
            Line::Progress(text) => eprintln!("{text}"),
            Line::Done { ok, text, fields } => {
                if ok && order.starts_with("stop") {
                    talk.until_end()?;
                }
                return Ok(Answer { ok, text, fields });
            }
        }
    }
}

fn print(text: &str) -> Exit {
    terminal::print(text).map_or(Exit::Internal, |()| Exit::Clean)
}
