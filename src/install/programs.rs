//! The system's own programs, run to their end: systemctl, systemd-analyze, systemd-sysusers. Knows nothing of what is installed.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::error::InstallError;

/// Longer than a unit may take to stop and start again (`TimeoutStopSec=` and `TimeoutStartSec=`), so that systemd's word comes first.
const DEADLINE: Duration = Duration::from_secs(120);

/// What it printed on standard output.
///
/// # Errors
/// It can't be started, didn't end, or failed.
pub fn run(command: &mut Command) -> Result<String, InstallError> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(InstallError::Failed {
        command: words(command),
        code: output.status.code(),
        output: printed(&output),
    })
}

/// What it printed and how it ended.
///
/// # Errors
/// It can't be started, or didn't end in time.
pub fn output(command: &mut Command) -> Result<Output, InstallError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let fail = |what: String| InstallError::Program {
        program: program.clone(),
        what,
    };
    let mut child = command
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => fail("isn't installed here".to_owned()),
            _ => fail(format!("can't be started: {error}")),
        })?;
    let deadline = Instant::now() + DEADLINE;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(fail(format!("didn't end within {} s", DEADLINE.as_secs())));
            }
            Err(error) => return Err(fail(format!("can't be waited for: {error}"))),
        }
    }
    child
        .wait_with_output()
        .map_err(|error| fail(format!("can't be read: {error}")))
}

/// Both streams as text, standard error first: it says why.
pub fn printed(output: &Output) -> String {
    let both = [&output.stderr, &output.stdout];
    both.map(|stream| String::from_utf8_lossy(stream)).concat()
}

/// `systemctl` with these words.
///
/// # Errors
/// As [`run`].
pub fn systemctl(words: &[&str]) -> Result<String, InstallError> {
    run(Command::new("systemctl").args(words))
}

/// Whether systemd is this machine's first process (sd_booted(3)).
pub fn booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// systemd's version, such as 252.
///
/// # Errors
/// It isn't here, or says something unheard of.
pub fn version() -> Result<u32, InstallError> {
    let text = systemctl(&["--version"])?;
    let number = text
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok());
    number.ok_or_else(|| InstallError::Program {
        program: "systemctl --version".to_owned(),
        what: format!("said {text:?}"),
    })
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
