//! `tine token`: makes a bearer token. The token goes to the person, only its hash to the file.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::config::token::{generate, hash, hex};
use crate::exit::Exit;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  tine token panda-bot >> tokens.toml             the token itself appears on the terminal, once
  tine token alice --user alice --toolset swf >> tokens.toml
  tine token ci --json                            both, for a script

Name the file with `tokens_file = \"tokens.toml\"` in tine.toml; a client sends `Authorization: Bearer TOKEN`.";

pub fn command() -> Command {
    Command::new("token")
        .about("Make a bearer token and the lines of the tokens file that accept it")
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .required(true)
                .value_parser(bare_key)
                .help("Name of the token in the log"),
        )
        .arg(
            Arg::new("toolset")
                .long("toolset")
                .value_name("NAME")
                .help("The only toolset that the token may use"),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME")
                .help("Whom tools see as the caller"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print a JSON object with the token and its hash"),
        )
        .after_help(EXAMPLES)
}

/// A name that needs no quotes in TOML.
fn bare_key(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !text.is_empty() && text.chars().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("a name has letters, digits, `_` and `-`".to_owned()),
    }
}

pub fn run(matches: &ArgMatches) -> Exit {
    let token = match generate() {
        Ok(token) => token,
        Err(error) => {
            terminal::print_error(format!("can't read /dev/urandom: {error}"));
            return Exit::Internal;
        }
    };
    let given = |key: &str| matches.get_one::<String>(key).cloned();
    let (name, toolset, user) = (
        given("name").unwrap_or_default(),
        given("toolset"),
        given("user"),
    );
    let sha256 = hex(&hash(&token));
    if matches.get_flag("json") {
        let object = json!({ "name": name, "token": token, "sha256": sha256, "toolset": toolset, "user": user });
        return terminal::print(&format!("{object}\n")).map_or(Exit::Internal, |()| Exit::Clean);
    }
    let mut lines = format!("\n[tokens.{name}]\nsha256 = \"{sha256}\"\n");
    for (key, value) in [("toolset", toolset), ("user", user)] {
        if let Some(value) = value {
            lines.push_str(&format!("{key} = {}\n", toml::Value::String(value)));
        }
    }
    if let Err(error) = terminal::print(&lines) {
        terminal::print_error(format!("can't write the lines: {error}"));
        return Exit::Internal;
    }
    eprintln!("The token of {name}, shown only now: {token}");
    Exit::Clean
}
