//! What a log line looks like: for people or for machines, never longer than a pipe takes at once. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use log::Level;
use log::kv::Source;
use tine_worker::pairs;

use super::Role;

/// The longest line, its end included.
const LONGEST: usize = super::held::MOST;

/// Room for what most lines hold beside their message.
const USUAL: usize = 448;

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The time and the level.
    Plain,
    /// The same, the level in colour.
    Terminal,
    /// A priority such as `<6>`; the journal keeps the time itself (sd-daemon(3)).
    Journal,
}

/// Everything that a line tells.
pub struct Line<'a> {
    pub style: Style,
    pub time: Timestamp,
    pub level: Level,
    pub role: Role,
    pub pid: u32,
    pub message: &'a str,
    pub pairs: &'a dyn Source,
}

impl Line<'_> {
    /// `TIME LEVEL ROLE[PID] MESSAGE key=value`, with its end.
    pub fn text(&self) -> String {
        let (time, level, pid) = (self.time, self.level, self.pid);
        let mut line = String::with_capacity(self.message.len() + USUAL);
        // Writing to a String cannot fail, here and below.
        let _ = match self.style {
            Style::Journal => write!(line, "<{}>", priority(level)),
            Style::Plain => write!(line, "{time:.3} {level:<5} "),
            Style::Terminal => write!(
                line,
                "{time:.3} \u{1b}[{}m{level:<5}\u{1b}[0m ",
                colour(level)
            ),
        };
        let _ = match self.role {
            Role::Command => write!(line, "tine[{pid}] "),
            Role::Master => write!(line, "master[{pid}] "),
            Role::Worker { slot, generation } => write!(line, "worker {slot}.{generation}[{pid}] "),
        };
        let pairs = pairs::text(self.pairs);
        let longest = LONGEST - pairs.len() - 1;
        // A line end within the message would let a caller forge lines.
        for character in self.message.chars() {
            match character {
                '\n' => line.push_str("\\n"),
                character if character.is_control() => line.extend(character.escape_default()),
                character => line.push(character),
            }
            if line.len() > longest {
                line.truncate(floor(&line, longest - "…".len()));
                line.push('…');
                break;
            }
        }
        line.push_str(&pairs);
        line.push('\n');
        line
    }

    /// One JSON object, with its end. The journal still gets the priority before it, which it takes away.
    pub fn json(&self) -> String {
        let mut line = String::with_capacity(self.message.len() + USUAL);
        if self.style == Style::Journal {
            let _ = write!(line, "<{}>", priority(self.level));
        }
        let level = self.level.as_str().to_ascii_lowercase();
        let _ = write!(
            line,
            "{{\"time\":\"{:.3}\",\"level\":\"{level}\"",
            self.time
        );
        let _ = match self.role {
            Role::Command => write!(line, ",\"role\":\"command\""),
            Role::Master => write!(line, ",\"role\":\"master\""),
            Role::Worker { slot, generation } => write!(
                line,
                ",\"role\":\"worker\",\"slot\":{slot},\"generation\":{generation}"
            ),
        };
        let _ = write!(line, ",\"pid\":{},\"message\":", self.pid);
        let pairs = pairs::json(self.pairs);
        let room = LONGEST - line.len() - pairs.len() - ",}\n".len();
        line.push_str(&quoted(self.message, room));
        if !pairs.is_empty() {
            line.push(',');
            line.push_str(&pairs);
        }
        line.push_str("}\n");
        line
    }
}

/// The message as a JSON string of at most so many bytes.
fn quoted(message: &str, room: usize) -> String {
    let mut text = String::new();
    pairs::quote(&mut text, message);
    let mut kept = message.len().min(room);
    // Escaping makes a text longer by no known factor; a line that is too long is rare.
    while text.len() > room && kept > 0 {
        kept = floor(message, kept * 3 / 4);
        text.clear();
        pairs::quote(&mut text, &format!("{}…", &message[..kept]));
    }
    text
}

/// The last place at or before `at` where a text can be cut.
fn floor(text: &str, at: usize) -> usize {
    let end = (0..=at.min(text.len())).rev();
    end.into_iter()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// syslog(3)'s numbers.
pub fn priority(level: Level) -> u8 {
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

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn with(style: Style, role: Role, message: &str, pairs: Pairs, json: bool) -> String {
        let line = Line {
            style,
            time: Timestamp::UNIX_EPOCH,
            level: Level::Info,
            role,
            pid: 7,
            message,
            pairs: &pairs,
        };
        if json { line.json() } else { line.text() }
    }

    fn text(style: Style, role: Role, message: &str) -> String {
        with(style, role, message, &[], false)
    }

    const WORKER: Role = Role::Worker {
        slot: 3,
        generation: 12,
    };

    #[test]
    fn a_line_names_time_level_and_speaker() {
        assert_eq!(
            text(Style::Plain, Role::Master, "up"),
            "1970-01-01T00:00:00.000Z INFO  master[7] up\n"
        );
        assert_eq!(
            text(Style::Terminal, Role::Master, "up"),
            "1970-01-01T00:00:00.000Z \u{1b}[32mINFO \u{1b}[0m master[7] up\n"
        );
        assert_eq!(text(Style::Journal, WORKER, "up"), "<6>worker 3.12[7] up\n");
        assert_eq!(text(Style::Journal, Role::Command, "up"), "<6>tine[7] up\n");
    }

    #[test]
    fn pairs_follow_the_message() {
        let pairs = [("request", "r-1"), ("client", "bot 1")];
        assert_eq!(
            with(Style::Journal, WORKER, "list ok", &pairs, false),
            "<6>worker 3.12[7] list ok request=r-1 client=\"bot 1\"\n"
        );
        assert_eq!(
            with(Style::Plain, WORKER, "list \"ok\"", &pairs, true),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"role\":\"worker\",\"slot\":3,\"generation\":12,\
             \"pid\":7,\"message\":\"list \\\"ok\\\"\",\"request\":\"r-1\",\"client\":\"bot 1\"}\n"
        );
        let journal = with(Style::Journal, Role::Master, "up", &[], true);
        assert!(journal.starts_with("<6>{\"time\""), "{journal}");
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        assert_eq!(
            text(Style::Journal, Role::Master, "a\n<0>b\r\u{1b}[2Jé"),
            "<6>master[7] a\\n<0>b\\r\\u{1b}[2Jé\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_within_what_a_pipe_takes_at_once() {
        let value = "v".repeat(2000);
        for pairs in [&[][..], &[("k", value.as_str()), ("l", value.as_str())]] {
            for filler in ["x", "é", "…", "\u{1b}", "\""] {
                for length in [LONGEST - 64, LONGEST - 1, LONGEST, LONGEST * 3] {
                    let message = filler.repeat(length);
                    for json in [false, true] {
                        let line = with(Style::Journal, WORKER, &message, pairs, json);
                        assert!(line.len() <= LONGEST, "{filler} {length}: {}", line.len());
                        assert!(
                            line.len() > LONGEST / 3,
                            "{filler} {length}: {}",
                            line.len()
                        );
                        assert_eq!(line.matches('\n').count(), 1);
                        assert!(line.ends_with('\n'));
                        assert_eq!(line.contains("vvv"), !pairs.is_empty(), "pairs stay");
                    }
                    let line = with(Style::Plain, WORKER, &message, pairs, true);
                    let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
                    assert!(parsed["message"].as_str().unwrap().ends_with('…'));
                }
            }
        }
    }
}
