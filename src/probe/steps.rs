//! One probe: health, then the server's word on itself, then its tools; and what a failure says about the remedy. Knows no
//! systemd and prints nothing.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, ClientError, excerpt};

/// JSON-RPC codes that blame the question: parse error to invalid params, and MCP's for headers, capabilities and versions.
const ASKED_WRONG: [std::ops::RangeInclusive<i64>; 3] =
    [-32700..=-32700, -32602..=-32600, -32022..=-32020];

/// What to ask whom.
pub struct Question<'c> {
    pub client: &'c Client,
    /// Path of the health check.
    pub health: &'c str,
    pub min_tools: usize,
}

/// A server that works.
#[derive(Debug, Clone, PartialEq)]
pub struct Healthy {
    pub tools: usize,
    /// What it says of itself: `serverInfo` of initialize or of `_meta`, null if it says nothing.
    pub server: Value,
    /// Ready workers and all, if the health check tells.
    pub workers: Option<(usize, usize)>,
}

/// A server that doesn't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    /// One line without control characters.
    pub what: String,
    /// Whose answer was missing or wrong.
    pub url: String,
    /// There was a whole answer.
    pub answered: bool,
    pub remedy: Remedy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Health,
    Initialize,
    Discover,
    List,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Health => "health",
            Step::Initialize => "initialize",
            Step::Discover => "server/discover",
            Step::List => "tools/list",
        })
    }
}

/// What could mend a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is silent or talks nonsense: a new start.
    Restart,
    /// It is alive and says what it lacks, such as its database or a free place. A restart would only cost the calls in flight.
    Wait,
    /// It refuses this probe, or isn't configured as the probe expects: a person.
    Operator,
}

impl Question<'_> {
    /// # Errors
    /// The first thing that is wrong.
    pub fn ask(&self) -> Result<Healthy, Failure> {
        let workers = self.health()?;
        let greeting = match self.client.is_modern() {
            true => Step::Discover,
            false => Step::Initialize,
        };
        let said = self
            .client
            .greet()
            .map_err(|error| failed(greeting, error))?;
        let tools = self
            .client
            .count_tools()
            .map_err(|error| failed(Step::List, error))?;
        if tools < self.min_tools {
            let what = format!(
                "{tools} tools, at least {} expected (--min-tools)",
                self.min_tools
            );
            return Err(self.wrong(Step::List, what, Remedy::Operator));
        }
        Ok(Healthy {
            tools,
            server: server(&said),
            workers,
        })
    }

    fn health(&self) -> Result<Option<(usize, usize)>, Failure> {
        let (status, body) = self
            .client
            .get(self.health)
            .map_err(|error| failed(Step::Health, error))?;
        let document: Option<Value> = serde_json::from_str(&body).ok().filter(Value::is_object);
        let failing = |what: String, remedy| {
            let mut failure = self.wrong(Step::Health, what, remedy);
            failure.url = self.client.address().at(self.health).to_string();
            Err(failure)
        };
        match (status, document) {
            (200, Some(document)) if document["ok"] == false => {
                failing(format!("not ok: {}", reason(&document)), Remedy::Wait)
            }
            (200, Some(document)) => Ok(workers(&document)),
            (200, None) => failing("200, but no JSON object".to_owned(), Remedy::Restart),
            (status, document) => {
                let remedy = remedy(status, document.is_some());
                let said = document.map_or_else(|| body.clone(), |document| reason(&document));
                failing(answered(status, &said), remedy)
            }
        }
    }

    fn wrong(&self, step: Step, what: String, remedy: Remedy) -> Failure {
        Failure {
            step,
            what,
            url: self.client.address().to_string(),
            answered: true,
            remedy,
        }
    }
}

/// The server's name and version, where either era puts them.
fn server(said: &Value) -> Value {
    let legacy = said.get("serverInfo");
    let modern = said.pointer("/_meta/io.modelcontextprotocol~1serverInfo");
    legacy.or(modern).cloned().unwrap_or_default()
}

fn workers(document: &Value) -> Option<(usize, usize)> {
    let workers = document["workers"].as_array()?;
    let ready = workers.iter().filter(|worker| worker["state"] == "ready");
    Some((ready.count(), workers.len()))
}

/// What a health document or a JSON-RPC error says is wrong.
fn reason(document: &Value) -> String {
    let places = ["/error/message", "/error", "/message", "/status"];
    let said = places
        .iter()
        .find_map(|place| document.pointer(place)?.as_str());
    excerpt(said.unwrap_or_default())
}

fn answered(status: u16, said: &str) -> String {
    match excerpt(said) {
        said if said.is_empty() => format!("answered {status}"),
        said => format!("answered {status} ({said})"),
    }
}

