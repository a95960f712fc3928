//! Starts the example pool and talks to it from outside: log lines, signals, commands, the death pipe.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing that a test waits for takes nearly as long, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);

/// The example binary, which cargo builds before it runs tests.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/PROFILE/deps");
    let path = profile.join("examples/pool");
    assert!(
        path.exists(),
        "{} is missing: run `cargo test -p tine-master`, or build the examples",
        path.display()
    );
    path
}

pub struct Pool {
    process: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// Ends when the master and every worker are gone: they all hold the other end as standard input.
    death: Receiver<()>,
    log: String,
    pub address: String,
}

impl Pool {
    /// Starts a pool and waits until it has bound its socket.
    pub fn start(options: &[&str]) -> Pool {
        let mut command = Command::new(binary());
        command.args(options);
        Pool::start_command(command)
    }

    pub fn start_command(mut command: Command) -> Pool {
        let (read, write) = std::io::pipe().expect("pipe");
        command.stdin(write);
        Pool::spawn(command, end_of(read))
    }

    /// Starts a pool that gets its socket as systemd passes it: descriptor 3, `LISTEN_FDS` and `LISTEN_PID`. Such a pool has
    /// no death pipe.
    pub fn start_inheriting(socket: OwnedFd, options: &[&str]) -> Pool {
        let mut command = Command::new("sh");
        let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" listen=inherited 3<&0 </dev/null";
        command
            .args(["-c", script])
            .arg(binary())
            .args(options)
            .stdin(socket);
        Pool::spawn(command, channel().1)
    }

    fn spawn(mut command: Command, death: Receiver<()>) -> Pool {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the pool");
        // The command holds a copy of what it gave away.
        drop(command);
        let stdout = lines(process.stdout.take().expect("stdout"));
        let stderr = lines(process.stderr.take().expect("stderr"));
        let mut pool = Pool {
            process,
            stdout,
            stderr,
            death,
            log: String::new(),
            address: String::new(),
        };
        let bound = pool
            .stdout
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("not bound: {}", pool.rest_of_log()));
        pool.address = bound
            .strip_prefix("bound ")
            .expect("the address")
            .to_owned();
        pool
    }

    /// Starts a pool and waits until it is ready.
    pub fn ready(options: &[&str]) -> Pool {
        let mut pool = Pool::start(options);
        pool.await_ready();
        pool
    }

    pub fn await_ready(&mut self) {
        self.wait_for("the pool is ready");
        assert_eq!(
            self.stdout.recv_timeout(PATIENCE).as_deref(),
            Ok("ready"),
            "the hook was called"
        );
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the next line of the log that contains the text, and returns it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) => {
                    let _ = writeln!(self.log, "{line}");
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in the log:\n{}", self.log),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}:\n{}", self.log)
                }
            }
        }
    }

    /// The pid in the next log line `worker PID (wN) TEXT`.
    #[track_caller]
    pub fn wait_for_worker(&mut self, text: &str) -> u32 {
        let line = self.wait_for(text);
        let pid = line
            .split_once("worker ")
            .and_then(|(_, rest)| rest.split(' ').next());
        pid.and_then(|pid| pid.parse().ok())
            .unwrap_or_else(|| panic!("no pid in {line:?}"))
    }

    /// What was logged so far and read.
    pub fn log(&self) -> &str {
        &self.log
    }

    fn rest_of_log(&mut self) -> &str {
        while let Ok(line) = self.stderr.recv_timeout(Duration::from_secs(5)) {
            let _ = writeln!(self.log, "{line}");
        }
        &self.log
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// The processes that the master has forked and not reaped.
    pub fn workers(&self) -> Vec<u32> {
        children(self.pid())
    }

    /// Sends one command over a connection of its own; returns the pid of the worker that answered.
    pub fn ask(&self, command: &str) -> u32 {
        ask(&self.address, command)
            .unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.log))
    }

    /// Waits for the master's end and returns its exit code; 256 + the signal when one killed it.
    pub fn exit(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("wait") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "the master does not end:\n{}",
                self.log
            );
            std::thread::sleep(POLL);
        };
        self.rest_of_log();
        status
            .code()
            .unwrap_or_else(|| 256 + status.signal().unwrap_or_default())
    }

    /// Waits until the master and all its workers are gone.
    pub fn all_gone(&self) {
        self.death
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("a process lives on:\n{}", self.log));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // Its workers hear the end of their control channels; those that a test made deaf are killed by hand.
            let workers = self.workers();
            let _ = self.process.kill();
            let _ = self.process.wait();
            for worker in workers {
                if name_of(worker).starts_with("pool-w") {
                    let _ = kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL);
                }
            }
        }
    }
}

pub fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal)
        .unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// One command over a connection of its own; the pid of the worker that answered.
pub fn ask(address: &str, command: &str) -> std::io::Result<u32> {
    let answer = answer(address, command)?;
    let pid = answer.split(' ').next().and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| std::io::Error::other(format!("the answer is {answer:?}")))
}

/// One command over a connection of its own; the whole answer.
pub fn answer(address: &str, command: &str) -> std::io::Result<String> {
    let mut answer = String::new();
    if let Some(path) = address.strip_prefix("unix:") {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{command}")?;
        stream.read_to_string(&mut answer)?;
    } else {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{command}")?;
        stream.read_to_string(&mut answer)?;
    }
    Ok(answer)
}

pub fn children(pid: u32) -> Vec<u32> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

pub fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// One field of /proc/PID/status.
pub fn status_of(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field}"))
        .trim()
        .to_owned()
}

/// Asks again until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(POLL);
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

fn end_of(mut pipe: PipeReader) -> Receiver<()> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        if pipe.read_to_end(&mut rest).is_ok() {
            let _ = send.send(());
        }
    });
    receive
}
