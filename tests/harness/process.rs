//! What the kernel says of processes: proc(5), and a pipe whose end of file proves that all of them are gone.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{SysconfVar, pipe2, sysconf};

/// A pipe whose write end every process of one server inherits, and nobody else: it reports its end
/// when the last of them has gone, however it went.
pub struct DeathPipe {
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl DeathPipe {
    pub fn new() -> DeathPipe {
        // Close-on-exec, so that servers of other tests, forked at the same moment, don't get it.
        let (read, write) = pipe2(OFlag::O_CLOEXEC).expect("pipe");
        DeathPipe {
            read,
            write: Some(write),
        }
    }

    /// For [`inherit`], until [`DeathPipe::let_go`].
    pub fn write_end(&self) -> BorrowedFd<'_> {
        self.write.as_ref().expect("before let_go").as_fd()
    }

    /// Closes our own copy of the write end.
    pub fn let_go(&mut self) {
        self.write = None;
    }

    /// Whether all who held the write end are gone within `limit`.
    pub fn all_gone(&self, limit: Duration) -> bool {
        assert!(
            self.write.is_none(),
            "this process still holds the write end"
        );
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.min(Duration::from_secs(3600)))
                .expect("an hour at most");
            let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(count) => return count > 0,
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => panic!("poll: {errno}"),
            }
        }
    }
}

/// Lets a program keep `fd` across exec. For a `pre_exec` hook: it only makes one system call.
pub fn inherit(fd: RawFd) -> io::Result<()> {
    // SAFETY: the hook runs in the child between fork and exec, where every descriptor of the parent is still open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Whether the process exists, be it as a zombie.
pub fn exists(pid: i32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

/// Direct children, zombies among them.
pub fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

/// A field of `/proc/PID/status`, without its name.
pub fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_string())
}

/// A signal set of `/proc/PID/status` (`SigBlk`, `SigIgn`, `SigCgt`): bit 0 is signal 1.
pub fn signals(pid: i32, field: &str) -> u64 {
    let mask = status(pid, field).expect("a living process");
    u64::from_str_radix(&mask, 16).expect("a mask")
}

/// Open descriptors and what they lead to, as readlink(2) shows it.
pub fn descriptors(pid: i32) -> Vec<(RawFd, String)> {
    let mut found: Vec<(RawFd, String)> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("a living process")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((
                number,
                fs::read_link(entry.path())
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            ))
        })
        .collect();
    found.sort();
    found
}

/// Threads of the process.
pub fn threads(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// User and system time that the process has used.
pub fn cpu_time(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    // proc_pid_stat(5): fields 14 and 15; counting starts behind the name's last parenthesis with field 3.
    let fields = stat.rsplit(')').next().expect("fields behind the name");
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK)
        .expect("sysconf")
        .expect("a clock");
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}
