//! A one-shot MCP client over HTTP, blocking: list tools, call one. Speaks the legacy era unless told otherwise: there a
//! stateless server answers without a handshake, and a call needs no header from the tool's schema. Knows nothing of the
//! command line.

mod address;
mod error;
pub mod retry;
mod unix;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use ureq::http::Response;
use ureq::{Agent, Body, Error, RequestBuilder};

pub use address::Address;
pub use error::ClientError;

/// The version that requests name; every server of the legacy era knows it or an older one that it answers with.
const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";
/// Fields of a modern request's `_meta` begin with this.
const META: &str = "io.modelcontextprotocol/";
/// The largest answer that is read, in bytes; results may be large.
const LONGEST_ANSWER: u64 = 64 << 20;
/// The same for a client that only looks.
const LONGEST_LOOK: u64 = 8 << 20;

/// A server that is already running.
pub struct Client {
    agent: Agent,
    address: Address,
    token: Option<String>,
    timeout: Duration,
    modern: bool,
    looks: bool,
}

impl Client {
    /// `timeout` bounds each question as a whole: finding the host, connecting, and every page of a list.
    pub fn new(address: Address, token: Option<String>, timeout: Duration) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tine/", env!("CARGO_PKG_VERSION")));
        let agent = match address.socket() {
            Some(socket) => unix::agent(config.proxy(None).build(), socket.clone()),
            None => config.build().new_agent(),
        };
        Client {
            agent,
            address,
            token,
            timeout,
            modern: false,
            looks: false,
        }
    }

    /// Only looks whether this very server takes connections: every request on one of its own, past any proxy of the
    /// environment, and no long answer.
    pub fn looking(mut self) -> Client {
        self.looks = true;
        self
    }

    /// Speaks the modern era, but for calls: those need headers from the tool's schema.
    pub fn modern(mut self) -> Client {
        self.modern = true;
        self
    }

    pub fn is_modern(&self) -> bool {
        self.modern
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the server says of itself: the result of `initialize`, in the modern era of `server/discover`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn greet(&self) -> Result<Value, ClientError> {
        let deadline = self.deadline();
        if self.modern {
            return self.request("server/discover", json!({}), deadline);
        }
        let params =
            json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client_info() });
        self.request("initialize", params, deadline)
    }

    /// Every tool the server lists, all pages.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn tools(&self) -> Result<Vec<Value>, ClientError> {
        let mut tools = Vec::new();
        self.pages(|page| tools.extend(page))?;
        Ok(tools)
    }

    /// How many tools the server lists. Keeps none of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn count_tools(&self) -> Result<usize, ClientError> {
        let mut count = 0;
        self.pages(|page| count += page.len())?;
        Ok(count)
    }

    fn pages(&self, mut each: impl FnMut(Vec<Value>)) -> Result<(), ClientError> {
        let deadline = self.deadline();
        let mut params = json!({});
        loop {
            let mut page = self.request("tools/list", params.clone(), deadline)?;
            match page.get_mut("tools").map(Value::take) {
                Some(Value::Array(tools)) => each(tools),
                _ => return Err(self.protocol("tools/list has no tools")),
            }
            match page.get("nextCursor").and_then(Value::as_str) {
                Some(cursor) if params["cursor"] != *cursor => params = json!({ "cursor": cursor }),
                _ => return Ok(()),
            }
        }
    }

    /// The result object of `tools/call`, also when it is an error of the tool.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn call(&self, tool: &str, arguments: &Value) -> Result<Value, ClientError> {
        let params = json!({ "name": tool, "arguments": arguments });
        self.request("tools/call", params, self.deadline())
    }

    /// Status and body of a GET of another path of this server, without the token.
    ///
    /// # Errors
    /// See [`ClientError`]. A status is none of them.
    pub fn get(&self, path: &str) -> Result<(u16, String), ClientError> {
        let there = Client {
            agent: self.agent.clone(),
            address: self.address.at(path),
            token: None,
            ..*self
        };
        let request = there.agent.get(there.address.url());
        let request = there.prepared(request, there.deadline())?;
        let mut answer = request.call().map_err(|error| there.failure(error))?;
        let status = answer.status().as_u16();
        Ok((status, there.text(&mut answer)?))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    fn request(
        &self,
        method: &str,
        mut params: Value,
        deadline: Instant,
    ) -> Result<Value, ClientError> {
        if self.modern {
            params["_meta"] = meta();
        }
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut request = self
            .prepared(self.agent.post(self.address.url()), deadline)?
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream");
        if self.modern {
            request = request
                .header("MCP-Protocol-Version", MODERN)
                .header("Mcp-Method", method);
        } else if method != "initialize" {
            request = request.header("MCP-Protocol-Version", LEGACY);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.send(body).map_err(|error| self.failure(error))?;
        self.result(answer)
    }

    /// The request with what is left of its time.
    fn prepared<B>(
        &self,
        request: RequestBuilder<B>,
        deadline: Instant,
    ) -> Result<RequestBuilder<B>, ClientError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.too_late());
        }
        let config = request.config().timeout_global(Some(left));
        Ok(match self.looks {
            true => config.proxy(None).build().header("Connection", "close"),
            false => config.build(),
        })
    }

    fn text(&self, answer: &mut Response<Body>) -> Result<String, ClientError> {
        let longest = if self.looks {
            LONGEST_LOOK
        } else {
            LONGEST_ANSWER
        };
        let body = answer.body_mut().with_config().limit(longest);
        body.read_to_string().map_err(|error| match error {
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                self.protocol("the answer is not UTF-8")
            }
            error => self.failure(error),
        })
    }

    fn result(&self, mut answer: Response<Body>) -> Result<Value, ClientError> {
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let stream = answer.body().mime_type() == Some("text/event-stream");
        let text = self.text(&mut answer)?;
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
                _ => self.refused(status, excerpt(&text), false, retry_after),
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
                    url: self.address.to_string(),
                    code: error
                        .get("code")
                        .and_then(Value::as_i64)
                        .unwrap_or_default(),
                    message: reason,
                },
                _ => self.refused(status, excerpt(&reason), true, retry_after),
            });
        }
        match message.get_mut("result").map(Value::take) {
            Some(result) if result.is_object() => Ok(result),
            _ if status >= 300 => Err(self.refused(status, excerpt(&text), true, retry_after)),
            _ => Err(self.protocol("there is no result")),
        }
    }

    fn failure(&self, error: Error) -> ClientError {
        match error {
            Error::Timeout(_) => self.too_late(),
            Error::Protocol(error) => self.protocol(&error.to_string()),
            Error::LargeResponseHeader(..) => self.protocol("the head of the answer is too long"),
            Error::BodyExceedsLimit(limit) => {
                self.protocol(&format!("the answer is longer than {} MiB", limit >> 20))
            }
            Error::Io(error) => match (error.kind(), error.raw_os_error()) {
                (ErrorKind::ConnectionRefused, _) => ClientError::Unreachable {
                    url: self.address.to_string(),
                    reason: "connection refused".to_owned(),
                    unsent: true,
                },
                (ErrorKind::UnexpectedEof, _) => {
                    self.unreachable("the connection ended before the answer did")
                }
                // A socket file of another user, whose server may well work.
                (ErrorKind::PermissionDenied, _) => self.unusable(&error.to_string()),
                (_, Some(_)) => self.unreachable(&error.to_string()),
                // Not a socket's word, but that of name resolution or TLS.
                (_, None) => self.unusable(&error.to_string()),
            },
            Error::BadUri(_) | Error::Http(_) => self.unusable("that is no URL of a server"),
            error => self.unusable(&error.to_string()),
        }
    }

    fn too_late(&self) -> ClientError {
        self.unreachable(&format!(
            "no answer within {} s",
            self.timeout.as_secs_f64()
        ))
    }

    fn unreachable(&self, reason: &str) -> ClientError {
        ClientError::Unreachable {
            url: self.address.to_string(),
            reason: reason.to_owned(),
            unsent: false,
        }
    }

    fn unusable(&self, reason: &str) -> ClientError {
        ClientError::Unusable {
            url: self.address.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn refused(
        &self,
        status: u16,
        body: String,
        json: bool,
        retry_after: Option<u64>,
    ) -> ClientError {
        ClientError::Status {
            url: self.address.to_string(),
            status,
            body,
            json,
            retry_after,
        }
    }

    fn protocol(&self, reason: &str) -> ClientError {
        ClientError::Protocol {
            url: self.address.to_string(),
            reason: reason.to_owned(),
        }
    }
}

fn client_info() -> Value {
    json!({ "name": "tine", "version": env!("CARGO_PKG_VERSION") })
}

fn meta() -> Value {
    let mut meta = Map::new();
    for (key, value) in [
        ("protocolVersion", json!(MODERN)),
        ("clientInfo", client_info()),
        ("clientCapabilities", json!({})),
    ] {
        meta.insert(format!("{META}{key}"), value);
    }
    Value::Object(meta)
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
pub fn excerpt(text: &str) -> String {
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
