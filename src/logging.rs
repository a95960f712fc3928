//! Log lines on standard error: one line, one write(2), whoever else writes there. Says who speaks (master, worker)
//! and knows nothing of what is said.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use env_logger::{Target, WriteStyle};
use log::{Level, LevelFilter};

/// The longest line, its end included: writes of up to PIPE_BUF bytes to a pipe are never mixed (pipe(7)).
const LONGEST: usize = 4096;

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

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// The time and the level.
    Plain,
    /// The same, the level in colour.
    Terminal,
    /// A priority such as `<6>`; the journal keeps the time itself (sd-daemon(3)).
    Journal,
}

/// Begins logging at `level`, one of `off`, `error`, `warn`, `info`, `debug`, `trace`. A second call changes only the level.
pub fn start(level: &str) {
    let style = style();
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(LevelFilter::Trace)
        .target(Target::Pipe(Box::new(Lines)))
        .write_style(WriteStyle::Never)
        .format(move |out, record| {
            let message = record.args().to_string();
            let time = jiff::Timestamp::now();
            out.write_all(
                line(
                    style,
                    time,
                    record.level(),
                    role(),
                    std::process::id(),
                    &message,
                )
                .as_bytes(),
            )
        });
    // Only tests start a logger twice.
    let _ = builder.try_init();
    set_level(level);
}

/// Logs at this level from now on.
pub fn set_level(level: &str) {
    log::set_max_level(level.parse().unwrap_or(LevelFilter::Info));
}

/// Writes a message as a line of the journal, whether or not logging has begun; false where standard error is something else.
pub fn to_journal(level: Level, message: &str) -> bool {
    let style = style();
    if style == Style::Journal {
        let (time, pid) = (jiff::Timestamp::now(), std::process::id());
        let _ = Lines.write(line(style, time, level, role(), pid, message).as_bytes());
    }
    style == Style::Journal
}

/// The whole line with its end.
fn line(
    style: Style,
    time: jiff::Timestamp,
    level: Level,
    role: Role,
    pid: u32,
    message: &str,
) -> String {
    let mut line = String::with_capacity(message.len() + 64);
    let _ = match style {
        Style::Journal => write!(line, "<{}>", priority(level)),
        Style::Plain => write!(line, "{time:.3} {level:<5} "),
        Style::Terminal => write!(
            line,
            "{time:.3} \u{1b}[{}m{level:<5}\u{1b}[0m ",
            colour(level)
        ),
    };
    let _ = match role {
        Role::Command => write!(line, "tine[{pid}] "),
        Role::Master => write!(line, "master[{pid}] "),
        Role::Worker { slot, generation } => write!(line, "worker {slot}.{generation}[{pid}] "),
    };
    // A line end within the message would let a caller forge lines.
    for character in message.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            character if character.is_control() => line.extend(character.escape_default()),
            character => line.push(character),
        }
        if line.len() > LONGEST {
            break;
        }
    }
    if line.len() >= LONGEST {
        let longest = LONGEST - 1 - "…".len();
        let end = (0..=longest).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or(0));
        line.push('…');
    }
    line.push('\n');
    line
}

/// syslog(3)'s numbers.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "1;31",
        Level::Warn => "1;33",
        Level::Info => "32",
        Level::Debug | Level::Trace => "2",
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

    fn plain(style: Style, role: Role, message: &str) -> String {
        line(
            style,
            jiff::Timestamp::UNIX_EPOCH,
            Level::Info,
            role,
            7,
            message,
        )
    }

    #[test]
    fn a_line_names_time_level_and_speaker() {
        let worker = Role::Worker {
            slot: 3,
            generation: 12,
        };
        assert_eq!(
            plain(Style::Plain, Role::Master, "up"),
            "1970-01-01T00:00:00.000Z INFO  master[7] up\n"
        );
        assert_eq!(
            plain(Style::Journal, worker, "up"),
            "<6>worker 3.12[7] up\n"
        );
        assert_eq!(
            plain(Style::Journal, Role::Command, "up"),
            "<6>tine[7] up\n"
        );
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        assert_eq!(
            plain(Style::Journal, Role::Master, "a\n<0>b\r\u{1b}[2Jé"),
            "<6>master[7] a\\n<0>b\\r\\u{1b}[2Jé\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_within_what_a_pipe_takes_at_once() {
        for filler in ["x", "é", "…", "\u{1b}"] {
            for length in [LONGEST - 64, LONGEST - 1, LONGEST, LONGEST * 3] {
                let line = plain(Style::Journal, Role::Master, &filler.repeat(length));
                assert!(line.len() <= LONGEST, "{filler} {length}: {}", line.len());
                assert_eq!(line.matches('\n').count(), 1);
                assert!(line.ends_with('\n'));
            }
        }
    }

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
