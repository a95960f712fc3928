//! `tine tools`: the tools as a client sees them, one in detail, or what differs from a running server.

mod describe;
mod difference;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::client::Address;
use crate::client::retry::Retry;
use crate::exit::Exit;
use crate::fault::nearest;
use crate::target::{self, Target};
use crate::{flags, terminal};

const EXAMPLES: &str = "\
Examples:
  tine tools                                        one line a tool
  tine tools swf_list_logs                          one in detail
  tine tools --running                              what the running server lists
  tine tools --diff http://127.0.0.1:8000/mcp       what differs: - there, + here
  tine tools --json | jq '.[].name'

Exit status:
  0 done, and nothing differs   1 something differs, or there is no such tool   2 the server can't be reached
  64 wrong command line   78 wrong configuration or tool file";

pub fn command() -> Command {
    let command = Command::new("tools")
        .about("List the tools, show one, or compare them with a running server")
        .arg(
            Arg::new("tool")
                .value_name("TOOL")
                .help("Show this tool in detail"),
        )
        .arg(
            Arg::new("diff")
                .long("diff")
                .value_name("URL")
                .value_parser(Address::parse)
                .conflicts_with_all(["url", "running", "tool"])
                .help("Compare with the tools of the server at this URL"),
        )
        .arg(
            Arg::new("names")
                .long("names")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["diff", "json", "tool"])
                .help("Print names only"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print the definitions as JSON: an array, or one object with TOOL"),
        );
    flags::common(target::server_flags(command)).after_help(EXAMPLES)
}

pub fn run(matches: &ArgMatches) -> Exit {
    let target = match target::choose(matches, None) {
        Ok(target) => target,
        Err(exit) => return exit,
    };
    let tools = match target.tools(Retry::NEVER) {
        Ok(tools) => tools,
        Err(error) => return error.report(),
    };
    if let Some(url) = matches.get_one::<Address>("diff") {
        return compare(matches, url.clone(), &tools);
    }
    let json = matches.get_flag("json");
    let text = match matches.get_one::<String>("tool") {
        Some(name) => match find(&tools, name) {
            Some(tool) if json => format!("{tool:#}\n"),
            Some(tool) => describe::tool(tool),
            None => return target.without_tool(),
        },
        None if matches.get_flag("names") => describe::names(&tools),
        None if json => format!("{:#}\n", Value::Array(tools)),
        None => describe::list(&tools),
    };
    print(&text, target.exit())
}

fn print(text: &str, exit: Exit) -> Exit {
    match terminal::print(text) {
        Ok(()) => exit,
        Err(error) => {
            terminal::print_error(format!("can't write the list: {error}"));
            Exit::Internal
        }
    }
}

fn find<'t>(tools: &'t [Value], name: &str) -> Option<&'t Value> {
    let found = tools.iter().find(|tool| describe::name(tool) == name);
    if found.is_none() {
        let near = nearest(name, tools.iter().map(describe::name))
            .map(|near| format!("; did you mean {near}?"));
        terminal::print_error(format!(
            "there is no tool {name}{}",
            near.unwrap_or_default()
        ));
    }
    found
}

fn compare(matches: &ArgMatches, url: Address, here: &[Value]) -> Exit {
    let there = match target::client(matches, url)
        .map(Target::Server)
        .and_then(|server| server.tools(Retry::NEVER))
    {
        Ok(there) => there,
        Err(error) => return error.report(),
    };
    let lines = difference::difference(&there, here);
    if matches.get_flag("json") {
        let text = format!("{:#}\n", difference::json(&lines));
        return print(
            &text,
            if lines.is_empty() {
                Exit::Clean
            } else {
                Exit::Failed
            },
        );
    }
    match lines.is_empty() {
        true => print(
            &format!("{} tools, nothing differs\n", here.len()),
            Exit::Clean,
        ),
        false => print(&difference::text(&lines), Exit::Failed),
    }
}
