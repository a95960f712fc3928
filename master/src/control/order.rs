//! What an operator can order, as a word on a line, and how the master answers, as lines of JSON.
//!
//! Lines as in HAProxy's stats socket, so that a person with `socat` can use it too; answers are JSON, so that a program
//! need not guess where they end. This file knows no socket and nothing of what an order does.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An order to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Show the pool.
    Status,
    /// Take a changed configuration, as SIGHUP does.
    Reload,
    /// Run a changed binary, as SIGUSR2 does.
    Upgrade,
    /// Stop the pool and leave, as SIGTERM does, or `quick`ly, as SIGQUIT.
    Stop {
        /// Without waiting for what is in flight.
        quick: bool,
    },
    /// One worker more, as SIGTTIN.
    More,
    /// One worker fewer, as SIGTTOU.
    Fewer,
}

const ORDERS: [(&str, Order); 7] = [
    ("status", Order::Status),
    ("reload", Order::Reload),
    ("upgrade", Order::Upgrade),
    ("stop", Order::Stop { quick: false }),
    ("stop quick", Order::Stop { quick: true }),
    ("more", Order::More),
    ("fewer", Order::Fewer),
];

/// The order as it is written on its line.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = ORDERS.iter().find(|(_, order)| order == self);
        f.write_str(words.map_or("", |(words, _)| words))
    }
}

/// So much of a wrong order is repeated in the answer.
const ECHOED_CHARS: usize = 40;

impl Order {
    /// The order that a line without its end holds; else what to answer.
    pub(super) fn parse(line: &[u8]) -> Result<Order, Outcome> {
        let line = String::from_utf8_lossy(line);
        let given = line.trim();
        let known = ORDERS.iter().find(|(words, _)| *words == given);
        known.map(|(_, order)| *order).ok_or_else(|| {
            let words: Vec<&str> = ORDERS.iter().map(|(words, _)| *words).collect();
            let given: String = given.chars().take(ECHOED_CHARS).collect();
            Outcome::no(format!(
                "there is no order {given:?}; there are: {}",
                words.join(", ")
            ))
        })
    }
}

/// How an order ended: the last line of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    ok: bool,
    text: String,
    fields: Map<String, Value>,
}

impl Outcome {
    /// It was done.
    pub fn yes(text: impl Into<String>) -> Outcome {
        Outcome {
            ok: true,
            text: text.into(),
            fields: Map::new(),
        }
    }

    /// It was not done, and why.
    pub fn no(text: impl Into<String>) -> Outcome {
        Outcome {
            ok: false,
            ..Outcome::yes(text)
        }
    }

    /// Adds what a program may want to read.
    #[must_use]
    pub fn with(mut self, fields: Map<String, Value>) -> Outcome {
        self.fields.extend(fields);
        self
    }

    /// Its line, the end included.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut document = Map::new();
        document.insert("done".to_owned(), json!(true));
        document.insert("ok".to_owned(), json!(self.ok));
        document.insert("text".to_owned(), json!(self.text));
        document.extend(self.fields.clone());
        line(Value::Object(document))
    }
}

/// The line that says how an order goes on.
pub(super) fn progress(text: &str) -> Vec<u8> {
    line(json!({ "text": text }))
}

// JSON escapes line ends, so an answer is one line whatever it says.
fn line(document: Value) -> Vec<u8> {
    format!("{document}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_read_as_it_is_written() {
        for (words, order) in ORDERS {
            assert_eq!(Order::parse(words.as_bytes()), Ok(order));
            assert_eq!(Order::parse(format!(" {words}\r").as_bytes()), Ok(order));
            assert_eq!(order.to_string(), words);
        }
    }

    #[test]
    fn what_is_no_order_is_answered_with_all_of_them() {
        let long = "x".repeat(1000);
        for given in [
            "",
            "statu",
            "status now",
            "STATUS",
            "stop  quick",
            "\0\u{1b}[2J",
            &long,
        ] {
            let line = Order::parse(given.as_bytes()).expect_err(given).line();
            let line = String::from_utf8(line).expect("UTF-8");
            assert!(
                line.contains("status, reload, upgrade, stop, stop quick, more, fewer"),
                "{line}"
            );
            assert!(line.contains(r#""ok":false"#) && line.len() < 300, "{line}");
            assert!(
                line.lines().count() == 1 && !line.contains(['\0', '\u{1b}']),
                "{line:?}"
            );
        }
        assert!(Order::parse(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn an_answer_is_one_line_whatever_it_says() {
        let fields = Map::from_iter([("pid".to_owned(), json!(7))]);
        let line = Outcome::yes("two\nlines").with(fields).line();
        assert_eq!(
            String::from_utf8_lossy(&line),
            "{\"done\":true,\"ok\":true,\"text\":\"two\\nlines\",\"pid\":7}\n"
        );
        assert_eq!(progress("a\nb"), b"{\"text\":\"a\\nb\"}\n");
    }
}
