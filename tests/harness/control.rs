//! `tine status`, `reload`, `upgrade` and `stop` as a shell runs them, and the control socket without them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::server::Server;
use super::wait;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Asserts the exit code and that standard error holds every part.
    #[track_caller]
    pub fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part} in: {}", self.err);
        }
    }

    /// Asserts success; gives standard output.
    #[track_caller]
    pub fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }
}

/// `tine WORDS` in a clean environment: no variable leads it to another server than the words do.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TINE_")) {
        command.env_remove(name);
    }
    command
        .args(words)
        .env_remove("RUNTIME_DIRECTORY")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(words: &[&str]) -> Ran {
    Ran::new(&command(words).output().expect("tine runs"))
}

/// `tine WORDS` for this server, run to its end.
pub fn tine(server: &Server, words: &[&str]) -> Ran {
    let control = server.path("control");
    let control = ["--control", control.to_str().expect("UTF-8")];
    run(&[words, &control].concat())
}

/// Sends this line to the socket; every line of the answer, to the end of the connection.
pub fn order(path: &Path, line: &str) -> Vec<Value> {
    let mut stream = UnixStream::connect(path).expect("a server answers");
    stream
        .set_read_timeout(Some(wait::LIMIT))
        .expect("a timeout");
    stream
        .write_all(format!("{line}\n").as_bytes())
        .expect("a reader");
    BufReader::new(stream)
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a clean end")).expect("JSON"))
        .collect()
}
