//! A one-shot MCP client over HTTP, blocking: list tools, call one. Speaks the legacy era, where a stateless server
//! answers without a handshake and a call needs no header from the tool's schema. Knows nothing of the command line.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body};

/// The version that requests name; every server of the legacy era knows it or an older one that it answers with.
const PROTOCOL_VERSION: &str = "2025-11-25";
/// The largest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A server that is already running.
pub struct Client {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// Why there is no result.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody answered in time.
    Unreachable { url: String, reason: String },
    /// The server refused the request (a status of 4xx or 5xx without a JSON-RPC error).
    Status {
        url: String,
        status: u16,
        body: String,
    },
    /// A JSON-RPC error.
    Rpc { code: i64, message: String },
    /// The answer is not MCP.
    Protocol { url: String, reason: String },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { url, reason } => write!(f, "can't reach {url}: {reason}"),
            ClientError::Status { url, status, body } => {
                let advice = match status {
                    401 | 403 => {
                        "; give a token in TINE_TOKEN or with --token-file, and check allowed_hosts"
                    }
                    404 => "; is the path right?",
                    503 => "; the server is full, try again",
                    _ => "",
                };
                write!(f, "{url} answered {status}{advice}")?;
                if body.is_empty() {
                    Ok(())
                } else {
                    write!(f, " ({body})")
                }
            }
            ClientError::Rpc { code, message } => {
                write!(f, "the server refused: {message} ({code})")
            }
            ClientError::Protocol { url, reason } => {
                write!(f, "{url} doesn't answer as an MCP server: {reason}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// `timeout` bounds each request as a whole.
    pub fn new(url: &str, token: Option<String>, timeout: Duration) -> Client {
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tine/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Client {
            agent,
            url: url.to_owned(),
            token,
        }
    }

    /// Every tool the server lists, all pages.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn tools(&self) -> Result<Vec<Value>, ClientError> {
        let mut tools = Vec::new();
        let mut params = json!({});
        loop {
            let mut page = self.request("tools/list", &params)?;
            match page.get_mut("tools").map(Value::take) {
                Some(Value::Array(more)) => tools.extend(more),
                _ => return Err(self.protocol("tools/list has no tools")),
            }
            match page.get("nextCursor").and_then(Value::as_str) {
                Some(cursor) if params["cursor"] != *cursor => params = json!({ "cursor": cursor }),
                _ => return Ok(tools),
            }
        }
    }

    /// The result object of `tools/call`, also when it is an error of the tool.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn call(&self, tool: &str, arguments: &Value) -> Result<Value, ClientError> {
        self.request(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        )
    }

    fn request(&self, method: &str, params: &Value) -> Result<Value, ClientError> {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut request = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", PROTOCOL_VERSION);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.send(body).map_err(|error| self.failure(error))?;
        self.result(answer)
    }

    fn result(&self, mut answer: Response<Body>) -> Result<Value, ClientError> {
        let status = answer.status().as_u16();
        let stream = answer.body().mime_type() == Some("text/event-stream");
        let text = answer
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_string()
            .map_err(|error| self.failure(error))?;
        let message = if stream {
            last_event(&text)
        } else {
            Some(text.clone())
        };
        let message: Option<Value> =
            message.and_then(|message| serde_json::from_str(&message).ok());
        let Some(mut message) = message.filter(Value::is_object) else {
            return Err(match status {
                200..300 => self.protocol("the body is no JSON object"),
                _ => ClientError::Status {
                    url: self.url.clone(),
                    status,
                    body: excerpt(&text),
                },
            });
        };
        if let Some(error) = message.get("error") {
            let reason = error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            return Err(match status {
                200..300 | 400 => ClientError::Rpc {
                    code: error
                        .get("code")
                        .and_then(Value::as_i64)
                        .unwrap_or_default(),
                    message: reason,
                },
                _ => ClientError::Status {
                    url: self.url.clone(),
                    status,
                    body: excerpt(&reason),
                },
            });
        }
        match message.get_mut("result").map(Value::take) {
            Some(result) if result.is_object() => Ok(result),
            _ => Err(self.protocol("there is no result")),
        }
    }

    fn failure(&self, error: ureq::Error) -> ClientError {
        match error {
            ureq::Error::Protocol(error) => self.protocol(&error.to_string()),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                self.protocol("that is no http:// or https:// URL")
            }
            error => ClientError::Unreachable {
                url: self.url.clone(),
                reason: error.to_string(),
            },
        }
    }

    fn protocol(&self, reason: &str) -> ClientError {
        ClientError::Protocol {
            url: self.url.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The data of the last event of a server-sent event stream: notifications come first, the response last.
fn last_event(text: &str) -> Option<String> {
    let mut last = None;
    let mut data: Vec<&str> = Vec::new();
    for line in text.lines().chain(std::iter::once("")) {
        match line.strip_prefix("data:") {
            Some(piece) => data.push(piece.strip_prefix(' ').unwrap_or(piece)),
            None if line.is_empty() && !data.is_empty() => {
                last = Some(std::mem::take(&mut data).join("\n"))
            }
            None => {}
        }
    }
    last
}

/// The start of a text, for a message of one line.
fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_the_answer() {
        let stream =
            ": ping\n\nevent: message\ndata: {\"method\":\"x\"}\n\ndata: {\"a\":\ndata: 1}\n\n";
        assert_eq!(last_event(stream).as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(last_event("data: {}").as_deref(), Some("{}"));
        assert_eq!(last_event(": nothing\n\n"), None);
    }

    #[test]
    fn an_excerpt_is_one_clean_line() {
        assert_eq!(excerpt("<html>\u{1b}[2J\nmore"), "<html>[2J");
        assert_eq!(excerpt(&"x".repeat(900)).len(), 200);
    }
}
