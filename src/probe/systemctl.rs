//! Runs systemctl: asks for a unit's state, orders its restart. Every run has a deadline. Decides nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::unit::{PROPERTIES, Unit};
use crate::client::excerpt;

/// How long systemctl may take. It only queues what it is ordered, so this is a bus call and an answer; the bus itself gives up
/// after 25 s.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often it is looked whether the program has ended.
const TICK: Duration = Duration::from_millis(5);
/// Bytes of its output that are read.
const MOST: u64 = 64 << 10;

#[derive(Debug)]
pub enum SystemctlError {
    Run {
        program: PathBuf,
        source: io::Error,
    },
    TooLate,
    /// It failed, with these words.
    Refused(String),
    /// Its answer lacks this property.
    Odd(&'static str),
}

impl fmt::Display for SystemctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SystemctlError::Run { program, source } => {
                write!(f, "can't run {}: {source}", program.display())
            }
            SystemctlError::TooLate => {
                write!(f, "systemctl took longer than {} s", DEADLINE.as_secs())
            }
            SystemctlError::Refused(words) => write!(f, "systemctl failed: {words}"),
            SystemctlError::Odd(property) => write!(f, "systemctl doesn't tell {property}"),
        }
    }
}

impl std::error::Error for SystemctlError {}

pub struct Systemctl {
    program: PathBuf,
}

impl Systemctl {
    pub fn new(program: PathBuf) -> Systemctl {
        Systemctl { program }
    }

    /// # Errors
    /// See [`SystemctlError`].
    pub fn show(&self, unit: &str) -> Result<Unit, SystemctlError> {
        let properties = format!("--property={PROPERTIES}");
        let text = self.run(&["show", "--no-pager", &properties, "--", unit])?;
        Unit::parse(&text).map_err(SystemctlError::Odd)
    }

    /// Queues the restart and doesn't wait for it: a stop may take half a minute, and the next probe sees what came of it.
    ///
    /// # Errors
    /// See [`SystemctlError`].
    pub fn restart(&self, unit: &str) -> Result<(), SystemctlError> {
        let words = ["restart", "--no-block", "--no-ask-password", "--", unit];
        self.run(&words).map(|_| ())
    }

    fn run(&self, words: &[&str]) -> Result<String, SystemctlError> {
        let failed = |source| SystemctlError::Run {
            program: self.program.clone(),
            source,
        };
        // A file in memory and not a pipe: the program never waits for us to read.
        let mut output = output().map_err(failed)?;
        let mut child = Command::new(&self.program)
            .args(words)
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .env_remove("TINE_TOKEN")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let status = wait(&mut child, Instant::now() + DEADLINE).map_err(failed)?;
        let status = status.ok_or(SystemctlError::TooLate)?;
        let mut bytes = Vec::new();
        output.rewind().map_err(failed)?;
        let read = Read::by_ref(&mut output).take(MOST).read_to_end(&mut bytes);
        read.map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match (status.success(), excerpt(&text)) {
            (true, _) => Ok(text),
            (false, words) if words.is_empty() => Err(SystemctlError::Refused(status.to_string())),
            (false, words) => Err(SystemctlError::Refused(words)),
        }
    }
}

fn output() -> io::Result<File> {
    let descriptor = memfd_create(c"systemctl", MFdFlags::MFD_CLOEXEC)?;
    Ok(File::from(descriptor))
}

/// How it ended; `None` when it had to be killed.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(TICK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(wait(&mut child, soon).unwrap(), None);
        assert!(child.try_wait().unwrap().is_some(), "nobody is left");
    }

    #[test]
    fn what_a_program_says_is_its_answer_or_its_excuse() {
        let shell = Systemctl::new("/bin/sh".into());
        let run = |line| shell.run(&["-c", line]);
        assert_eq!(run("echo out; echo err >&2").unwrap(), "out\nerr\n");
        let said = |line| run(line).unwrap_err().to_string();
        assert_eq!(
            said("echo Access denied >&2; echo more; exit 4"),
            "systemctl failed: Access denied"
        );
        assert!(said("exit 3").contains("exit status: 3"));
        let most = run("head -c 1000000 /dev/zero").unwrap();
        assert_eq!(most.len() as u64, MOST);
        let nowhere = Systemctl::new("/nowhere/systemctl".into()).show("a.service");
        assert!(
            nowhere
                .unwrap_err()
                .to_string()
                .contains("can't run /nowhere/systemctl")
        );
    }
}
