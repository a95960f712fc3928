//! Options of the table as flags, and the configuration that flags, environment and file give together. Knows no command.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tine_worker::files::Files;

use crate::config::kind::Kind;
use crate::config::value::Value;
use crate::config::{Inputs, Settings};
use crate::exit::Exit;
use crate::options::{OPTIONS, Opt};
use crate::terminal;

/// The flags that any command takes which reads the configuration.
const COMMON: &[&str] = &["toolsets", "default_toolset", "timeout_statement"];

/// Adds a flag for every option.
pub fn options(command: Command) -> Command {
    OPTIONS
        .iter()
        .fold(command, |command, option| command.arg(flag(option)))
}

/// Adds `--config` and a flag for every option.
pub fn all(command: Command) -> Command {
    options(config(command))
}

/// Adds `--config` and the flags that concern tools.
pub fn common(command: Command) -> Command {
    some(command, COMMON)
}

/// Adds `--config` and the flags of these options.
pub fn some(command: Command, keys: &[&str]) -> Command {
    let options = OPTIONS.iter().filter(|option| keys.contains(&option.key));
    options.fold(config(command), |command, option| command.arg(flag(option)))
}

/// Adds `--config`.
pub fn config(command: Command) -> Command {
    let help = "Configuration file [default: ./tine.toml if there is one] [env: TINE_CONFIG]";
    command.arg(
        Arg::new("config")
            .long("config")
            .short('c')
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help),
    )
}

fn flag(option: &'static Opt) -> Arg {
    let several = matches!(option.kind, Kind::Texts(_) | Kind::Paths);
    let default = match option.default_value() {
        Value::None => String::new(),
        Value::Texts(texts) if texts.is_empty() => String::new(),
        Value::Paths(paths) if paths.is_empty() => String::new(),
        value => format!(" [default: {value}]"),
    };
    let choices = match option.kind {
        Kind::Choice(words) => format!(" [{}]", words.join(", ")),
        _ => String::new(),
    };
    let more = if several { "; may be repeated" } else { "" };
    // clap keeps static names only; there are as many as options, once.
    let name: &'static str = option.flag().leak();
    Arg::new(option.key)
        .long(name)
        .value_name(option.value_name)
        .action(if several {
            ArgAction::Append
        } else {
            ArgAction::Set
        })
        .allow_hyphen_values(matches!(option.kind, Kind::Text(_)))
        .help_heading(option.section.title())
        .help(format!(
            "{}{more}{choices}{default} [env: {}]",
            option.help,
            option.variable()
        ))
}

/// What the configuration is read from: the flags given, the environment, the file named.
pub fn inputs(matches: &ArgMatches) -> Inputs {
    let mut flags = BTreeMap::new();
    for option in OPTIONS {
        // A command has the flags of some options only.
        if let Ok(Some(texts)) = matches.try_get_many::<String>(option.key) {
            flags.insert(option.key, texts.cloned().collect());
        }
    }
    let environment = std::env::vars_os();
    let environment = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Inputs {
        // A command without `--config` names its file itself.
        file: matches
            .try_get_one::<PathBuf>("config")
            .ok()
            .flatten()
            .cloned(),
        environment: environment.collect(),
        flags,
    }
}

/// The configuration that a command's arguments, the environment and the file give; warnings are printed.
///
/// # Errors
/// The exit code, when the reason has been printed.
pub fn settings(matches: &ArgMatches, files: &Files) -> Result<Settings, Exit> {
    let settings = Settings::load(&inputs(matches), files).map_err(|error| {
        terminal::print_config_error(&error);
        error.exit()
    })?;
    terminal::print_faults(&settings.warnings);
    Ok(settings)
}
