//! Log lines on standard error: one line, one write(2), whoever else writes there. Says who speaks (master, worker)
//! and knows nothing of what is said. What a line looks like is in `line`.

mod line;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use env_logger::{Target, WriteStyle};
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
    ROLE.store(word, Ordering::Relaxed);
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
    let style = style();
    let lines = env_logger::Builder::new()
        .filter_level(LevelFilter::Trace)
        .target(Target::Pipe(Box::new(Lines)))
        .write_style(WriteStyle::Never)
        .format(move |out, record| {
            let message = record.args().to_string();
            let line = rendered(style, record.level(), &message, record.key_values());
            out.write_all(line.as_bytes())
        })
        .build();
    // Only tests start a logger twice.
    let _ = log::set_boxed_logger(Box::new(Everywhere(lines)));
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
struct Everywhere(env_logger::Logger);

impl Log for Everywhere {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record) {
        if record.level() as usize <= LINES.load(Ordering::Relaxed) {
            self.0.log(record);
        }
        log_table::offer(record);
    }

    fn flush(&self) {}
}

/// Writes a message as a line of the journal, whether or not logging has begun; false where standard error is something else.
pub fn to_journal(level: Level, message: &str) -> bool {
    let style = style();
    if style == Style::Journal {
        let nothing: [(&str, &str); 0] = [];
        let _ = Lines.write(rendered(style, level, message, &nothing.as_slice()).as_bytes());
    }
    style == Style::Journal
}

fn rendered(style: Style, level: Level, message: &str, pairs: &dyn Source) -> String {
    let line = Line {
        style,
        time: jiff::Timestamp::now(),
        level,
        role: role(),
        pid: std::process::id(),
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

/// Standard error without std's lock and line splitting: each buffer is one write(2).
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A log that can't be written must not stop the service, and a rest would not be a line.
        let _ = nix::unistd::write(io::stderr(), bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
