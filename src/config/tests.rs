//! The configuration as an operator meets it: real files in a folder of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::options::OPTIONS;

mod tables;

/// A folder that is removed with its files.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tine-config-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn flags(pairs: &[(&'static str, &[&str])]) -> BTreeMap<&'static str, Vec<String>> {
    pairs
        .iter()
        .map(|(key, texts)| (*key, texts.iter().map(|text| (*text).to_owned()).collect()))
        .collect()
}

/// Loads `text` as `tine.toml`.
fn load(name: &str, text: &str) -> Result<Settings, ConfigError> {
    let folder = Folder::new(name);
    let file = Some(folder.write("tine.toml", text));
    Settings::load(
        &Inputs {
            file,
            ..Inputs::default()
        },
        &Files::disk(),
    )
}

/// The faults of `text`, as shown to a file's reader.
fn faults(name: &str, text: &str) -> String {
    load(name, text)
        .map(|_| ())
        .expect_err("faulty")
        .to_string()
}

#[test]
fn the_defaults() {
    let folder = Folder::new("defaults");
    let file = Some(folder.write("tine.toml", ""));
    let settings = Settings::load(
        &Inputs {
            file,
            ..Inputs::default()
        },
        &Files::disk(),
    )
    .unwrap();
    assert_eq!(
        settings.listen(),
        Listen::Tcp {
            host: "127.0.0.1".into(),
            port: 8000
        }
    );
    assert_eq!(
        (
            settings.workers,
            settings.limit_concurrency,
            settings.backlog
        ),
        (4, 32, 511)
    );
    assert_eq!(
        (
            settings.limit_connections,
            settings.db_connections,
            settings.limit_max_requests
        ),
        (1024, 4, 0)
    );
    assert_eq!(
        (settings.limit_head_size, settings.limit_body_size),
        (16 << 10, 4 << 20)
    );
    let chain = [
        settings.timeout_queue,
        settings.timeout_statement,
        settings.timeout_request,
        settings.timeout_graceful_shutdown,
        settings.abort_after(),
        settings.kill_after(),
        settings.exit_after(),
    ];
    assert_eq!(
        chain.map(|span| span.as_millis()),
        [100, 8000, 10_000, 15_000, 17_000, 18_000, 20_000]
    );
    assert_eq!(settings.timeout_keep_alive, Duration::from_secs(75));
    assert_eq!(
        (settings.timeout_boot, settings.timeout_heartbeat),
        (Duration::from_secs(10), Duration::from_secs(10))
    );
    assert_eq!(settings.paths, ["/mcp"]);
    assert_eq!(settings.allowed_hosts, ["localhost", "127.0.0.1", "[::1]"]);
    assert_eq!(settings.allowed_origins, settings.allowed_hosts);
    assert_eq!((settings.uds_mode, settings.fd), (0o660, None));
    assert_eq!(
        (
            settings.server_title,
            settings.instructions,
            settings.default_toolset
        ),
        (None, None, None)
    );
    assert!(settings.toolsets.is_empty() && settings.tokens.is_empty());
    assert_eq!(settings.effective.len(), OPTIONS.len());
    assert_eq!(settings.log_level, "info");
}

#[test]
fn each_source_is_stronger_than_the_one_before() {
    let folder = Folder::new("order");
    let file = folder.write(
        "tine.toml",
        "workers = 2\nport = 2\nbacklog = 2\ntoolsets = [\"swf\", \"/abs\"]\n",
    );
    let settings = Settings::load(
        &Inputs {
            file: Some(file.clone()),
            environment: environment(&[
                ("TINE_PORT", "3"),
                ("TINE_BACKLOG", "3"),
                ("TINE_WORKERS", ""),
                ("TINE_PATHS", "/a, /b/"),
            ]),
            flags: flags(&[("backlog", &["4"])]),
        },
        &Files::disk(),
    )
    .unwrap();
    assert_eq!(
        (settings.workers, settings.port, settings.backlog),
        (2, 3, 4)
    );
    assert_eq!(settings.paths, ["/a", "/b"]);
    assert_eq!(
        settings.toolsets,
        [folder.0.join("swf"), PathBuf::from("/abs")]
    );
    assert!(settings.warnings.is_empty());

    let dump = settings.dump();
    let line = |key: &str| {
        dump.lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        line("workers ="),
        format!("workers = 2 # {}:1", file.display())
    );
    assert_eq!(line("port ="), "port = 3 # environment TINE_PORT");
    assert_eq!(line("backlog ="), "backlog = 4 # flag --backlog");
    assert_eq!(line("host ="), "host = 127.0.0.1 # default");
}

