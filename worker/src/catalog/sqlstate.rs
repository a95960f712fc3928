//! What a database error means to the caller, in words to act on, and what it means to the operator's log. The two
//! are apart: a caller never sees SQL, and sees of PostgreSQL's message only what speaks of the caller's own values.
//!
//! SQLSTATE classes are those of "PostgreSQL Error Codes" (Appendix A of its manual).

use std::time::Duration;

use crate::db::{DbError, ServerError};

/// What the words depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub writes: bool,
    pub timeout: Duration,
    pub cursor_given: bool,
}

const OPERATOR: &str =
    "This is a fault of the server's configuration, not of the call: tell its operator.";
const NOTHING: &str = "Nothing was run.";

/// For the caller.
pub(crate) fn tell(error: &DbError, about: &Circumstances) -> String {
    match error {
        DbError::Server(error) => server(error, about),
        DbError::Unavailable(_) => {
            format!("The database can't be reached now. {NOTHING} Try again later.")
        }
        DbError::Lost(_) => lost(about),
        DbError::QueueTimeout => {
            format!(
                "Waited for a database connection, but all stayed busy. {NOTHING} Try again shortly."
            )
        }
        DbError::Timeout => too_slow(about),
        DbError::Overloaded => {
            format!("Too many calls wait for the database. {NOTHING} Try again shortly.")
        }
        DbError::ExpectRows { expected, affected } => format!(
            "The change would have touched {affected} {}, not {expected} as it must. Nothing was changed.",
            if *affected == 1 { "row" } else { "rows" }
        ),
        DbError::TooLarge => "The result is too large to return. Narrow the filters.".to_owned(),
    }
}

fn lost(about: &Circumstances) -> String {
    if about.writes {
        "The database connection was lost while the change ran: it may or may not have happened. Check before you repeat it."
            .to_owned()
    } else {
        "The database connection was lost while the query ran. Try again.".to_owned()
    }
}

