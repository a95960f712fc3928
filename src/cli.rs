//! The command line: which commands there are, and to whom each goes. Every command describes its own arguments.

mod checking;
mod serving;

use std::ffi::OsString;

use clap::Command;

use crate::exit::Exit;
use crate::{call, compare, completion, control, install, probe, token, tools, version};

const ABOUT: &str = "A pre-fork MCP server whose tools are declared PostgreSQL queries";

const EXAMPLES: &str = "\
Examples:
  tine demo                                  try it: a private PostgreSQL, made-up data, tools
  tine check                                 prove the tool files against the database
  tine serve                                 serve what tine.toml describes
  tine status                                the running server, worker by worker
  tine tools                                 what a client will see
  tine call swf_list_namespaces              one call, without a server
  tine probe                                 ask the running server whether it works

Exit status of every command:
   0  done                    64  wrong command line
   1  the answer is no        69  the address can't be bound
   2  can't be reached        70  internal fault
                              75  workers kept dying
                              78  wrong configuration or tool file";

/// The whole command line.
pub fn command() -> Command {
    Command::new("tine")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(serving::demo_command())
        .subcommand(serving::serve_command())
        .subcommands(control::commands())
        .subcommand(checking::command())
        .subcommand(call::command())
        .subcommand(tools::command())
        .subcommand(compare::command())
        .subcommand(probe::command())
        .subcommand(token::command())
        .subcommand(install::command())
        .subcommand(completion::command())
        .subcommand(version::command())
}

/// Runs the command that the words name.
pub fn main(words: impl IntoIterator<Item = OsString>) -> Exit {
    let matches = match command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => {
            // Help that was asked for goes to standard output and is no fault; a reader that has left is none either.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Clean
            };
        }
    };
    match matches.subcommand() {
        Some(("serve", matches)) => serving::serve(matches),
        Some(("demo", matches)) => serving::demo(matches),
        Some((name @ ("status" | "reload" | "upgrade" | "stop"), matches)) => {
            control::run(name, matches)
        }
        Some(("check", matches)) => checking::run(matches),
        Some(("call", matches)) => call::run(matches),
        Some(("tools", matches)) => tools::run(matches),
        Some(("compare", matches)) => compare::run(matches),
        Some(("probe", matches)) => probe::run(matches),
        Some(("token", matches)) => token::run(matches),
        Some(("install", matches)) => install::run(matches),
        Some(("completion", matches)) => completion::run(matches, &mut command()),
        Some(("version", matches)) => version::run(matches),
        _ => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains(&format!("tine {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
    }
}