#[test]
fn the_file_can_be_named_by_the_environment() {
    let folder = Folder::new("named");
    let file = folder.write("other.toml", "port = 99");
    let environment = environment(&[("TINE_CONFIG", &file.display().to_string())]);
    let settings = Settings::load(
        &Inputs {
            environment,
            ..Inputs::default()
        },
        &Files::disk(),
    )
    .unwrap();
    assert_eq!((settings.port, settings.file), (99, Some(file)));

    let missing = Inputs {
        file: Some(folder.0.join("missing.toml")),
        ..Inputs::default()
    };
    let error = Settings::load(&missing, &Files::disk())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("can't read") && error.contains("missing.toml"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_has_a_caret_and_the_nearest_known_one() {
    let shown = faults(
        "unknown",
        "port = 80\nworker = 4\n[databases.swf]\nurl = \"postgres://\"\ntimezone = \"UTC\"\n[setings]\n",
    );
    for part in [
        "tine.toml:2:1",
        "unknown key `worker`",
        "did you mean `workers`?",
        "^^^^^^",
        "tine.toml:5:1",
        "unknown key `timezone` in [databases.swf]",
        "did you mean `time_zone`?",
        "tine.toml:6:2",
        "did you mean `settings`?",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let folder = Folder::new("faults");
    let file = folder.write(
        "tine.toml",
        "workers = 0\nhost = 7\ntimeout_boot = \"soon\"\n",
    );
    let error = Settings::load(
        &Inputs {
            file: Some(file),
            environment: environment(&[("TINE_PORT", "tcp://10.0.0.1:80"), ("TINE_BACKLOG", "x")]),
            flags: flags(&[("paths", &["mcp"])]),
        },
        &Files::disk(),
    );
    let shown = error.map(|_| ()).unwrap_err().to_string();
    for part in [
        "expected a whole number from 1 to 64",
        "expected text, found 7",
        "expected a time span from 100ms to 1h",
        "TINE_PORT (environment)",
        "enableServiceLinks",
        "TINE_BACKLOG (environment): expected a whole number from 1 to 65535, found x",
        "--path: expected a list of URL paths such as /mcp, found mcp",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

#[test]
fn broken_toml_is_a_fault() {
    let shown = faults("syntax", "port = \nworkers = 4\n");
    assert!(shown.contains("tine.toml:1:"), "{shown}");
}

#[test]
fn the_deadline_chain_names_both_settings() {
    let shown = faults("chain", "\ntimeout_statement = 12\n");
    assert!(shown.contains("timeout_statement (12s from line 2) must be shorter than timeout_request (10s by default)"), "{shown}");
    assert!(shown.contains("tine.toml:2:21"), "{shown}");
    let shown = faults("chain-drain", "timeout_graceful_shutdown = \"9s\"");
    assert!(shown.contains("timeout_request (10s by default) must be shorter than timeout_graceful_shutdown (9s from line 1)"), "{shown}");
    let shown = faults("chain-queue", "timeout_queue = \"10s\"");
    assert!(
        shown.contains("timeout_queue (10s from line 1) must be shorter than timeout_request"),
        "{shown}"
    );
    assert!(
        load(
            "chain-good",
            "timeout_request = 20\ntimeout_graceful_shutdown = 30"
        )
        .is_ok()
    );
}

#[test]
fn a_slip_in_a_variable_is_a_warning() {
    let folder = Folder::new("variables");
    let file = Some(folder.write("tine.toml", ""));
    let settings = Settings::load(
        &Inputs {
            file,
            environment: environment(&[("TINE_WORKER", "8")]),
            ..Inputs::default()
        },
        &Files::disk(),
    )
    .unwrap();
    let [warning] = settings.warnings.as_slice() else {
        panic!("{:?}", settings.warnings)
    };
    assert!(
        warning.to_string().contains("did you mean TINE_WORKERS?"),
        "{warning}"
    );
}

#[test]
fn places_to_serve_are_apart() {
    assert!(faults("apart", "health_path = \"/mcp/health\"").contains("must be different places"));
    assert!(
        faults("apart-process", "health_path = \"/health\"").contains("must be different places")
    );
    assert!(faults("no-path", "paths = []").contains("no path to serve MCP at"));
    assert!(faults("two-sockets", "fd = 3\nuds = \"s\"").contains("keep one"));
    assert!(load("apart-good", "paths = [\"/swf-monitor/mcp/\", \"/mcp\"]\nhealth_path = \"/swf-monitor/api/mcp-health/\"").is_ok());
}

#[test]
fn a_configuration_without_tools_is_odd() {
    let odd = load("toolsets", "").unwrap().no_tools().unwrap();
    assert!(odd.to_string().contains("--toolset FOLDER"));
    assert_eq!(
        load("toolsets-some", "toolsets = \"swf\"")
            .unwrap()
            .no_tools(),
        None
    );
}

#[test]
fn the_url_of_the_described_server() {
    let url = |text: &str| load("url", text).unwrap().url().ok();
    assert_eq!(url("").as_deref(), Some("http://127.0.0.1:8000/mcp"));
    assert_eq!(
        url("host = \"::\"\nport = 81\npaths = [\"/a/mcp/\", \"/mcp\"]").as_deref(),
        Some("http://[::1]:81/a/mcp")
    );
    assert_eq!(
        url("host = \"0.0.0.0\"").as_deref(),
        Some("http://127.0.0.1:8000/mcp")
    );
    assert_eq!(url("port = 0"), None);
    assert_eq!(url("uds = \"socket\""), None);
}
