//! MCP requests of both eras, as a client would post them, and the few fields of an answer that tests ask for.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::http::{Connection, Response};

/// The newest version of each era.
pub const LEGACY: &str = "2025-11-25";
pub const MODERN: &str = "2026-07-28";

/// `params._meta` of the modern era has its fields under this prefix.
pub const META: &str = "io.modelcontextprotocol/";

/// Codes of the specification's error registry that tests name.
pub mod code {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const HEADER_MISMATCH: i64 = -32020;
    pub const MISSING_CAPABILITY: i64 = -32021;
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// A POST in the making: change what the test is about, leave the rest as a client sends it.
#[derive(Debug, Clone)]
pub struct Post {
    path: String,
    headers: Vec<(String, String)>,
    pub body: Value,
    /// Sent instead of `body`.
    raw: Option<Vec<u8>>,
}

impl Post {
    /// A request of the legacy era. A null `params` is left out.
    pub fn legacy(method: &str, params: Value) -> Post {
        let mut body = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        if !params.is_null() {
            body["params"] = params;
        }
        let post = Post::of(body);
        if method == "initialize" {
            post
        } else {
            post.header("MCP-Protocol-Version", LEGACY)
        }
    }

    /// A request of the modern era with everything the specification asks for. `params` is an object or null.
    pub fn modern(method: &str, params: Value) -> Post {
        let mut params = match params {
            Value::Object(params) => params,
            _ => Map::new(),
        };
        let name = params
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            _ => Map::new(),
        };
        for (key, value) in [
            ("protocolVersion", json!(MODERN)),
            ("clientInfo", json!({"name": "test", "version": "1"})),
            ("clientCapabilities", json!({})),
        ] {
            meta.entry(format!("{META}{key}")).or_insert(value);
        }
        params.insert("_meta".into(), Value::Object(meta));
        let post = Post::of(json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
            .header("MCP-Protocol-Version", MODERN)
            .header("Mcp-Method", method);
        match name {
            Some(name) if method == "tools/call" => post.header("Mcp-Name", &name),
            _ => post,
        }
    }

    /// A call of one tool in each era.
    pub fn call(era: Era, tool: &str, arguments: Value) -> Post {
        let params = json!({"name": tool, "arguments": arguments});
        match era {
            Era::Legacy => Post::legacy("tools/call", params),
            Era::Modern => Post::modern("tools/call", params),
        }
    }

    /// A POST of this message with the headers that every client sends.
    pub fn of(body: Value) -> Post {
        Post {
            path: "/mcp".into(),
            headers: vec![
                ("Content-Type".into(), "application/json".into()),
                (
                    "Accept".into(),
                    "application/json, text/event-stream".into(),
                ),
            ],
            body,
            raw: None,
        }
    }

    /// A POST of these bytes, whatever they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Post {
        Post {
            raw: Some(bytes.into()),
            ..Post::of(Value::Null)
        }
    }

    pub fn path(mut self, path: &str) -> Post {
        self.path = path.into();
        self
    }

    /// Sets the header, or replaces it.
    pub fn header(self, name: &str, value: &str) -> Post {
        let mut post = self.without(name);
        post.headers.push((name.into(), value.into()));
        post
    }

    /// Adds the header even if it is there already.
    pub fn also(mut self, name: &str, value: &str) -> Post {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Post {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Sets a field of `params._meta`; null removes it.
    pub fn meta(mut self, key: &str, value: Value) -> Post {
        let meta = self.body["params"]["_meta"]
            .as_object_mut()
            .expect("a modern request");
        if value.is_null() {
            meta.remove(key);
        } else {
            meta.insert(key.into(), value);
        }
        self
    }

    pub fn id(mut self, id: Value) -> Post {
        self.body["id"] = id;
        self
    }

    /// The request's bytes.
    pub fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let body = self
            .raw
            .clone()
            .unwrap_or_else(|| self.body.to_string().into_bytes());
        let mut head = format!("POST {} HTTP/1.1\r\n", self.path);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        [head.into_bytes(), body].concat()
    }

    /// Sends it on a connection of its own.
    pub fn send(&self, address: SocketAddr) -> Answer {
        self.send_on(&mut Connection::open(address), address)
    }

    pub fn send_on(&self, connection: &mut Connection, address: SocketAddr) -> Answer {
        connection.send(&self.bytes(address));
        Answer(connection.response())
    }
}

/// Which of the two protocols a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

pub const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// An answer to a [`Post`].
#[derive(Debug)]
pub struct Answer(pub Response);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The one JSON-RPC response: the body, or the event stream's last event.
    pub fn message(&self) -> Value {
        self.messages().pop().expect("a message")
    }

    /// All messages of the answer, in order.
    pub fn messages(&self) -> Vec<Value> {
        match self.0.header("content-type") {
            Some("application/json") => vec![self.0.json()],
            Some("text/event-stream") => events(self.0.text()),
            other => panic!("content type {other:?}: {}", self.0.text()),
        }
    }

    /// The result; panics with the answer when it is an error.
    pub fn result(&self) -> Value {
        let message = self.message();
        assert_eq!(self.status(), 200, "{message}");
        message
            .get("result")
            .unwrap_or_else(|| panic!("no result: {message}"))
            .clone()
    }

    /// HTTP status and JSON-RPC error code; panics when it is no error.
    pub fn error(&self) -> (u16, i64) {
        let message = self.message();
        let code = message["error"]["code"].as_i64();
        (
            self.status(),
            code.unwrap_or_else(|| panic!("no error: {message}")),
        )
    }

    /// The first text block of a tool's result, and whether it is a tool error.
    pub fn tool_text(&self) -> (String, bool) {
        let result = self.result();
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("no text: {result}"));
        (
            text.to_string(),
            result["isError"].as_bool().unwrap_or(false),
        )
    }
}

/// The JSON of every event of an event stream; comments are skipped.
fn events(stream: &str) -> Vec<Value> {
    stream
        .split("\n\n")
        .filter_map(|event| {
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .collect();
            (!data.is_empty())
                .then(|| serde_json::from_str(&data.concat()).expect("JSON in an event"))
        })
        .collect()
}
