//! A real systemd for tests: this machine's own system booted as a container, with Tine installed in it. It has a network of
//! its own, and nothing of it is left when the tests end. Knows no single instance of Tine: see [`super::instance`].

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use serde_json::Value;

use super::{process, wait};

const BOOT: &str = include_str!("systemd/boot.sh");
/// What `boot.sh` exits with where there can be no container.
const CANNOT: i32 = 77;

/// A booted system. Dropping it ends it.
pub struct Machine {
    holder: Child,
    /// Its first process, by the number that it has out here.
    leader: i32,
    folder: PathBuf,
}

/// The machine that tests share, with Tine installed; none where systemd can't boot, after a line that says why.
pub fn shared() -> Option<&'static Machine> {
    static SHARED: OnceLock<Result<Machine, String>> = OnceLock::new();
    let machine = SHARED.get_or_init(|| {
        let machine = Machine::boot()?;
        let (code, text) = machine.install(&[]);
        assert_eq!(code, Some(0), "{text}");
        Ok(machine)
    });
    or_skip(machine.as_ref())
}

/// A machine for one test, without Tine; none where systemd can't boot, after a line that says why.
pub fn own() -> Option<Machine> {
    or_skip(Machine::boot())
}

fn or_skip<M>(machine: Result<M, impl std::fmt::Display>) -> Option<M> {
    machine
        .inspect_err(|reason| skip(&format!("no systemd can boot here: {reason}")))
        .ok()
}

/// Says why the current test is skipped, on the terminal also when tests that pass are silent.
pub fn skip(reason: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or_default();
    let line = format!("{test}: skipped, because {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Why units can't be verified here, if so.
pub fn no_analyze() -> Option<String> {
    missing("systemd-analyze")
}

fn missing(program: &str) -> Option<String> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => None,
        _ => Some(format!("{program} is missing")),
    }
}

impl Machine {
    /// Boots. `Err` says why this machine can't.
    fn boot() -> Result<Machine, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            return Err("only root can".to_owned());
        }
        let programs = ["systemd-nspawn", "nsenter", "unshare"];
        if let Some(reason) = programs.into_iter().find_map(missing) {
            return Err(reason);
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tine-systemd-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).expect("a folder of our own");
        let log = console(&folder);
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", BOOT, "boot.sh"])
            .arg(&folder)
            .arg(&name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            // Ctrl-C in a terminal is for the tests; their end is the container's.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("its output");
        let Ok(container) = line.trim().parse() else {
            let status = holder.wait().expect("its end");
            let words = fs::read_to_string(&log).unwrap_or_default();
            let _ = fs::remove_file(&log);
            let cannot = status.code() == Some(CANNOT) || words.starts_with("unshare: ");
            assert!(cannot, "{words}");
            let _ = fs::remove_dir(&folder);
            return Err(words.trim().replace('\n', "; "));
        };
        let mut machine = Machine {
            holder,
            leader: 0,
            folder,
        };
        machine.leader = wait::for_some("the container's first process", || {
            let console = fs::read_to_string(console(&machine.folder));
            assert!(process::exists(container), "{console:?}");
            let children = process::children(container);
            children.into_iter().find(|pid| is_init(*pid))
        });
        wait::until("the container has booted", || {
            let state = machine
                .command("systemctl")
                .arg("is-system-running")
                .output();
            let state = state.expect("nsenter runs");
            state.stdout.starts_with(b"running") || state.stdout.starts_with(b"degraded")
        });
        Ok(machine)
    }

    /// A path of the machine as one of ours.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let root = PathBuf::from(format!("/proc/{}/root", self.leader));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Writes a file of the machine, readable by everybody in it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
    }

    /// A program in the machine.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.leader.to_string())
            .args(["--all", "--wdns=/", "--", program])
            .stdin(Stdio::null());
        command
    }

    /// Runs a program in the machine to its end: exit code, and both streams.
    pub fn run(&self, program: &str, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(program).args(words).output();
        let output = output.expect("nsenter runs");
        (output.status.code(), both(&output))
    }

    /// `systemctl` with these words; panics when it fails.
    #[track_caller]
    pub fn systemctl(&self, words: &[&str]) -> String {
        let (code, text) = self.run("systemctl", words);
        assert_eq!(code, Some(0), "systemctl {}: {text}", words.join(" "));
        text
    }

    /// One property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        let value = self.systemctl(&["show", "--value", "--property", name, unit]);
        value.trim_end().to_owned()
    }

    /// `tine install` with the program under test: exit code, and both streams.
    pub fn install(&self, words: &[&str]) -> (Option<i32>, String) {
        let program = "/run/tine-under-test";
        if !self.path(program).exists() {
            let place = self.path(program);
            fs::copy(env!("CARGO_BIN_EXE_tine"), &place).expect("a copy of the program");
        }
        self.run(program, &[&["install"], words].concat())
    }

    /// Everything that the journal has of a unit: what it wrote, and what systemd says of it.
    pub fn journal(&self, unit: &str) -> Vec<Entry> {
        let output = self
            .command("journalctl")
            .args(["--unit", unit, "--output=json", "--no-pager", "--all"])
            .output()
            .expect("nsenter runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(Entry::parse).collect()
    }

    /// Runs `body` in a thread whose sockets are in the machine's network.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).expect("a namespace");
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(&network, CloneFlags::CLONE_NEWNET).expect("into the network");
                body()
            });
            match inside.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// What the container prints while it boots; `boot.sh` removes it.
fn console(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

/// Whether the process is the first of a namespace of processes, and systemd.
fn is_init(pid: i32) -> bool {
    let first = process::status(pid, "NSpid").is_some_and(|list| list.ends_with("\t1"));
    first && process::status(pid, "Name").is_some_and(|name| name == "systemd")
}

fn both(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream))
        .concat()
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As in syslog(3): 3 is an error, 4 a warning, 6 information.
    pub priority: u8,
    pub message: String,
    /// `tine`, or `systemd` for what that says of the unit.
    pub speaker: String,
}

impl Entry {
    fn parse(line: &str) -> Entry {
        let fields: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        Entry {
            priority: text("PRIORITY").parse().unwrap_or(u8::MAX),
            message: text("MESSAGE"),
            speaker: text("SYSLOG_IDENTIFIER"),
        }
    }
}
