//! Log lines on standard error, never torn, whoever else writes there. Says who speaks (master, worker) and knows nothing of what
//! is said. What a line looks like is in `line`.
//!
//! A line is one write(2), but for a worker's records of calls: they wait in `held` for those of the same turn of its loop, since a
//! write costs as much as everything else that a record takes.

mod held;
mod line;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use held::Held;
use line::{Line, Style, priority};
use log::kv::Source;
use log::{Level, LevelFilter, Log};
use tine_worker::log_table;

/// Who logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A command that runs and ends.
    Command,
    Master,
    Worker {
        slot: u16,
        generation: u64,
    },
}

/// The role in one word that a forked child can replace without a lock: slot in the upper 16 bits, from 2.
static ROLE: AtomicU64 = AtomicU64::new(0);

const GENERATION_BITS: u32 = 48;

/// Says who logs from now on; the first thing a forked worker does.
pub fn set_role(role: Role) {
    let word = match role {
        Role::Command => 0,
        Role::Master => 1 << GENERATION_BITS,
        Role::Worker { slot, generation } => {
            (u64::from(slot).saturating_add(2) << GENERATION_BITS)
                | (generation & ((1 << GENERATION_BITS) - 1))
        }
    };
    PID.store(std::process::id(), Ordering::Relaxed);
    ROLE.store(word, Ordering::Relaxed);
}

/// The process that has the role: a worker has no children that log, so it need not ask the kernel for each line.
static PID: AtomicU32 = AtomicU32::new(0);

fn pid(role: Role) -> u32 {
    match role {
        Role::Worker { .. } => PID.load(Ordering::Relaxed),
        Role::Command | Role::Master => std::process::id(),
    }
}

fn role() -> Role {
    let word = ROLE.load(Ordering::Relaxed);
    match word >> GENERATION_BITS {
        0 => Role::Command,
        1 => Role::Master,
        slot => Role::Worker {
            slot: u16::try_from(slot - 2).unwrap_or(u16::MAX),
            generation: word & ((1 << GENERATION_BITS) - 1),
        },
    }
}

/// Lines are JSON: one word for the whole process, which a reload may change.
static JSON: AtomicBool = AtomicBool::new(false);

/// Begins logging at `level`, one of `off`, `error`, `warn`, `info`, `debug`, `trace`, in `format`, `text` or `json`. A second call
/// changes only these.
pub fn start(level: &str, format: &str) {
    let everywhere = Everywhere { style: style() };
    // Only tests start a logger twice.
    let _ = log::set_boxed_logger(Box::new(everywhere));
    set(level, format);
}

/// Logs at this level and in this format from now on.
pub fn set(level: &str, format: &str) {
    JSON.store(format == "json", Ordering::Relaxed);
    let level = level.parse().unwrap_or(LevelFilter::Info);
    LINES.store(level as usize, Ordering::Relaxed);
    log::set_max_level(level);
}

/// The log table takes records of this level, whichever have a line.
pub fn set_table(level: LevelFilter) {
    log::set_max_level(level.max(log::max_level()));
}

/// The least severe records that have a line.
static LINES: AtomicUsize = AtomicUsize::new(0);

/// A record's ways: a line, and the log table of a worker that has one.
struct Everywhere {
    style: Style,
}

impl Log for Everywhere {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record) {
        if record.level() as usize <= LINES.load(Ordering::Relaxed) {
            let message = record.args().to_string();
            let line = rendered(self.style, record.level(), &message, record.key_values());
            with_held(|held| held.push(line.as_bytes(), write_out));
            let may_wait =
                record.target() == tine_worker::RECORDS && matches!(role(), Role::Worker { .. });
            if !may_wait {
                self.flush();
            }
        }
        log_table::offer(record);
    }

    /// What a worker does at the end of each turn, and every process before it forks and at its end.
    fn flush(&self) {
        with_held(|held| held.release(write_out));
    }
}

/// Lines of this process that are not written yet.
static HELD: Mutex<Held> = Mutex::new(Held::none());

// What a panic left behind is still whole lines.
fn with_held(work: impl FnOnce(&mut Held)) {
    work(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner));
}

// A log that can't be written must not stop the service, and a rest would not be a line. Without std's lock and line splitting.
fn write_out(lines: &[u8]) {
    let _ = nix::unistd::write(io::stderr(), lines);
}

/// Writes a message as a line of the journal, whether or not logging has begun; false where standard error is something else.
pub fn to_journal(level: Level, message: &str) -> bool {
    let style = style();
    if style == Style::Journal {
        let nothing: [(&str, &str); 0] = [];
        write_out(rendered(style, level, message, &nothing.as_slice()).as_bytes());
    }
    style == Style::Journal
}

fn rendered(style: Style, level: Level, message: &str, pairs: &dyn Source) -> String {
    let role = role();
    let line = Line {
        style,
        time: jiff::Timestamp::now(),
        level,
        role,
        pid: pid(role),
        message,
        pairs,
    };
    match JSON.load(Ordering::Relaxed) {
        true => line.json(),
        false => line.text(),
    }
}

fn style() -> Style {
    if is_journal(io::stderr()) {
        Style::Journal
    } else if crate::terminal::colour(&io::stderr()) && io::stderr().is_terminal() {
        Style::Terminal
    } else {
        Style::Plain
    }
}

/// `JOURNAL_STREAM` is DEVICE:INODE of the journal's socket; the variable is inherited also where the output
/// was redirected since, so it must be compared (systemd.exec(5)).
fn is_journal(output: impl AsFd) -> bool {
    let Ok(stat) = nix::sys::stat::fstat(output.as_fd()) else {
        return false;
    };
    let stream = std::env::var("JOURNAL_STREAM");
    stream.is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// What begins a line of this level that goes to the journal through `output`; nothing if it goes elsewhere.
pub fn journal_prefix(output: impl AsFd, level: Level) -> String {
    match is_journal(output) {
        true => format!("<{}>", priority(level)),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_kept() {
        for given in [
            Role::Worker {
                slot: 0,
                generation: 0,
            },
            Role::Worker {
                slot: 63,
                generation: 9999,
            },
            Role::Master,
            Role::Command,
        ] {
            set_role(given);
            assert_eq!(role(), given);
        }
    }
}
