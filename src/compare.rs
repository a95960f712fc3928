//! `tine compare --against URL`: the same reading calls to two servers, and where their answers differ. Asks; what to ask, what
//! an answer says and what counts as a difference is below.

mod answer;
mod calls;
mod difference;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;
use tine_worker::files::Files;

use crate::client::retry::{Effect, Retry};
use crate::client::{Address, Client};
use crate::exit::Exit;
use crate::target::{self, TargetError};
use crate::{flags, terminal};
use answer::Answer;
use calls::{Call, Plan};
use difference::{Pattern, Rules};
use report::{Compared, Report, Side};

const EXAMPLES: &str = "\
Examples:
  tine compare --against http://127.0.0.1:8001/swf-monitor/mcp/      with the server that ./tine.toml describes
  tine compare --against http://old.example/mcp --url http://127.0.0.1:8000/mcp --calls calls.jsonl
  tine compare --against URL swf_list_agents --ignore '**.timestamp' --unordered swf_list_agents:agents
  tine compare --against URL --json | jq '.calls[] | select(.equal | not)'

Calls are those of FILE, a line each: {\"tool\": \"swf_get_agent\", \"arguments\": {\"name\": \"daq\"}}. Without FILE they are the examples of
the tool files, and one call without arguments of each tool that needs none. Only tools that say they read only are called.

A text that is JSON is compared as JSON, whatever its spaces and the order of its keys; a number is the same only digit for digit.
A result with an `error` key counts as a failure like isError. Of two failures the wording is compared only with --messages.
Data changes: what differs is asked again, and is a difference only if it differs every time.

PATH is keys and positions with dots between, such as items.0.name; * is any one of them, ** any number, and TOOL: before it
limits it to one tool. What is below an ignored place is ignored too.

Exit status:
  0 all answers are alike   1 something differs, or there was nothing to call   2 a server can't be reached
  64 wrong command line or file of calls   78 wrong configuration or tool file";

pub fn command() -> Command {
    let against = Arg::new("against")
        .long("against")
        .value_name("URL")
        .required(true)
        .value_parser(Address::parse)
        .help("The other server (\"there\")");
    let url = target::url_flag().help(
        "The one server (\"here\") [default: the running one that the configuration describes]",
    );
    let other_token = Arg::new("against-token-file")
        .long("against-token-file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("File with the bearer token for the other server [default: none is sent there]");
    let calls = Arg::new("calls")
        .long("calls")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Send these calls, one JSON object a line");
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .action(ArgAction::Append)
            .value_parser(Pattern::parse)
            .help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let command = Command::new("compare")
        .about("Send the same reading calls to two servers and show where answers differ")
        .arg(
            Arg::new("tool")
                .value_name("TOOL")
                .action(ArgAction::Append)
                .help("Only these tools"),
        )
        .args([against, url, target::token_flag(), other_token, calls])
        .arg(path(
            "ignore",
            "Don't compare this part of an answer; may be repeated",
        ))
        .arg(path(
            "unordered",
            "The order of this list doesn't count; may be repeated",
        ))
        .arg(switch("messages", "Compare the wording of failures too"))
        .arg(
            Arg::new("tries")
                .long("tries")
                .value_name("NUMBER")
                .default_value("3")
                .value_parser(value_parser!(u32).range(1..=100))
                .help("Ask so often before a difference counts"),
        )
        .arg(target::timeout_flag(
            "30s",
            "How long to wait for each answer",
        ))
        .arg(target::retries_flag())
        .arg(switch("json", "Print one JSON object instead of the text"));
    flags::common(command).after_help(EXAMPLES)
}

pub fn run(matches: &ArgMatches) -> Exit {
    let report = match compare(matches) {
        Ok(report) => report,
        Err(exit) => return exit,
    };
    let text = match matches.get_flag("json") {
        true => format!("{:#}\n", report.json()),
        false => report.text(),
    };
    if let Err(error) = terminal::print(&text) {
        terminal::print_error(format!("can't write the report: {error}"));
        return Exit::Internal;
    }
    if report.is_empty() {
        terminal::print_error(
            "there was nothing to call: give calls with --calls, or examples in the tool files",
        );
        return Exit::Failed;
    }
    match report.is_alike() {
        true => Exit::Clean,
        false => Exit::Failed,
    }
}

/// Asks both servers everything. `Err` when the reason has been printed.
fn compare(matches: &ArgMatches) -> Result<Report, Exit> {
    let files = Files::disk();
    let settings = flags::settings(matches, &files)?;
    let told = |error: TargetError| error.report();
    let address = match matches.get_one::<Address>("url") {
        Some(address) => address.clone(),
        None => target::running(&settings).map_err(|error| told(TargetError::Config(error)))?,
    };
    let here = target::client(matches, address).map_err(told)?;
    let there = other(matches).map_err(told)?;
    let given = match matches.get_one::<PathBuf>("calls") {
        Some(path) => calls::of_file(path).map_err(|message| {
            terminal::print_error(message);
            Exit::Usage
        })?,
        None => {
            let (calls, faults) = calls::of_examples(&settings, &files);
            terminal::print_faults(&faults);
            calls
        }
    };
    let patterns = |name: &str| -> Vec<Pattern> {
        let given = matches.get_many::<Pattern>(name).unwrap_or_default();
        given.cloned().collect()
    };
    let rules = Rules {
        ignored: patterns("ignore"),
        unordered: patterns("unordered"),
        messages: matches.get_flag("messages"),
    };
    let only: Option<BTreeSet<String>> = matches
        .get_many::<String>("tool")
        .map(|names| names.cloned().collect());
    let tries = matches.get_one::<u32>("tries").copied().unwrap_or(1);
    let retry = target::retry(matches);

    let list = |client: &Client| {
        target::insist(retry, Effect::Reads, || client.tools())
            .map_err(|error| told(TargetError::Server(error)))
    };
    let plan = Plan::new(&list(&here)?, &list(&there)?, given, only.as_ref());
    let mut here = Server::new(here, retry);
    let mut there = Server::new(there, retry);
    let mut compared = Vec::new();
    // Who is asked second finds the database's pages in memory: each is so half of the time.
    let mut here_first = true;
    for call in plan.calls {
        here_first = !here_first;
        compared.push(pair(
            call, &mut here, &mut there, here_first, &rules, tries,
        )?);
    }
    Ok(Report {
        compared,
        one_sided: plan.one_sided,
        not_called: plan.not_called,
        here: here.side(),
        there: there.side(),
    })
}

/// The other server, with its own token or none: ours is nothing for a stranger.
fn other(matches: &ArgMatches) -> Result<Client, TargetError> {
    // clap has made sure of it.
    let address = matches.get_one::<Address>("against").cloned();
    let address = address.unwrap_or_else(|| Address::http(String::new()));
    let token = matches
        .get_one::<PathBuf>("against-token-file")
        .map(|path| target::read_token(path))
        .transpose()?
        .map(|token| token.trim().to_owned());
    Ok(Client::new(address, token, target::timeout(matches)))
}

/// One server, and how long its answers took.
struct Server {
    client: Client,
    retry: Retry,
    times: Vec<std::time::Duration>,
}

impl Server {
    fn new(client: Client, retry: Retry) -> Server {
        Server {
            client,
            retry,
            times: Vec::new(),
        }
    }

    fn ask(&mut self, call: &Call) -> Result<Answer, Exit> {
        let (client, times) = (&self.client, &mut self.times);
        let send = || {
            let start = Instant::now();
            let answer = client.call(&call.tool, &call.arguments);
            times.push(start.elapsed());
            answer
        };
        Answer::of(target::insist(self.retry, Effect::Reads, send))
            .map_err(|error| TargetError::Server(error).report())
    }

    fn side(self) -> Side {
        Side {
            address: self.client.address().to_string(),
            times: self.times,
        }
    }
}

/// One call to both, up to `tries` times: what differs only once was a change of the data between the two.
fn pair(
    call: Call,
    here: &mut Server,
    there: &mut Server,
    here_first: bool,
    rules: &Rules,
    tries: u32,
) -> Result<Compared, Exit> {
    let mut number = 1;
    loop {
        let (one, other) = if here_first {
            let one = here.ask(&call)?;
            (one, there.ask(&call)?)
        } else {
            let other = there.ask(&call)?;
            (here.ask(&call)?, other)
        };
        let found = rules.between(&call.tool, &one, &other);
        if found.is_none() || number >= tries {
            return Ok(Compared {
                call,
                status: (one.status(), other.status()),
                found,
            });
        }
        number += 1;
    }
}

/// The name of a tool in a list.
fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}
