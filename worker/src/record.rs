//! The record of a call: one, whatever becomes of it. Says who called what, how it ended and what it cost; never what was
//! given or answered, but for what its tool's author wants to be said (`log`). Knows nothing of where records go.

use std::time::Duration;

use log::Level;
use log::kv::{Error, Key, Source, VisitSource};

use crate::catalog::{self, Outcome};
use crate::db::{DbError, Rows};
use crate::settings::LogCalls;

/// The log target of every record of a call. The loop flushes the log at the end of each turn, so a logger may keep them until then.
pub const TARGET: &str = "call";

/// The most characters of the database's words.
const LONGEST: usize = 600;

/// How a call ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Ok,
    /// The tool ran, and its answer is an error.
    ToolError,
    DatabaseError,
    /// It was stopped by a deadline.
    Timeout,
    /// Its client left, or its worker's drain ended.
    Cancelled,
    /// Nothing was run: faulty arguments, an unknown tool, no free place.
    Refused,
    /// A fault of ours.
    Internal,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            End::Ok => "ok",
            End::ToolError => "tool_error",
            End::DatabaseError => "database_error",
            End::Timeout => "timeout",
            End::Cancelled => "cancelled",
            End::Refused => "refused",
            End::Internal => "internal_error",
        }
    }

    fn level(self) -> Level {
        match self {
            End::Ok | End::ToolError | End::Cancelled | End::Refused => Level::Info,
            End::DatabaseError | End::Timeout => Level::Warn,
            End::Internal => Level::Error,
        }
    }
}

/// What is known of a call's end before its answer is made.
#[derive(Debug, Default)]
pub struct Ending {
    end: Option<End>,
    pub rows: Option<usize>,
    pub sqlstate: Option<String>,
    /// For the operator; a caller never sees it.
    pub error: Option<String>,
}

impl Ending {
    pub fn of(result: &Result<Rows, DbError>) -> Ending {
        let error = match result {
            Ok(rows) => {
                return Ending {
                    rows: Some(rows.count),
                    ..Ending::default()
                };
            }
            Err(error) => error,
        };
        let state = catalog::sqlstate(error);
        let end = match error {
            DbError::Timeout | DbError::QueueTimeout => End::Timeout,
            DbError::Overloaded => End::Refused,
            DbError::ExpectRows { .. } | DbError::TooLarge => End::ToolError,
            DbError::Server(error)
                if state == "57014" && !error.message.contains("user request") =>
            {
                End::Timeout
            }
            // RAISE is how a tool's author speaks to the caller, 22 and 23 speak of the caller's values.
            DbError::Server(_) if matches!(state.get(..2), Some("P0" | "22" | "23")) => {
                End::ToolError
            }
            _ => End::DatabaseError,
        };
        Ending {
            end: Some(end),
            rows: None,
            sqlstate: (!state.is_empty()).then(|| state.to_owned()),
            error: Some(catalog::detail(error).chars().take(LONGEST).collect()),
        }
    }

    /// The word, once the outcome is known.
    pub fn end(&self, outcome: &Outcome) -> End {
        self.end.unwrap_or(match outcome.is_error {
            true => End::ToolError,
            false => End::Ok,
        })
    }
}

/// One call. Texts of the client's are bounded by whoever read them.
#[derive(Debug)]
pub struct Record<'a> {
    /// The request id that the client sees.
    pub request: &'a str,
    pub tool: &'a str,
    pub end: End,
    /// From the request's last byte, or from its turn in a batch.
    pub duration: Duration,
    pub token: Option<&'a str>,
    pub client: Option<&'a str>,
    pub trace: Option<&'a str>,
    pub rows: Option<usize>,
    /// Of the answer.
    pub bytes: Option<usize>,
    pub sqlstate: Option<&'a str>,
    pub error: Option<&'a str>,
    /// What became of its effects.
    pub effects: Option<&'a str>,
    /// What the tool says of what it did.
    pub note: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// With nothing known but these.
    pub fn new(request: &'a str, tool: &'a str, end: End) -> Record<'a> {
        Record {
            request,
            tool,
            end,
            duration: Duration::ZERO,
            token: None,
            client: None,
            trace: None,
            rows: None,
            bytes: None,
            sqlstate: None,
            error: None,
            effects: None,
            note: None,
        }
    }
}

