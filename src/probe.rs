//! `tine probe`: asks a running server three questions, says in one line how it is, and may have systemd restart it. Puts
//! the parts together; each of them is below.

mod history;
mod policy;
mod show;
mod steps;
mod systemctl;
mod unit;
mod watchdog;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tine_worker::files::Files;

use crate::client::{Address, Client};
use crate::config::Settings;
use crate::config::kind::Kind;
use crate::config::value::Value;
use crate::exit::Exit;
use crate::{flags, serve, target, terminal};
use history::History;
use policy::{Limit, Rules};
use show::Report;
use steps::{Failure, Question};
use systemctl::Systemctl;
use watchdog::Watchdog;

/// Tries before a probe counts as failed when a restart may follow: one lost packet must not restart a service.
const TRIES_BEFORE_RESTART: u32 = 3;

/// The options that tell where a server is.
const PLACE: [&str; 5] = ["host", "port", "uds", "fd", "paths"];

const EXAMPLES: &str = "\
Examples:
  tine probe                                     the server that ./tine.toml describes
  tine probe --url http://127.0.0.1:8001/swf-monitor/mcp/ --health /swf-monitor/api/mcp-health/
  tine probe --url 'unix:/run/tine/swf/socket|http://localhost/mcp' --json
  tine probe --config /etc/tine/swf.toml --restart tine@swf.service

It asks for the health, then initialize (with --modern server/discover), then tools/list,
each on a connection of its own and within --timeout.

With --restart it has systemd restart the unit after --tries failed probes, unless the unit
starts, stops or reloads, has not settled, is stopped and not enabled, or was restarted too
often. Never for what a restart would not change: a server that says what it lacks (503), or
that refuses the question (401, 403, 404).

Exit status, also when a restart was ordered:
  0 healthy   1 it answered, but not as a healthy server   2 no answer, or not in time
  64 wrong command line   78 wrong configuration";

pub fn command() -> Command {
    let health = Arg::new("health")
        .long("health")
        .value_name("PATH")
        .default_value(serve::HEALTH)
        .value_parser(path)
        .help("Path of the health check at the same host and port");
    let modern = Arg::new("modern")
        .long("modern")
        .action(ArgAction::SetTrue)
        .help("Ask as a client of the protocol 2026-07-28 does");
    let min_tools = Arg::new("min-tools")
        .long("min-tools")
        .value_name("NUMBER")
        .default_value("1")
        .value_parser(value_parser!(usize))
        .help("A server that lists fewer tools has failed");
    let tries = Arg::new("tries")
        .long("tries")
        .value_name("NUMBER")
        .value_parser(value_parser!(u32).range(1..=100))
        .help("Probes that must fail in a row [default: 1, with --restart 3]");
    let pause = Arg::new("pause")
        .long("pause")
        .value_name("SPAN")
        .default_value("2s")
        .value_parser(pause)
        .help("Wait so long before the next try");
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print one JSON object instead of the line");
    let timeout = target::timeout_flag("5s", "How long each of the three questions may take");
    let asking = [target::url_flag(), target::token_flag(), timeout, health];
    flags::config(Command::new("probe"))
        .about("Ask a running server whether it works; restart it if not")
        .args(asking)
        .args([modern, min_tools, tries, pause, json])
        .args(restart_flags())
        .after_help(EXAMPLES)
}

fn restart_flags() -> [Arg; 5] {
    let restart = Arg::new("restart")
        .long("restart")
        .value_name("UNIT")
        .value_parser(unit::name)
        .help("Have systemd restart this service when the probe fails");
    let settle = Arg::new("settle")
        .long("settle")
        .value_name("SPAN")
        .default_value("30s")
        .value_parser(pause)
        .help("Leave the unit alone for so long after its state changed, such as after its start");
    let limit = Arg::new("restart-limit")
        .long("restart-limit")
        .value_name("NUMBER/SPAN")
        .default_value("3/15m")
        .value_parser(restart_limit)
        .help("Order at most so many restarts within so long");
    let state = Arg::new("state")
        .long("state")
        .value_name("FOLDER")
        .value_parser(value_parser!(PathBuf))
        .help("Where to remember restarts [default: systemd's RuntimeDirectory or StateDirectory, else /run/tine-watchdog]");
    let systemctl = Arg::new("systemctl")
        .long("systemctl")
        .value_name("FILE")
        .default_value("/usr/bin/systemctl")
        .value_parser(value_parser!(PathBuf))
        .help("The program that asks and orders systemd");
    let [settle, limit, state, systemctl] =
        [settle, limit, state, systemctl].map(|flag| flag.requires("restart"));
    [restart, settle, limit, state, systemctl].map(|flag| flag.help_heading("Restarting"))
}

