//! One program of the operator's list: no shell, a cleared environment, its whole process group killed when the time is over, when
//! nobody waits any more, and behind it when it has ended.
//!
//! The recipe of sudo-rs and systemd for a child that must not inherit its parent's state: no descriptor but three, no blocked and no
//! ignored signal, a process group of its own.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Map;

use super::{Outcome, Run, Settings, content, text};
use crate::blocking::Cancel;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of the error output that are kept.
const COMPLAINT: usize = 4096;

pub fn perform(run: &Run, settings: &Settings, deadline: Instant, cancel: &Cancel) -> Outcome {
    let Some(program) = settings.programs.get(&run.program) else {
        return Outcome::failed(format!("the program {} is not configured", run.program));
    };
    let mut command = Command::new(&program.path);
    command
        .args(&run.arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .envs(&program.environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: the hook runs in the forked child of a process with threads: it makes system calls only, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(as_new);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::failed(format!("{} can't be run: {error}", run.program)),
    };
    Running {
        group: Pid::from_raw(child.id().cast_signed()),
        child,
    }
    .watch(run, deadline, cancel)
}

/// In the child: undoes what a worker is set up with.
fn as_new() -> std::io::Result<()> {
    // Dispositions that ignore a signal survive exec(2); those with handlers don't. std has emptied the mask already.
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: resets a disposition to its default; numbers that can't be changed are refused, which is fine.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    // SAFETY: marks descriptors as close-on-exec: none is closed here, so std's own are not disturbed.
    unsafe {
        libc::close_range(
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC.cast_signed(),
        );
        // A worker that is killed takes its programs along.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    Ok(())
}

struct Running {
    child: Child,
    group: Pid,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Also what it has started in the background. The group exists until its leader is reaped, so this hits nobody else.
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// One of its outputs.
struct Pipe<R> {
    source: Option<R>,
    kept: Vec<u8>,
    most: usize,
    over: bool,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(source: Option<R>, most: usize) -> Pipe<R> {
        if let Some(source) = &source {
            // A pipe takes it.
            let _ = fcntl(source, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        Pipe {
            source,
            kept: Vec::new(),
            most,
            over: false,
        }
    }

    /// Takes what is there. An output that nobody keeps is read all the same, or the program would wait.
    fn drain(&mut self) {
        let mut chunk = [0; 16 * 1024];
        while let Some(source) = &mut self.source {
            match source.read(&mut chunk) {
                Ok(0) => self.source = None,
                Ok(count) => {
                    let room = self.most.saturating_sub(self.kept.len());
                    self.over |= count > room;
                    self.kept
                        .extend_from_slice(chunk.get(..count.min(room)).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.source = None,
            }
            if self.over {
                return;
            }
        }
    }
}

impl Running {
    fn watch(mut self, run: &Run, deadline: Instant, cancel: &Cancel) -> Outcome {
        let mut output = Pipe::new(self.child.stdout.take(), run.max_bytes);
        let mut complaint = Pipe::new(self.child.stderr.take(), COMPLAINT);
        loop {
            wait(&output, &complaint);
            output.drain();
            complaint.drain();
            // The first of its error output is enough.
            complaint.over = false;
            if output.over {
                let most = run.max_bytes;
                return Outcome::failed(format!(
                    "{} printed more than {most} bytes and was ended",
                    run.program
                ));
            }
            // Its output may be held open by a process that it left in the background: its own end counts. Not reaped yet, lest its
            // group's number be given away.
            match self.ended() {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    return Outcome::failed(format!("{} can't be watched: {error}", run.program));
                }
            }
            if cancel.is_cancelled() {
                return Outcome::failed(format!("{} was ended: nobody waits for it", run.program));
            }
            if Instant::now() >= deadline {
                return Outcome::failed(format!(
                    "{} did not end in time and was killed",
                    run.program
                ));
            }
        }
        output.drain();
        complaint.drain();
        let _ = killpg(self.group, Signal::SIGKILL);
        match self.child.wait() {
            Ok(status) => told(run, status, &output.kept, &complaint.kept),
            Err(error) => Outcome::failed(format!("{} can't be watched: {error}", run.program)),
        }
    }

    fn ended(&self) -> nix::Result<bool> {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        Ok(waitid(Id::Pid(self.group), flags)? != WaitStatus::StillAlive)
    }
}

/// Until there is something to read, or it is time to look at the program itself.
fn wait<A: AsFd, B: AsFd>(output: &Pipe<A>, complaint: &Pipe<B>) {
    let mut watched = Vec::with_capacity(2);
    let ready = PollFlags::POLLIN;
    watched.extend(
        output
            .source
            .as_ref()
            .map(|s| PollFd::new(s.as_fd(), ready)),
    );
    watched.extend(
        complaint
            .source
            .as_ref()
            .map(|s| PollFd::new(s.as_fd(), ready)),
    );
    let patience = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    let _ = poll(&mut watched, patience);
}

fn told(run: &Run, status: ExitStatus, output: &[u8], complaint: &[u8]) -> Outcome {
    let mut fields = Map::new();
    fields.insert("exit".into(), status.code().into());
    fields.insert("signal".into(), status.signal().into());
    content(&mut fields, "stdout", output);
    let complaint = text(complaint);
    let line = complaint
        .trim()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    fields.insert("stderr".into(), complaint.into());
    if status.success() {
        return Outcome::done(fields);
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    };
    let more = if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    };
    Outcome {
        fields,
        ..Outcome::failed(format!("{} {how}{more}", run.program))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::thread;

    use super::super::Program;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell() -> Settings {
        let program = |path: &str| Program {
            path: path.into(),
            environment: BTreeMap::from([("OWN".to_owned(), "yes".to_owned())]),
        };
        let programs = [("sh", program("/bin/sh")), ("none", program("/no/such"))];
        Settings {
            programs: programs.map(|(name, p)| (name.to_owned(), p)).into(),
            ..Settings::default()
        }
    }

    fn run(script: &str, limit: Duration) -> Outcome {
        let run = Run {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into(), "sh".into(), "a b; $x".into()],
            max_bytes: 1000,
        };
        perform(&run, &shell(), Instant::now() + limit, &Cancel::default())
    }

    #[test]
    fn its_output_is_the_result_and_its_world_is_clean() {
        let outcome = run(
            "printf '%s|' \"$1\" \"$OWN\" \"$HOME\" \"$PWD\"; ls /proc/self/fd | wc -l; echo bad >&2",
            LONG,
        );
        assert!(outcome.ok, "{outcome:?}");
        // ls itself holds the folder open.
        assert_eq!(outcome.fields["stdout"], "a b; $x|yes||/|4\n");
        assert_eq!(outcome.fields["stderr"], "bad\n");
        let json = run("echo '{\"a\":[1]}'", LONG);
        assert_eq!(json.fields["json"]["a"][0], 1);
        let outcome = run("grep -E 'Sig(Blk|Ign)' /proc/self/status", LONG);
        let text = outcome.fields["stdout"].as_str().unwrap();
        for line in text.lines() {
            // The C library keeps two signals to itself, from number 32 on, and lets nobody change them.
            let bits = line.rsplit('\t').next().unwrap();
            assert_eq!(
                u64::from_str_radix(bits, 16).unwrap() & 0x7fff_ffff,
                0,
                "{text}"
            );
        }
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn failures_say_how() {
        let outcome = run("echo 'no luck' >&2; exit 3", LONG);
        assert_eq!(outcome.error.unwrap(), "sh ended with status 3: no luck");
        assert_eq!(outcome.fields["exit"], 3);
        let outcome = run("kill -9 $$", LONG);
        assert_eq!(outcome.error.unwrap(), "sh was ended by signal 9");
        let outcome = run("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx; done", LONG);
        assert!(outcome.error.unwrap().contains("more than 1000 bytes"));
        for (name, part) in [("none", "can't be run"), ("unknown", "is not configured")] {
            let run = Run {
                program: name.into(),
                arguments: Vec::new(),
                max_bytes: 10,
            };
            let outcome = perform(&run, &shell(), Instant::now() + LONG, &Cancel::default());
            assert!(outcome.error.unwrap().contains(part));
        }
    }

    /// Gone, or dead and not yet reaped by whoever is its parent now.
    fn is_gone(pid: &str) -> bool {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat
                .rsplit(')')
                .next()
                .is_some_and(|s| s.trim_start().starts_with('Z')),
            Err(_) => true,
        }
    }

    #[test]
    fn the_whole_group_ends_with_it() {
        let note = std::env::temp_dir().join(format!("tine-program-{}", std::process::id()));
        let background = format!("sleep 600 & echo $! > {}", note.display());
        let pid = || fs::read_to_string(&note).unwrap().trim().to_owned();
        let until_gone = |pid: &str| {
            let end = Instant::now() + LONG;
            while !is_gone(pid) {
                assert!(Instant::now() < end, "{pid} is left");
                thread::yield_now();
            }
        };
        // The background process holds the output open.
        assert!(run(&background, LONG).ok);
        until_gone(&pid());
        let outcome = run(&format!("{background}; wait"), Duration::from_millis(300));
        assert!(outcome.error.unwrap().contains("did not end in time"));
        until_gone(&pid());
        fs::remove_file(&note).unwrap();

        let cancel = Cancel::default();
        cancel.cancel();
        let run = Run {
            program: "sh".into(),
            arguments: vec!["-c".into(), "sleep 600".into()],
            max_bytes: 10,
        };
        let outcome = perform(&run, &shell(), Instant::now() + LONG, &cancel);
        assert!(outcome.error.unwrap().contains("nobody waits"));
    }
}