fn too_slow(about: &Circumstances) -> String {
    let undone = if about.writes {
        " Nothing was changed."
    } else {
        ""
    };
    format!(
        "The query was too slow: it was stopped after {}.{undone} Narrow the filters.",
        seconds(about.timeout)
    )
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

fn server(error: &ServerError, about: &Circumstances) -> String {
    let state = error.sqlstate.as_str();
    let class = state.get(..2).unwrap_or_default();
    match (class, state) {
        (_, "P0001") => raised(error),
        (_, "P0002") => "Nothing found.".to_owned(),
        (_, "57014") if error.message.contains("user request") => {
            "The query was cancelled on the server.".to_owned()
        }
        (_, "57014") => too_slow(about),
        (_, "57P01" | "57P02") | ("08", _) => lost(about),
        (_, "57P03" | "53300") => format!("The database takes no connections now. {NOTHING} Try again later."),
        ("22", "22P02" | "22007" | "22008") if about.cursor_given => {
            "cursor: is not one that this tool gave out, or an argument has a wrong form. Leave cursor out to start again."
                .to_owned()
        }
        ("22", _) => format!("The database can't take a value: {}.", error.message),
        ("23", _) => constraint(state, error),
        (_, "25006") => format!("The tool is declared read-only, but its statement writes. {OPERATOR}"),
        ("40", _) => "Another change got in the way, and nothing was changed. Try again.".to_owned(),
        (_, "42501") => format!("The server's database user lacks a permission for this tool. {OPERATOR}"),
        ("42" | "3F" | "3D", _) => format!("The tool's statement does not fit the database (SQLSTATE {state}). {OPERATOR}"),
        (_, "55P03") => "Another change holds a lock on these rows, and nothing was changed. Try again shortly.".to_owned(),
        (_, "54001") => "A value is nested too deeply for the database.".to_owned(),
        ("53", _) => "The database is short of resources. Try again later.".to_owned(),
        _ => format!("The database reported an error (SQLSTATE {state})."),
    }
}

/// `RAISE EXCEPTION` is how a tool's author speaks to the caller.
fn raised(error: &ServerError) -> String {
    match &error.hint {
        Some(hint) => format!("{} {hint}", error.message),
        None => error.message.clone(),
    }
}

fn constraint(state: &str, error: &ServerError) -> String {
    let name = error
        .constraint
        .as_deref()
        .map(|name| format!(" ({name})"))
        .unwrap_or_default();
    match state {
        "23505" => format!("Such a row exists already{name}. Nothing was changed."),
        "23503" => format!(
            "A row that this refers to does not exist, or other rows still refer to this one{name}. Nothing was changed."
        ),
        "23502" => match &error.column {
            Some(column) => format!("A value for {column} is missing. Nothing was changed."),
            None => "A needed value is missing. Nothing was changed.".to_owned(),
        },
        "23P01" => {
            format!("It overlaps with a row that exists already{name}. Nothing was changed.")
        }
        _ => format!("A value breaks a rule of the database{name}. Nothing was changed."),
    }
}

/// For the log: everything, on one line.
pub fn detail(error: &DbError) -> String {
    let text = match error {
        DbError::Server(error) => {
            let mut text = format!("{} {}", error.sqlstate, error.message);
            let more = [
                ("detail", &error.detail),
                ("hint", &error.hint),
                ("table", &error.table),
                ("column", &error.column),
                ("constraint", &error.constraint),
            ];
            for (name, value) in more {
                if let Some(value) = value {
                    text.push_str(&format!("; {name}: {value}"));
                }
            }
            if let Some(position) = error.position {
                text.push_str(&format!("; position: {position}"));
            }
            text
        }
        DbError::Unavailable(reason) => format!("unavailable: {reason}"),
        DbError::Lost(reason) => format!("connection lost: {reason}"),
        DbError::QueueTimeout => "no connection became free in time".to_owned(),
        DbError::Timeout => "statement timed out".to_owned(),
        DbError::Overloaded => "queue is full".to_owned(),
        DbError::ExpectRows { expected, affected } => {
            format!("expected {expected} rows, affected {affected}")
        }
        DbError::TooLarge => "result too large".to_owned(),
    };
    text.replace(['\n', '\r'], " ")
}

/// The five characters of an error's SQLSTATE; empty where the server gave none.
pub fn sqlstate(error: &DbError) -> &str {
    match error {
        DbError::Server(error) => &error.sqlstate,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Circumstances = Circumstances {
        writes: false,
        timeout: Duration::from_secs(2),
        cursor_given: false,
    };
    const WRITE: Circumstances = Circumstances {
        writes: true,
        timeout: Duration::from_millis(500),
        cursor_given: false,
    };

    fn server(sqlstate: &str) -> DbError {
        DbError::Server(Box::new(ServerError {
            sqlstate: sqlstate.into(),
            message: "secret column \"x\" of SELECT".into(),
            constraint: Some("ticket_pkey".into()),
            column: Some("title".into()),
            ..ServerError::default()
        }))
    }

    #[test]
    fn callers_are_told_what_to_do() {
        let table = [
            (server("57014"), READ, "stopped after 2 s. Narrow"),
            (
                server("57014"),
                WRITE,
                "stopped after 500 ms. Nothing was changed.",
            ),
            (server("23505"), WRITE, "exists already (ticket_pkey)"),
            (server("23503"), WRITE, "does not exist"),
            (server("23502"), WRITE, "A value for title is missing"),
            (
                server("23514"),
                WRITE,
                "breaks a rule of the database (ticket_pkey)",
            ),
            (server("25006"), READ, "declared read-only"),
            (server("40001"), WRITE, "Try again."),
            (server("40P01"), WRITE, "Try again."),
            (server("42501"), READ, "lacks a permission"),
            (
                server("42703"),
                READ,
                "does not fit the database (SQLSTATE 42703)",
            ),
            (server("53300"), READ, "takes no connections now"),
            (
                server("57P01"),
                READ,
                "connection was lost while the query ran",
            ),
            (server("XX000"), READ, "SQLSTATE XX000"),
            (server("P0001"), READ, "secret column"),
            (
                server("22P02"),
                Circumstances {
                    cursor_given: true,
                    ..READ
                },
                "cursor: ",
            ),
            (
                DbError::Lost("x".into()),
                WRITE,
                "may or may not have happened",
            ),
            (DbError::Lost("x".into()), READ, "Try again"),
            (
                DbError::Unavailable("refused by 10.0.0.1".into()),
                READ,
                "can't be reached",
            ),
            (
                DbError::QueueTimeout,
                READ,
                "Waited for a database connection",
            ),
            (DbError::Timeout, READ, "too slow"),
            (DbError::Overloaded, READ, "Too many calls"),
            (
                DbError::ExpectRows {
                    expected: 1,
                    affected: 3,
                },
                WRITE,
                "touched 3 rows, not 1",
            ),
            (DbError::TooLarge, READ, "too large"),
        ];
        for (error, about, expected) in table {
            let text = tell(&error, &about);
            assert!(text.contains(expected), "{error:?}: {text}");
        }
    }

    #[test]
    fn internals_stay_inside() {
        for state in [
            "42703", "42501", "25006", "XX000", "23505", "57014", "40001", "53200", "99999", "",
        ] {
            let text = tell(&server(state), &READ);
            assert!(
                !text.contains("secret") && !text.contains("SELECT"),
                "{state}: {text}"
            );
        }
        let text = tell(&DbError::Unavailable("refused by 10.0.0.1".into()), &READ);
        assert!(!text.contains("10.0.0.1"), "{text}");
    }

    #[test]
    fn the_log_gets_everything_on_one_line() {
        let DbError::Server(mut error) = server("42703") else {
            unreachable!()
        };
        error.hint = Some("a\nb".into());
        error.position = Some(8);
        let text = detail(&DbError::Server(error));
        assert_eq!(
            text,
            "42703 secret column \"x\" of SELECT; hint: a b; column: title; constraint: ticket_pkey; position: 8"
        );
    }
}
