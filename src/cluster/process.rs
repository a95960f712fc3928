//! The server's process and the small shell that holds it. Knows nothing of SQL, of logins or of
//! what a cluster consists of.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ClusterError;

/// How long the supervisor may take to stop the server: its own limit of 5 s, and some room.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
const SHELL: &str = "/bin/sh";

/// Runs the postmaster until a line or the end of its input comes: `keep` keeps the folders,
/// anything else removes those named. Fast shutdown first (after waking a frozen server, which must
/// not stay behind), immediate shutdown after 5 s.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
postgres=$1 data=$2 log=$3; shift 3
"$postgres" -D "$data" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
exec >/dev/null
read -r order
kill -CONT "$server" $(cat "/proc/$server/task/$server/children"); kill -INT "$server"
( sleep 5; kill -QUIT "$server" ) &
limit=$!
wait "$server"
kill "$limit"
if [ "$order" != keep ] && [ $# -gt 0 ]; then rm -rf -- "$@"; fi
"#;

/// What happens to the server's files when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Keep,
    Remove,
}

/// A server and its supervisor. Dropping it stops the server and removes the folders it was told to remove.
#[derive(Debug)]
pub(super) struct Process {
    supervisor: Child,
    server: Pid,
}

impl Process {
    /// Starts `postgres` on `data` through `shell`, a command that already switches to the server's account.
    /// `remove` is removed once the server is stopped or its owner is dead.
    pub(super) fn spawn(
        mut shell: Command,
        postgres: &Path,
        data: &Path,
        log: &Path,
        remove: &[&Path],
    ) -> Result<Process, ClusterError> {
        let failed = |source| ClusterError::io("run", Path::new(SHELL), source);
        // Its own process group: a terminal's Ctrl-C is for the owner, which stops the server last.
        let mut supervisor = shell
            .args(["-c", SUPERVISOR, "tine-cluster"])
            .args([postgres, data, log])
            .args(remove)
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(pipe) = supervisor.stdout.take() {
            BufReader::new(pipe).read_line(&mut line).map_err(failed)?;
        }
        match line.trim().parse() {
            Ok(pid) => Ok(Process {
                supervisor,
                server: Pid::from_raw(pid),
            }),
            Err(_) => {
                let _ = supervisor.wait();
                Err(failed(io::Error::other(
                    "it ended before the server started",
                )))
            }
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.server.as_raw()
    }

    /// A zombie no longer runs: the supervisor reaps the server only when it is told to stop.
    pub(super) fn runs(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.server)) else {
            return false;
        };
        // proc_pid_stat(5): the state follows the last parenthesis of the program's name.
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim_start().chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }

    /// Stops the server and waits for its end. Does nothing the second time.
    pub(super) fn end(&mut self, files: Files) -> Result<(), ClusterError> {
        if let Some(mut pipe) = self.supervisor.stdin.take() {
            let order = if files == Files::Keep {
                "keep"
            } else {
                "remove"
            };
            // A supervisor that is gone already has done its work.
            let _ = writeln!(pipe, "{order}");
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            match self.supervisor.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(ClusterError::DidNotStop { pid: self.pid() }),
                Err(source) => return Err(ClusterError::io("wait for", Path::new(SHELL), source)),
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), ClusterError> {
        send(self.server, signal)
    }

    /// Signals the server's children: its backends and auxiliary processes.
    pub(super) fn signal_children(&self, signal: Signal) -> Result<(), ClusterError> {
        let list = PathBuf::from(format!("/proc/{0}/task/{0}/children", self.server));
        let children =
            fs::read_to_string(&list).map_err(|source| ClusterError::io("read", &list, source))?;
        for pid in children
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
        {
            match send(Pid::from_raw(pid), signal) {
                // It ended since we read the list.
                Ok(())
                | Err(ClusterError::Signal {
                    errno: Errno::ESRCH,
                    ..
                }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end(Files::Remove);
    }
}

fn send(pid: Pid, signal: Signal) -> Result<(), ClusterError> {
    kill(pid, signal).map_err(|errno| ClusterError::Signal {
        pid: pid.as_raw(),
        signal,
        errno,
    })
}