pub fn run(matches: &ArgMatches) -> Exit {
    let (client, watchdog) = match parts(matches) {
        Ok(parts) => parts,
        Err(exit) => return exit,
    };
    let question = Question {
        client: &client,
        health: text(matches, "health"),
        min_tools: matches.get_one("min-tools").copied().unwrap_or(1),
    };
    let tries = matches.get_one::<u32>("tries").copied();
    let tries = tries.unwrap_or(if watchdog.is_some() {
        TRIES_BEFORE_RESTART
    } else {
        1
    });
    let mut report = Report::of(steps::insist(tries, span(matches, "pause"), || {
        question.ask()
    }));
    if let (Some(watchdog), Some(failure)) = (&watchdog, report.failure()) {
        let (again, restart) = watchdog.act(failure, || {
            steps::insist(1, Duration::ZERO, || question.ask())
        });
        report.amend(again, watchdog.unit(), restart);
    }
    let json = matches.get_flag("json");
    match terminal::print(&report.text(client.address(), json)) {
        Ok(()) => exit(report.failure()),
        Err(error) => {
            terminal::print_error(format!("can't write the result: {error}"));
            Exit::Internal
        }
    }
}

fn exit(failure: Option<&Failure>) -> Exit {
    match failure {
        None => Exit::Clean,
        Some(failure) if failure.answered => Exit::Failed,
        Some(_) => Exit::Unreachable,
    }
}

/// Whom to ask, and what may restart it. The reason for a failure has been printed.
fn parts(matches: &ArgMatches) -> Result<(Client, Option<Watchdog>), Exit> {
    let address = match matches.get_one::<Address>("url") {
        // The configuration has nothing to say then, and may be wrong.
        Some(address) => address.clone(),
        None => {
            let inputs = flags::inputs(matches);
            // A running server needs no watchdog less because its file has a fault since, or names what only it can read.
            let settings = Settings::part(&PLACE, &inputs, &Files::disk());
            let address = settings.and_then(|settings| target::running(&settings));
            address.map_err(|error| {
                terminal::print_config_error(&error);
                Exit::Configuration
            })?
        }
    };
    let client = target::client(matches, address).map_err(|error| error.report())?;
    let client = client.looking();
    let client = match matches.get_flag("modern") {
        true => client.modern(),
        false => client,
    };
    Ok((client, watchdog(matches)?))
}

fn watchdog(matches: &ArgMatches) -> Result<Option<Watchdog>, Exit> {
    let Some(unit) = matches.get_one::<String>("restart") else {
        return Ok(None);
    };
    let rules = Rules {
        settle: span(matches, "settle"),
        limit: matches
            .get_one::<Limit>("restart-limit")
            .copied()
            .unwrap_or_default(),
    };
    let folder = matches.get_one::<PathBuf>("state").cloned();
    // Found out now, and not when the restart is needed.
    let history = folder
        .map_or_else(history::folder, Ok)
        .and_then(|folder| History::open(&folder, unit))
        .map_err(|error| {
            terminal::print_error(error.to_string());
            Exit::Configuration
        })?;
    let program = matches.get_one::<PathBuf>("systemctl").cloned();
    let systemctl = Systemctl::new(program.unwrap_or_default());
    Ok(Some(Watchdog::new(unit, systemctl, history, rules)))
}

fn text<'m>(matches: &'m ArgMatches, flag: &str) -> &'m str {
    matches
        .get_one::<String>(flag)
        .map(String::as_str)
        .unwrap_or_default()
}

fn span(matches: &ArgMatches, flag: &str) -> Duration {
    matches
        .get_one::<Duration>(flag)
        .copied()
        .unwrap_or_default()
}

/// A time span that may be nothing.
fn pause(text: &str) -> Result<Duration, String> {
    let kind = Kind::Span {
        min: Duration::ZERO,
        max: Duration::from_secs(3600),
    };
    kind.parse_texts(&[text.to_owned()], false).map(Value::span)
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("expected a path such as /health".to_owned()),
    }
}

/// `3/15m`: at most 3 restarts within 15 minutes. `0/1h` never restarts.
fn restart_limit(text: &str) -> Result<Limit, String> {
    let parts = text.split_once('/');
    let parsed = parts.and_then(|(count, window)| {
        let count = count.trim().parse().ok()?;
        Some(Limit {
            count,
            window: target::span(window).ok()?,
        })
    });
    parsed
        .filter(|limit| limit.count <= history::LONGEST)
        .ok_or_else(|| {
            format!(
                "expected a number up to {} and a time span, as 3/15m",
                history::LONGEST
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_a_span() {
        let limit = restart_limit("3/15m").unwrap();
        assert_eq!((limit.count, limit.window), (3, Duration::from_secs(900)));
        assert_eq!(restart_limit("0/60").unwrap().count, 0);
        for text in ["3", "3/", "/15m", "-1/15m", "3/0s", "1000/1h", "3/15m/2"] {
            assert!(restart_limit(text).is_err(), "{text}");
        }
    }
}
