//! What tools do to the world beside the database: HTTP requests, programs, messages to a broker. Runs on threads of the blocking
//! pool, each effect within its deadline, and tells what came of it as JSON. Knows neither clients nor SQL.

mod address;
mod cache;
mod http;
mod program;
mod settings;
mod stomp;

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::blocking::Cancel;
pub use address::{Network, NetworkError};
pub use cache::Cache;
pub use settings::{Broker, BrokerError, Program, Settings};

/// One effect with all its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// As its tool names it.
    pub name: String,
    pub request: Request,
    /// The longest that it may take.
    pub timeout: Duration,
    /// Whether what follows is done also when this fails.
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Http(HttpRequest),
    Program(Run),
    Stomp(Message),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Option<String>,
    /// The most bytes of an answer.
    pub max_bytes: usize,
    pub too_large: TooLarge,
    /// How long a good answer may be used again.
    pub cache: Option<Duration>,
}

/// What becomes of an answer that is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// The effect has failed.
    Error,
    /// Its first bytes count.
    Head,
    /// Its last bytes count.
    Tail,
}

/// A program of the operator's list, and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub program: String,
    pub arguments: Vec<String>,
    /// The most bytes of its output.
    pub max_bytes: usize,
}

/// A message for a broker's queue or topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub broker: String,
    pub destination: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Whose effects they are: for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    pub tool: String,
    /// The call's request id.
    pub request: String,
}

impl Act {
    /// Whether it may change something out there. Only a GET doesn't.
    pub fn changes(&self) -> bool {
        !matches!(&self.request, Request::Http(request) if request.method == "GET")
    }
}

/// What came of an effect: `ok`, `error` if it failed, and what its kind tells beside.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub name: String,
    pub ok: bool,
    /// It was begun, so it may have changed something.
    pub begun: bool,
    pub error: Option<String>,
    pub took: Duration,
    pub fields: Map<String, Value>,
}

impl Outcome {
    fn failed(error: impl Into<String>) -> Outcome {
        Outcome {
            name: String::new(),
            ok: false,
            begun: true,
            error: Some(error.into()),
            took: Duration::ZERO,
            fields: Map::new(),
        }
    }

    fn done(fields: Map<String, Value>) -> Outcome {
        Outcome {
            name: String::new(),
            ok: true,
            begun: true,
            error: None,
            took: Duration::ZERO,
            fields,
        }
    }

    /// As a call's record has it: `send ok 12ms`.
    fn word(&self) -> String {
        let how = match (self.begun, self.ok) {
            (false, _) => return format!("{} not begun", self.name),
            (true, false) => "failed",
            (true, true) if self.fields.contains_key("age") => "cached",
            (true, true) => "ok",
        };
        format!("{} {how} {}ms", self.name, self.took.as_millis())
    }

    /// As a `finish` statement sees it.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("effect".into(), self.name.clone().into());
        object.insert("ok".into(), self.ok.into());
        object.insert("error".into(), self.error.clone().into());
        object.extend(self.fields.clone());
        Value::Object(object)
    }
}

/// Does one after the other, until one fails that isn't optional, nobody waits any more, or the time is over; what was not begun
/// says so.
pub fn perform(
    acts: &[Act],
    settings: &Settings,
    deadline: Instant,
    cancel: &Cancel,
    whose: &Whose,
) -> Vec<Outcome> {
    let mut failed: Option<&str> = None;
    let mut outcomes = Vec::with_capacity(acts.len());
    for act in acts {
        let left = deadline.saturating_duration_since(Instant::now());
        let reason = match failed {
            _ if cancel.is_cancelled() => Some("not begun: the caller has gone".to_owned()),
            Some(name) => Some(format!("not begun: {name} failed before")),
            None if left.is_zero() => Some("not begun: the time was over".to_owned()),
            None => None,
        };
        let mut outcome = match reason {
            Some(reason) => Outcome {
                begun: false,
                ..Outcome::failed(reason)
            },
            None => one(
                act,
                settings,
                Instant::now() + left.min(act.timeout),
                cancel,
                whose,
            ),
        };
        outcome.name.clone_from(&act.name);
        if !outcome.ok && !act.optional {
            failed = failed.or(Some(&act.name));
        }
        outcomes.push(outcome);
    }
    outcomes
}

fn one(
    act: &Act,
    settings: &Settings,
    deadline: Instant,
    cancel: &Cancel,
    whose: &Whose,
) -> Outcome {
    let began = Instant::now();
    let mut outcome = match &act.request {
        Request::Http(request) => http::perform(request, settings, deadline),
        Request::Program(run) => program::perform(run, settings, deadline, cancel),
        Request::Stomp(message) => stomp::perform(message, settings, deadline, whose),
    };
    outcome.took = began.elapsed();
    let ms = outcome.took.as_millis();
    let (tool, request) = (whose.tool.as_str(), whose.request.as_str());
    match &outcome.error {
        Some(error) => {
            log::info!(tool, request; "effect {} failed after {ms} ms: {error}", act.name);
        }
        None => log::debug!(tool, request; "effect {} done in {ms} ms", act.name),
    }
    outcome
}

/// What became of a call's effects, for its record.
pub fn summary(outcomes: &[Outcome]) -> String {
    let words: Vec<String> = outcomes.iter().map(Outcome::word).collect();
    words.join(", ")
}

/// Text of somebody else's bytes that PostgreSQL can take: no NUL.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// Output as `json` if it is a JSON object or list that PostgreSQL can take, else as `name`.
fn content(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    let text = text(bytes);
    let start = text.trim_start().chars().next();
    if matches!(start, Some('{' | '['))
        && !text.contains("\\u0000")
        && let Ok(value) = serde_json::from_str(&text)
    {
        fields.insert("json".into(), value);
    } else {
        fields.insert(name.into(), text.into());
    }
}
