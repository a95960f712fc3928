//! A real `tine serve`, watched from outside, and gone without a trace when the test ends. Knows the shape of
//! `GET /health`, nothing of MCP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::process::DeathPipe;
use super::{http, process, setup, wait};

/// A running server. Dropping it ends it.
pub struct Server {
    child: Child,
    exit: Option<ExitStatus>,
    address: Option<SocketAddr>,
    folder: PathBuf,
    death: DeathPipe,
    /// Workers that it was told to have.
    configured: usize,
}

/// One worker, as `GET /health` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub slot: u64,
    pub pid: i32,
    pub phase: String,
    pub generation: u64,
    pub inflight: u64,
    pub connections: u64,
    pub served: u64,
}

impl Server {
    /// `address` is `None` for a server that binds by itself; `configured` is its number of workers.
    pub fn new(
        child: Child,
        address: Option<SocketAddr>,
        folder: PathBuf,
        death: DeathPipe,
        configured: usize,
    ) -> Server {
        Server {
            child,
            exit: None,
            address,
            folder,
            death,
            configured,
        }
    }

    /// Where it listens; for a server that chose its port, after the log has named it.
    pub fn address(&self) -> SocketAddr {
        self.address
            .unwrap_or_else(|| wait::for_some("an address in the log", || self.logged_address()))
    }

    fn logged_address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let (_, rest) = log.split_once("http://")?;
        rest.split_once('/')
            .and_then(|(address, _)| address.parse().ok())
    }

    /// Writes a tool file of the test's own toolset, or another text over it; a reload takes it up.
    pub fn write_tool(&self, name: &str, text: &str) {
        let file = self.folder.join(format!("own/{name}.sql"));
        let fresh = file.with_extension("new");
        fs::write(&fresh, text).expect("a tool file");
        fs::rename(&fresh, &file).expect("in its place");
    }

    /// Replaces the program that the server was started from (with `Setup::own_program`) by a copy of this file.
    pub fn install(&self, program: &Path) {
        setup::install(program, &self.folder);
    }

    /// The master's process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// A path beside its `tine.toml`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Everything that the server has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// `GET /health`, from any worker.
    pub fn health(&self) -> Value {
        let response = http::get(self.address(), "/health");
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// All workers of the scoreboard, in the order of their slots.
    pub fn workers(&self) -> Vec<Worker> {
        let health = self.health();
        let number = |worker: &Value, field: &str| {
            worker[field]
                .as_u64()
                .unwrap_or_else(|| panic!("{field} in {worker}"))
        };
        health["workers"]
            .as_array()
            .unwrap_or_else(|| panic!("workers in {health}"))
            .iter()
            .map(|worker| Worker {
                slot: number(worker, "slot"),
                pid: i32::try_from(number(worker, "pid")).expect("a pid"),
                generation: number(worker, "generation"),
                phase: worker["phase"].as_str().expect("a phase").to_owned(),
                inflight: number(worker, "inflight"),
                connections: number(worker, "connections"),
                served: number(worker, "served"),
            })
            .collect()
    }

    /// The workers' process ids, sorted.
    pub fn worker_pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.workers().iter().map(|worker| worker.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// Waits until as many workers as configured are there and all of them take requests.
    pub fn until_all_serve(&self) {
        wait::until("all workers serve", || {
            assert!(!self.is_zombie(), "the server ended:\n{}", self.log());
            let workers = self.workers();
            workers.len() == self.configured
                && workers.iter().all(|worker| worker.phase == "serving")
        });
    }

    /// Waits until a change is over: all workers that were configured are of this generation, and no other is left.
    pub fn until_generation(&self, number: u64) {
        wait::until("all workers are of the new generation", || {
            let health = self.health();
            let workers = health["workers"].as_array().expect("workers");
            workers.len() == self.configured
                && workers
                    .iter()
                    .all(|worker| worker["generation"] == number && worker["phase"] == "serving")
        });
    }

    fn is_zombie(&self) -> bool {
        process::status(self.pid(), "State").is_some_and(|state| state.starts_with('Z'))
    }

    pub fn signal(&self, signal: Signal) {
        kill_pid(self.pid(), signal);
    }

    /// Waits until the master has exited, at most `limit`.
    pub fn wait_within(&mut self, limit: Duration) -> ExitStatus {
        if let Some(status) = self.exit {
            return status;
        }
        let child = &mut self.child;
        let status = wait::for_some_within(limit, "the master's exit", || {
            child.try_wait().expect("wait")
        });
        self.exit = Some(status);
        status
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(wait::LIMIT)
    }

    /// Panics unless every process of this server is gone within `limit`.
    pub fn assert_all_gone(&self, limit: Duration) {
        assert!(
            self.death.all_gone(limit),
            "processes of the server are left after {} s:\n{}",
            limit.as_secs(),
            self.log()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
        if self.exit.is_none() {
            // Workers must not need a master that says goodbye.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let gone = self.death.all_gone(wait::LIMIT);
        let _ = fs::remove_dir_all(&self.folder);
        if !gone && !thread::panicking() {
            panic!("processes of the server outlived it");
        }
    }
}

/// Sends a signal to a process of a server under test.
pub fn kill_pid(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|errno| panic!("{signal} to {pid}: {errno}"));
}