impl Record<'_> {
    /// Hands it to the log, if calls that end so are to be logged.
    pub fn write(&self, which: LogCalls) {
        let level = self.end.level();
        let wanted = match which {
            LogCalls::All => true,
            LogCalls::Failed => self.end != End::Ok,
            LogCalls::None => false,
        };
        if !wanted || level > log::max_level() {
            return;
        }
        log::logger().log(
            &log::Record::builder()
                .level(level)
                .target(TARGET)
                .module_path_static(Some(module_path!()))
                .file_static(Some(file!()))
                .line(Some(line!()))
                .args(format_args!(
                    "{} {}{}{}",
                    self.tool,
                    self.end.word(),
                    if self.note.is_some() { ": " } else { "" },
                    self.note.unwrap_or_default()
                ))
                .key_values(self)
                .build(),
        );
    }
}

impl Source for Record<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let mut pair = |key: &'static str, value: Option<log::kv::Value<'kvs>>| match value {
            Some(value) => visitor.visit_pair(Key::from_str(key), value),
            None => Ok(()),
        };
        pair("request", Some(self.request.into()))?;
        pair("tool", Some(self.tool.into()))?;
        pair("outcome", Some(self.end.word().into()))?;
        // Microseconds are as much as means something.
        let ms = self.duration.as_micros() as f64 / 1000.0;
        pair("duration_ms", Some(ms.into()))?;
        pair("token", self.token.map(Into::into))?;
        pair("client", self.client.map(Into::into))?;
        pair("trace", self.trace.map(Into::into))?;
        pair("rows", self.rows.map(Into::into))?;
        pair("bytes", self.bytes.map(Into::into))?;
        pair("sqlstate", self.sqlstate.map(Into::into))?;
        pair("error", self.error.map(Into::into))?;
        pair("effects", self.effects.map(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ServerError;

    fn server(sqlstate: &str, message: &str) -> DbError {
        DbError::Server(Box::new(ServerError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            ..ServerError::default()
        }))
    }

    #[test]
    fn a_word_for_every_end() {
        let fine = Outcome::json(b"{}".to_vec());
        let table = [
            (Ok(Rows::default()), "ok", None),
            (Err(server("42P01", "x")), "database_error", Some("42P01")),
            (Err(server("57014", "timeout")), "timeout", Some("57014")),
            (
                Err(server("57014", "due to user request")),
                "database_error",
                Some("57014"),
            ),
            (Err(server("P0001", "x")), "tool_error", Some("P0001")),
            (Err(server("23505", "x")), "tool_error", Some("23505")),
            (Err(DbError::Timeout), "timeout", None),
            (Err(DbError::QueueTimeout), "timeout", None),
            (Err(DbError::Overloaded), "refused", None),
            (Err(DbError::Lost("x".into())), "database_error", None),
            (
                Err(DbError::Unavailable("x".into())),
                "database_error",
                None,
            ),
            (Err(DbError::TooLarge), "tool_error", None),
        ];
        for (result, word, state) in table {
            let ending = Ending::of(&result);
            assert_eq!(ending.end(&fine).word(), word, "{result:?}");
            assert_eq!(ending.sqlstate.as_deref(), state, "{result:?}");
            assert_eq!(ending.error.is_some(), result.is_err());
        }
        let faulty = Outcome::error("no");
        assert_eq!(Ending::default().end(&faulty), End::ToolError);
    }

    #[test]
    fn only_what_is_known_is_said() {
        let record = Record {
            request: "r-1",
            tool: "t",
            end: End::Ok,
            duration: Duration::from_micros(1_234),
            token: Some("bot"),
            client: None,
            trace: None,
            rows: Some(3),
            bytes: Some(90),
            sqlstate: None,
            error: None,
            effects: Some("send ok 2ms"),
            note: Some("x"),
        };
        assert_eq!(
            crate::pairs::text(&record),
            " request=r-1 tool=t outcome=ok duration_ms=1.234 token=bot rows=3 bytes=90 effects=\"send ok 2ms\""
        );
    }
}
