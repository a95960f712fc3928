//! The one table of options: name, type, bounds, default, help and the field that each fills.
//! The command line, `tine.toml`, the environment, `--help` and the manual's table all come from it.
//! Names and meanings follow uvicorn's where there is a counterpart. Knows no file and no process.

use std::time::Duration;

use tine_worker::db::Pool;

use crate::config::Settings;
use crate::config::form::Form;
use crate::config::kind::Kind;
use crate::config::value::Value;

/// One option.
pub struct Opt {
    /// Key in `tine.toml`; `TINE_` and the same in capitals in the environment.
    pub key: &'static str,
    /// The flag, where it isn't the key with dashes: a repeated flag is singular.
    flag: Option<&'static str>,
    pub section: Section,
    /// What stands for the value in `--help`.
    pub value_name: &'static str,
    pub kind: Kind,
    /// As it would be written in the environment; empty is "none".
    pub default: &'static str,
    pub help: &'static str,
    /// Puts a value that passed `kind` where the program reads it.
    pub put: fn(&mut Settings, Value),
}

/// Headings of `--help` and of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Listening,
    Workers,
    Limits,
    Deadlines,
    Endpoint,
    Access,
    Tools,
    Logging,
}

impl Section {
    pub fn title(self) -> &'static str {
        match self {
            Section::Listening => "Listening",
            Section::Workers => "Workers",
            Section::Limits => "Limits",
            Section::Deadlines => "Deadlines",
            Section::Endpoint => "Endpoint",
            Section::Access => "Access",
            Section::Tools => "Tools and databases",
            Section::Logging => "Logging",
        }
    }
}

impl Opt {
    /// The long flag without its dashes.
    pub fn flag(&self) -> String {
        self.flag
            .map_or_else(|| self.key.replace('_', "-"), str::to_owned)
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("TINE_{}", self.key.to_ascii_uppercase())
    }

    /// The default as a value. The table's own test proves that every default passes its kind.
    pub fn default_value(&self) -> Value {
        let texts = [self.default.to_owned()];
        let given = if self.default.is_empty() {
            &[]
        } else {
            texts.as_slice()
        };
        self.kind.parse_texts(given, true).unwrap_or(Value::None)
    }
}

/// The option with this key.
pub fn find(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.key == key)
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

const fn span(min: Duration, max: Duration) -> Kind {
    Kind::Span { min, max }
}

const fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

const HOUR: Duration = seconds(3600);
const DAY: Duration = seconds(24 * 3600);

const fn option(
    section: Section,
    key: &'static str,
    value_name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
    put: fn(&mut Settings, Value),
) -> Opt {
    Opt {
        key,
        flag: None,
        section,
        value_name,
        kind,
        default,
        help,
        put,
    }
}

/// The flag of a list is its singular.
const fn repeated(option: Opt, flag: &'static str) -> Opt {
    Opt {
        flag: Some(flag),
        ..option
    }
}

use Section::{Access, Deadlines, Endpoint, Limits, Listening, Logging, Tools, Workers};

