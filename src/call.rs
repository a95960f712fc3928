//! `tine call TOOL key=value...`: one call, in a running server or straight from the tool's file.

mod arguments;
mod show;

use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::client::retry::Retry;
use crate::exit::Exit;
use crate::fault::nearest;
use crate::target::{self, Target, TargetError};
use crate::{flags, terminal};
use arguments::Argument;

const EXAMPLES: &str = "\
Examples:
  tine call swf_list_logs level=ERROR app_name=daq   straight from the tool's file and the database
  tine call swf_get_agent name=daq --running        in the running server that tine.toml describes
  tine call swf_list_agents --url http://127.0.0.1:8001/swf-monitor/mcp/
  tine call add_note text=@note.md tags:='[\"a\"]'    a file's content; JSON as it stands
  tine call swf_list_logs level=ERROR --json | jq .structuredContent
  tine call swf_list_agents --url http://127.0.0.1:8000/mcp --retries 8 --timeout 60s   from cron, across a restart

Arguments:
  KEY=TEXT     converted to the type that the tool's schema says; a list may be given as repeated keys
  KEY=@FILE    the same, from a file
  KEY:=JSON    as it stands (also KEY:=@FILE)

A call to a server that can't be connected to, or that says it is full, is sent again after a pause: --retries times, and not
later than --timeout after the first time. What was sent and had no answer is sent again only if the tool says that it reads only.
Each retry is said on standard error.

Exit status:
  0 the tool answered   1 the tool says it failed, or there is no such tool   2 server or database can't be reached
  64 wrong command line   78 wrong configuration or tool file";

pub fn command() -> Command {
    let command = Command::new("call")
        .about("Call one tool and print its result")
        .arg(Arg::new("tool").value_name("TOOL").required(true).help("Name of the tool"))
        .arg(
            Arg::new("arguments")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .help("Arguments of the tool"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print the whole result object as one line of JSON"),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME")
                .conflicts_with_all(["url", "running"])
                .help("Call as this user (for tools that ask who calls); a server takes it from the token"),
        );
    let command = target::server_flags(command).arg(target::retries_flag());
    flags::common(command).after_help(EXAMPLES)
}

pub fn run(matches: &ArgMatches) -> Exit {
    let words = matches.get_many::<String>("arguments").unwrap_or_default();
    let given: Vec<Argument> = match words.map(|word| Argument::parse(word)).collect() {
        Ok(given) => given,
        Err(message) => {
            terminal::print_error(message);
            return Exit::Usage;
        }
    };
    let tool = matches
        .get_one::<String>("tool")
        .map(String::as_str)
        .unwrap_or_default();
    let target = match target::choose(matches, matches.get_one::<String>("user").cloned()) {
        Ok(target) => target,
        Err(exit) => return exit,
    };
    match call(&target, target::retry(matches), tool, given) {
        Ok(Some(result)) => show(&result, matches.get_flag("json")),
        Ok(None) => target.without_tool(),
        Err(error) => error.report(),
    }
}

/// The result; `None` when there is no such tool, which has been said.
fn call(
    target: &Target,
    retry: Retry,
    name: &str,
    given: Vec<Argument>,
) -> Result<Option<Value>, TargetError> {
    let tools = target.tools(retry)?;
    let named = |tool: &&Value| tool.get("name").and_then(Value::as_str) == Some(name);
    let Some(tool) = tools.iter().find(named) else {
        let names = tools.iter().filter_map(|tool| tool.get("name")?.as_str());
        let near = nearest(name, names)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        terminal::print_error(format!(
            "there is no tool {name}{near} (`tine tools` lists them)"
        ));
        return Ok(None);
    };
    let (arguments, unknown) = arguments::arguments(given, tool.get("inputSchema"));
    for key in unknown {
        terminal::print_warning(format!(
            "{name} has no parameter {key}; a server ignores it"
        ));
    }
    let effect = target::effect(tool);
    target
        .call(retry, effect, name, &Value::Object(arguments))
        .map(Some)
}

fn show(result: &Value, json: bool) -> Exit {
    let text = match json {
        true => format!("{result}\n"),
        false => show::content(result, io::stdout().is_terminal()),
    };
    if let Err(error) = terminal::print(&text) {
        terminal::print_error(format!("can't write the result: {error}"));
        return Exit::Internal;
    }
    if show::is_error(result) {
        Exit::Failed
    } else {
        Exit::Clean
    }
}