/// A server that has a JSON object to say with its 503 is up; one in front of it, which can't reach it, says so in HTML.
fn remedy(status: u16, json: bool) -> Remedy {
    match status {
        503 if json => Remedy::Wait,
        429 => Remedy::Wait,
        300..500 => Remedy::Operator,
        _ => Remedy::Restart,
    }
}

fn failed(step: Step, error: ClientError) -> Failure {
    let (what, url, answered, remedy) = match error {
        ClientError::Unreachable { url, reason, .. } => (reason, url, false, Remedy::Restart),
        ClientError::Unusable { url, reason } => (reason, url, false, Remedy::Operator),
        ClientError::Status {
            url,
            status,
            body,
            json,
            ..
        } => (answered(status, &body), url, true, remedy(status, json)),
        ClientError::Protocol { url, reason } => (reason, url, true, Remedy::Restart),
        ClientError::Rpc { url, code, message } => {
            let ours = ASKED_WRONG.iter().any(|codes| codes.contains(&code));
            let remedy = if ours {
                Remedy::Operator
            } else {
                Remedy::Restart
            };
            (
                format!("error {code}: {}", excerpt(&message)),
                url,
                true,
                remedy,
            )
        }
    };
    Failure {
        step,
        what: excerpt(&what),
        url,
        answered,
        remedy,
    }
}

/// What came of asking up to `tries` times.
#[derive(Debug)]
pub struct Asked {
    pub result: Result<Healthy, Failure>,
    /// How long the last try took.
    pub took: Duration,
    pub tries: u32,
    /// Why the try before a successful one failed.
    pub before: Option<Failure>,
}

/// Asks until it goes well, `tries` times at most. What only a person can mend is not asked again.
pub fn insist(
    tries: u32,
    pause: Duration,
    mut ask: impl FnMut() -> Result<Healthy, Failure>,
) -> Asked {
    let mut before = None;
    let mut number = 1;
    loop {
        let start = Instant::now();
        let result = ask();
        let took = start.elapsed();
        match result {
            Err(failure) if number < tries && failure.remedy != Remedy::Operator => {
                before = Some(failure);
                thread::sleep(pause);
                number += 1;
            }
            result => {
                return Asked {
                    result,
                    took,
                    tries: number,
                    before,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failure(remedy: Remedy) -> Failure {
        Failure {
            step: Step::Health,
            what: "no".into(),
            url: "http://h/health".into(),
            answered: false,
            remedy,
        }
    }

    fn healthy() -> Healthy {
        Healthy {
            tools: 1,
            server: Value::Null,
            workers: None,
        }
    }

    #[test]
    fn what_a_status_says_about_the_remedy() {
        use Remedy::{Operator, Restart, Wait};
        for (status, json, expected) in [
            (503, true, Wait),
            (503, false, Restart),
            (429, false, Wait),
            (500, true, Restart),
            (502, false, Restart),
            (504, true, Restart),
            (401, true, Operator),
            (403, true, Operator),
            (404, false, Operator),
            (307, false, Operator),
            (204, false, Restart),
        ] {
            assert_eq!(remedy(status, json), expected, "{status} {json}");
        }
    }

    #[test]
    fn what_a_json_rpc_error_says_about_the_remedy() {
        for (code, remedy) in [
            (-32601, Remedy::Operator),
            (-32022, Remedy::Operator),
            (-32603, Remedy::Restart),
            (1, Remedy::Restart),
        ] {
            let error = ClientError::Rpc {
                url: "http://h/mcp".into(),
                code,
                message: "no\nnew line".into(),
            };
            let failure = failed(Step::Initialize, error);
            assert_eq!(failure.remedy, remedy, "{code}");
            assert_eq!(failure.what, format!("error {code}: no"));
        }
    }

    #[test]
    fn the_reason_is_where_servers_put_it() {
        for (document, said) in [
            (
                json!({"ok": false, "error": "main: refused"}),
                "main: refused",
            ),
            (json!({"error": {"code": 503, "message": "busy"}}), "busy"),
            (json!({"status": "starting"}), "starting"),
            (json!({"error": 7}), ""),
        ] {
            assert_eq!(reason(&document), said);
        }
    }

    #[test]
    fn it_is_asked_again_only_while_that_can_help() {
        let mut answers = vec![Ok(healthy()), Err(failure(Remedy::Restart))];
        let asked = insist(3, Duration::ZERO, || answers.pop().unwrap());
        assert_eq!((asked.result.is_ok(), asked.tries), (true, 2));
        assert_eq!(asked.before, Some(failure(Remedy::Restart)));

        for (remedy, tries) in [
            (Remedy::Restart, 3),
            (Remedy::Wait, 3),
            (Remedy::Operator, 1),
        ] {
            let asked = insist(3, Duration::ZERO, || Err(failure(remedy)));
            assert_eq!((asked.result.is_err(), asked.tries), (true, tries));
        }
    }
}
