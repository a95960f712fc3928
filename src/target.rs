//! Where `tine call` and `tine tools` find tools: a running server, or the files that the configuration names.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;
use tine_worker::files::Files;

use crate::client::retry::{Effect, Retry};
use crate::client::{Address, Client, ClientError};
use crate::config::kind::Kind;
use crate::config::value::Value as OptionValue;
use crate::config::{ConfigError, Listen, Settings};
use crate::exit::Exit;
use crate::local::{Local, LocalError};
use crate::terminal;

/// Where the tools are.
pub enum Target {
    Server(Client),
    Files(Box<Local>),
}

/// Why the target gives no answer.
#[derive(Debug)]
pub enum TargetError {
    Config(ConfigError),
    Server(ClientError),
    Files(LocalError),
    /// The token's file can't be read.
    Token {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::Config(error) => error.fmt(f),
            TargetError::Server(error) => error.fmt(f),
            TargetError::Files(error) => error.fmt(f),
            TargetError::Token { path, source } => {
                write!(f, "can't read the token in {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for TargetError {}

impl TargetError {
    /// Says it on standard error and gives the exit code.
    pub fn report(&self) -> Exit {
        match self {
            TargetError::Config(error) | TargetError::Files(LocalError::Config(error)) => {
                terminal::print_config_error(error);
                error.exit()
            }
            TargetError::Token { .. } => {
                terminal::print_error(self.to_string());
                Exit::Configuration
            }
            TargetError::Files(error) => {
                terminal::print_error(error.to_string());
                match error {
                    LocalError::Unreachable { .. } => Exit::Unreachable,
                    LocalError::System(_) => Exit::Internal,
                    _ => Exit::Failed,
                }
            }
            TargetError::Server(error) => {
                terminal::print_error(error.to_string());
                match error {
                    ClientError::Rpc { .. } => Exit::Failed,
                    _ => Exit::Unreachable,
                }
            }
        }
    }
}

/// The target that the flags and the configuration name.
///
/// # Errors
/// The exit code, when the reason has been printed.
pub fn choose(matches: &ArgMatches, user: Option<String>) -> Result<Target, Exit> {
    let files = Files::disk();
    let settings = crate::flags::settings(matches, &files)?;
    if let Some(client) = server(matches, &settings).map_err(|error| error.report())? {
        return Ok(Target::Server(client));
    }
    terminal::print_faults(settings.no_tools().as_ref());
    let local = Local::open(settings, files, user);
    terminal::print_faults(local.faults());
    Ok(Target::Files(Box::new(local)))
}

/// Adds the flags that choose a running server.
pub fn server_flags(command: Command) -> Command {
    let running = Arg::new("running")
        .long("running")
        .action(ArgAction::SetTrue)
        .conflicts_with("url")
        .help("Ask the running server that the configuration describes");
    let timeout = timeout_flag("30s", "How long to wait for each answer of the server");
    command.args([url_flag(), running, token_flag(), timeout])
}

/// `--url`.
pub fn url_flag() -> Arg {
    Arg::new("url")
        .long("url")
        .value_name("URL")
        .value_parser(Address::parse)
        .help("Ask the server that runs at this URL")
}

/// `--token-file`.
pub fn token_flag() -> Arg {
    Arg::new("token-file")
        .long("token-file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("File with the bearer token to send [default: what TINE_TOKEN or the credential `token` says, if anything]")
}

/// `--timeout`.
pub fn timeout_flag(default: &'static str, help: &'static str) -> Arg {
    Arg::new("timeout")
        .long("timeout")
        .value_name("SPAN")
        .default_value(default)
        .value_parser(span)
        .help(help)
}

/// `--retries`.
pub fn retries_flag() -> Arg {
    Arg::new("retries")
        .long("retries")
        .value_name("NUMBER")
        .default_value("3")
        .value_parser(value_parser!(u32).range(..=100))
        .help("Send again so often what a server certainly or harmlessly missed")
}

/// What `--retries` and `--timeout` say.
pub fn retry(matches: &ArgMatches) -> Retry {
    let retries = matches.get_one::<u32>("retries");
    Retry {
        retries: retries.copied().unwrap_or_default(),
        within: timeout(matches),
    }
}

/// Whether a tool of a list may be called twice: by its own word. A tool that says nothing writes (the specification's default).
pub fn effect(tool: &Value) -> Effect {
    match tool.pointer("/annotations/readOnlyHint") {
        Some(Value::Bool(true)) => Effect::Reads,
        _ => Effect::Writes,
    }
}

/// Sends with retries, each of which is said on standard error.
///
/// # Errors
/// See [`ClientError`].
pub fn insist<T>(
    retry: Retry,
    effect: Effect,
    send: impl FnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    retry.run(effect, send, |error, pause, number| {
        terminal::print_warning(format!(
            "{error}; trying again in {:.1} s ({number} of {})",
            pause.as_secs_f64(),
            retry.retries
        ));
    })
}

/// A time span as every option takes it, from a millisecond to an hour; for clap.
pub fn span(text: &str) -> Result<Duration, String> {
    let kind = Kind::Span {
        min: Duration::from_millis(1),
        max: Duration::from_secs(3600),
    };
    kind.parse_texts(&[text.to_owned()], false)
        .map(OptionValue::span)
}

/// The running server that the flags name, if they name one.
///
/// # Errors
/// The configuration doesn't tell its URL, or the token can't be read.
pub fn server(matches: &ArgMatches, settings: &Settings) -> Result<Option<Client>, TargetError> {
    let address = match (
        matches.get_one::<Address>("url"),
        matches.get_flag("running"),
    ) {
        (Some(address), _) => address.clone(),
        (None, true) => running(settings).map_err(TargetError::Config)?,
        (None, false) => return Ok(None),
    };
    client(matches, address).map(Some)
}

/// Where the server that the configuration describes is reached on this host.
///
/// # Errors
/// The configuration doesn't tell: an inherited socket, or a port that is chosen at the start.
pub fn running(settings: &Settings) -> Result<Address, ConfigError> {
    match settings.listen() {
        Listen::Unix { path, .. } => {
            let at = settings.paths.first().map_or("/", String::as_str);
            Ok(Address::unix(path, at))
        }
        _ => settings.url().map(Address::http),
    }
}

/// A client for this address with the token and the timeout that the flags say.
///
/// # Errors
/// The token can't be read.
pub fn client(matches: &ArgMatches, address: Address) -> Result<Client, TargetError> {
    let token = match matches.get_one::<PathBuf>("token-file") {
        Some(path) => Some(read_token(path)?),
        None => std::env::var("TINE_TOKEN").ok(),
    };
    let token = match token {
        None => credential()?,
        token => token,
    };
    let token = token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty());
    Ok(Client::new(address, token, timeout(matches)))
}

/// What `--timeout` says.
pub fn timeout(matches: &ArgMatches) -> Duration {
    let timeout = matches.get_one::<Duration>("timeout").copied();
    timeout.unwrap_or(Duration::from_secs(30))
}

/// The token that the service manager hands to this unit (systemd's `LoadCredential=token:...`), if it does.
fn credential() -> Result<Option<String>, TargetError> {
    let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Ok(None);
    };
    match read_token(&PathBuf::from(folder).join("token")) {
        Err(TargetError::Token { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        token => token.map(Some),
    }
}

/// # Errors
/// The file can't be read.
pub fn read_token(path: &Path) -> Result<String, TargetError> {
    std::fs::read_to_string(path).map_err(|source| TargetError::Token {
        path: path.to_owned(),
        source,
    })
}

impl Target {
    /// Every tool as `tools/list` shows it.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn tools(&self, retry: Retry) -> Result<Vec<Value>, TargetError> {
        match self {
            Target::Server(client) => {
                insist(retry, Effect::Reads, || client.tools()).map_err(TargetError::Server)
            }
            Target::Files(local) => Ok(local.tools()),
        }
    }

    /// The result object of one call, also when the tool says that it failed. `effect` is the tool's.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn call(
        &self,
        retry: Retry,
        effect: Effect,
        tool: &str,
        arguments: &Value,
    ) -> Result<Value, TargetError> {
        match self {
            Target::Server(client) => {
                insist(retry, effect, || client.call(tool, arguments)).map_err(TargetError::Server)
            }
            Target::Files(local) => local.call(tool, arguments).map_err(TargetError::Files),
        }
    }

    /// How a command ends that could do its work with the tools there are: not clean when some are missing.
    pub fn exit(&self) -> Exit {
        match self {
            Target::Files(local) if local.is_incomplete() => Exit::Configuration,
            _ => Exit::Clean,
        }
    }

    /// How a command ends that found no tool of the name it was given: the tool's file may be one that is wrong.
    pub fn without_tool(&self) -> Exit {
        match self.exit() {
            Exit::Clean => Exit::Failed,
            exit => exit,
        }
    }
}