/// Every option, in the order of `--help`.
#[rustfmt::skip] // a table: three lines a row
pub static OPTIONS: &[Opt] = &[
    option(Listening, "host", "ADDRESS", Kind::Text(Form::Any), "127.0.0.1",
        "Address or name to listen on; `::` or `0.0.0.0` for every interface",
        |s, v| s.host = v.text()),
    option(Listening, "port", "PORT", count(0, 65535), "8000",
        "TCP port; 0 takes any free one, which the log names",
        |s, v| s.port = v.number()),
    option(Listening, "uds", "PATH", Kind::Path, "",
        "Listen on this unix socket instead of TCP",
        |s, v| s.uds = v.path()),
    option(Listening, "uds_mode", "OCTAL", Kind::Mode, "0660",
        "Permissions of the unix socket",
        |s, v| s.uds_mode = v.mode()),
    option(Listening, "fd", "NUMBER", count(3, 65535), "",
        "Take over this listening socket, inherited from the parent process, instead of binding one",
        |s, v| s.fd = v.optional_number()),
    option(Listening, "backlog", "NUMBER", count(1, 65535), "511",
        "Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn",
        |s, v| s.backlog = v.number()),
    option(Listening, "control", "PATH", Kind::Path, "",
        "The master's own socket, for `tine status`, `reload`, `upgrade` and `stop`. When not given: $RUNTIME_DIRECTORY/control, \
         else /run/tine/NAME/control for root and $XDG_RUNTIME_DIR/tine/NAME/control for others, NAME being the configuration \
         file's",
        |s, v| s.control = v.path()),

    option(Workers, "workers", "NUMBER", count(1, 64), "4",
        "Worker processes",
        |s, v| s.workers = v.number()),
    option(Workers, "limit_concurrency", "NUMBER", count(1, 65535), "32",
        "Requests in flight in one worker; idle connections don't count. Beyond it a sibling with room takes over, and 503 is \
         answered only when every worker is full",
        |s, v| s.limit_concurrency = v.number()),
    option(Workers, "limit_connections", "NUMBER", count(1, 65535), "1024",
        "Open client connections of one worker; beyond it the longest idle one is closed",
        |s, v| s.limit_connections = v.number()),
    option(Workers, "limit_subscriptions", "NUMBER", count(0, 65535), "256",
        "Open streams of `subscriptions/listen` in one worker, half of limit_connections at the most; beyond it 503. 0 for none, and \
         clients aren't told of changed tools",
        |s, v| s.limit_subscriptions = v.number()),
    option(Workers, "limit_max_requests", "NUMBER", count(0, u64::MAX), "0",
        "Replace a worker after so many requests, the replacement first; 0 for never",
        |s, v| s.limit_max_requests = v.number()),
    option(Workers, "limit_max_requests_jitter", "NUMBER", count(0, u64::MAX), "0",
        "Add a random number up to this to limit_max_requests, so that workers aren't replaced together",
        |s, v| s.limit_max_requests_jitter = v.number()),
    option(Workers, "limit_memory", "SIZE", bytes(0, 1 << 40), "0",
        "Replace a worker that has grown beyond so much memory of its own, the replacement first; from 16MiB, 0 for never",
        |s, v| s.limit_memory = v.bytes()),

    option(Limits, "limit_head_size", "SIZE", bytes(1 << 10, 1 << 20), "16KiB",
        "Request line and headers; beyond it 431",
        |s, v| s.limit_head_size = v.bytes()),
    option(Limits, "limit_body_size", "SIZE", bytes(1 << 10, 1 << 30), "4MiB",
        "Request body, counted as it arrives; beyond it 413",
        |s, v| s.limit_body_size = v.bytes()),

    option(Deadlines, "timeout_statement", "SPAN", span(milliseconds(1), HOUR), "8s",
        "Longest run of a tool's SQL statement; a tool may ask for less",
        |s, v| s.timeout_statement = v.span()),
    option(Deadlines, "timeout_request", "SPAN", span(milliseconds(1), HOUR), "10s",
        "From a request's last byte to its answer; must exceed timeout_statement",
        |s, v| s.timeout_request = v.span()),
    option(Deadlines, "timeout_graceful_shutdown", "SPAN", span(milliseconds(1), HOUR), "15s",
        "How long a stopping worker finishes what it has; must exceed timeout_request. What is still there 2 s later is aborted, \
         3 s later killed, and the master exits 5 s later at the latest",
        |s, v| s.timeout_graceful_shutdown = v.span()),
    option(Deadlines, "timeout_head", "SPAN", span(milliseconds(1), HOUR), "5s",
        "From accept to a request's first byte, and from there to the end of its head",
        |s, v| s.timeout_head = v.span()),
    option(Deadlines, "timeout_keep_alive", "SPAN", span(milliseconds(1), DAY), "75s",
        "Close a connection that has been idle so long after an answer",
        |s, v| s.timeout_keep_alive = v.span()),
    option(Deadlines, "timeout_queue", "SPAN", span(Duration::ZERO, HOUR), "100ms",
        "How long a call waits for a free place while all workers are full, before 503",
        |s, v| s.timeout_queue = v.span()),
    option(Deadlines, "timeout_boot", "SPAN", span(milliseconds(100), HOUR), "10s",
        "A new worker must be ready within this time, or it is replaced",
        |s, v| s.timeout_boot = v.span()),
    option(Deadlines, "timeout_heartbeat", "SPAN", span(seconds(2), HOUR), "10s",
        "A worker whose event loop has stood still so long is aborted and replaced",
        |s, v| s.timeout_heartbeat = v.span()),

    repeated(option(Endpoint, "paths", "PATH", Kind::Texts(Form::UrlPath), "/mcp",
        "Where MCP is served, with or without a slash at the end; PATH/TOOLSET serves one toolset",
        |s, v| s.paths = v.texts()), "path"),
    option(Endpoint, "server_name", "NAME", Kind::Text(Form::Any), "tine",
        "The server's name in `initialize`; clients build permission names from their own name for it, scripts read this one",
        |s, v| s.server_name = v.text()),
    option(Endpoint, "server_title", "TEXT", Kind::Text(Form::Any), "",
        "The server's name for people",
        |s, v| s.server_title = v.optional_text()),
    option(Endpoint, "server_version", "TEXT", Kind::Text(Form::Any), env!("CARGO_PKG_VERSION"),
        "The version in `initialize`",
        |s, v| s.server_version = v.text()),
    option(Endpoint, "instructions", "TEXT", Kind::Text(Form::Any), "",
        "What a model should know of this server, sent once per client; a toolset's own instructions come first",
        |s, v| s.instructions = v.optional_text()),
    option(Endpoint, "list_page_size", "NUMBER", count(1, 100_000), "1000",
        "Tools in one page of `tools/list`; many clients read only the first page",
        |s, v| s.list_page_size = v.number()),
    option(Endpoint, "list_ttl", "SPAN", span(Duration::ZERO, DAY), "1m",
        "How long a client may keep `tools/list` before it asks again (ttlMs)",
        |s, v| s.list_ttl = v.span()),
    option(Endpoint, "list_scope", "WORD", Kind::Choice(&["auto", "public", "private"]), "auto",
        "Whether caches may share `tools/list` between users (cacheScope); auto is private when a token has a toolset of its own",
        |s, v| s.list_scope = v.text()),
    option(Endpoint, "health_path", "PATH", Kind::Text(Form::UrlPath), "/health/ready",
        "Where the health check that proves the databases is served; /health always answers for the process alone",
        |s, v| s.health_path = v.text()),
    repeated(option(Endpoint, "health_databases", "NAME", Kind::Texts(Form::Name), "",
        "Databases that the health check must reach; none given means all of them",
        |s, v| s.health_databases = v.texts()), "health-database"),
    option(Endpoint, "health_service", "NAME", Kind::Text(Form::Any), "",
        "The service's name in the health check's answer; server_name when not given",
        |s, v| s.health_service = v.optional_text()),

    repeated(option(Access, "allowed_hosts", "HOST", Kind::Texts(Form::Any), "localhost,127.0.0.1,[::1]",
        "Host headers to accept, on any port unless one is given; `*` accepts all",
        |s, v| s.allowed_hosts = v.texts()), "allowed-host"),
    repeated(option(Access, "allowed_origins", "ORIGIN", Kind::Texts(Form::Any), "localhost,127.0.0.1,[::1]",
        "Origins of browsers to accept: a host, on any scheme and port, or scheme://host:port; `*` accepts all. A request \
         without Origin is not from a browser and passes",
        |s, v| s.allowed_origins = v.texts()), "allowed-origin"),
    option(Access, "tokens_file", "FILE", Kind::Path, "",
        "Bearer tokens to accept, hashed; `tine token` writes its lines. With a token here, in TINE_TOKEN or in the variable \
         that token_env names, a call without one gets 401",
        |s, v| s.tokens_file = v.path()),
    option(Access, "token_env", "NAME", Kind::Text(Form::Any), "",
        "A variable, of the environment or of env_file, that holds a bearer token to accept, as TINE_TOKEN always does; none when \
         it is empty or not set",
        |s, v| s.token_env = v.optional_text()),

    repeated(option(Tools, "toolsets", "FOLDER", Kind::Paths, "",
        "Folder of tool files, one toolset each",
        |s, v| s.toolsets = v.paths()), "toolset"),
    option(Tools, "default_toolset", "NAME", Kind::Text(Form::Name), "",
        "The toolset served at the path itself; when not given, the tools of all of them",
        |s, v| s.default_toolset = v.optional_text()),
    option(Tools, "db_connections", "NUMBER", count(1, Pool::MAX_CONNECTIONS as u64), "4",
        "Connections to each database in one worker, opened as calls need them; a database's own `connections` comes first",
        |s, v| s.db_connections = v.number()),
    option(Tools, "env_file", "FILE", Kind::Path, "",
        "Take variables from this file of NAME=VALUE lines too; the environment's own come first",
        |s, v| s.env_file = v.path()),

    option(Logging, "log_level", "LEVEL", Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]), "info",
        "The least severe messages to log",
        |s, v| s.log_level = v.text()),
    option(Logging, "log_format", "WORD", Kind::Choice(&["text", "json"]), "text",
        "Log lines for people, with `key=value` at their end, or one JSON object a line",
        |s, v| s.log_format = v.text()),
    option(Logging, "log_calls", "WORD", Kind::Choice(&["all", "failed", "none"]), "all",
        "Which calls of tools have a line of their own; `failed` are all that did not end well",
        |s, v| s.log_calls = v.text()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_kind() {
        for option in OPTIONS {
            let texts = [option.default.to_owned()];
            let given = if option.default.is_empty() {
                &[]
            } else {
                texts.as_slice()
            };
            let value = option.kind.parse_texts(given, true);
            assert!(value.is_ok(), "{}: {value:?}", option.key);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = OPTIONS
            .iter()
            .flat_map(|option| [option.variable(), option.flag()])
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
