//! JSON-RPC answers as bytes: an id, and a result or an error around it. Knows nothing of HTTP beyond the status
//! that the protocol ties to an error.

use serde_json::Value;

use super::Call;
use super::message::Malformed;
use super::prepared::{Prepared, REQUEST_ID};
use super::version::{self, Era};
use crate::catalog::{Content, Outcome};

/// Error codes of JSON-RPC 2.0 §5.1 and MCP 2026-07-28 basic/index ("Error codes").
pub mod code {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    pub const HEADER_MISMATCH: i64 = -32020;
    pub const MISSING_CAPABILITY: i64 = -32021;
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    /// Ours: outside -32768..-32000, which the specifications keep for themselves.
    pub const REFUSED: i64 = 403;
    pub const UNAUTHORIZED: i64 = 401;
    pub const OVERLOADED: i64 = 503;
    pub const TIMEOUT: i64 = 504;
}

/// A JSON-RPC message and the HTTP status that carries it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// An error before it has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl Fault {
    pub fn new(status: u16, code: i64, message: impl Into<String>) -> Fault {
        Fault {
            status,
            code,
            message: message.into(),
            data: None,
        }
    }

    pub fn unsupported_version(asked: &str) -> Fault {
        let message = format!("Protocol version {asked:?} is not supported");
        Fault {
            data: Some(
                serde_json::json!({ "supported": version::supported(), "requested": asked }),
            ),
            ..Fault::new(400, code::UNSUPPORTED_VERSION, message)
        }
    }

    /// The same with the request id that the log has, in `data`: errors have no `_meta`. Members that the protocol asks for stay.
    pub fn of_request(self, request: &str) -> Fault {
        let mut data = self.data.unwrap_or_else(|| serde_json::json!({}));
        if let Some(members) = data.as_object_mut() {
            members.insert(REQUEST_ID.to_owned(), request.into());
        }
        Fault {
            data: Some(data),
            ..self
        }
    }

    /// `id: None` leaves the member out: a null id is not valid (MCP 2026-07-28 schema).
    pub fn reply(&self, id: Option<&str>) -> Reply {
        let mut body = b"{\"jsonrpc\":\"2.0\"".to_vec();
        if let Some(id) = id {
            body.extend_from_slice(b",\"id\":");
            body.extend_from_slice(id.as_bytes());
        }
        let mut error = serde_json::json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        body.extend_from_slice(b",\"error\":");
        body.extend_from_slice(error.to_string().as_bytes());
        body.push(b'}');
        Reply {
            status: self.status,
            body,
        }
    }
}

impl From<Malformed> for Reply {
    fn from(malformed: Malformed) -> Reply {
        match malformed {
            Malformed::Parse(message) => Fault::new(400, code::PARSE, message).reply(None),
            Malformed::Shape(message, id) => {
                Fault::new(400, code::INVALID_REQUEST, message).reply(id.as_deref())
            }
        }
    }
}

/// What ended a call from outside, as its answer.
pub fn call_fault(call: Option<&Call>, fault: Fault) -> Reply {
    match call {
        Some(call) => fault.of_request(&call.request).reply(Some(&call.id)),
        None => fault.reply(None),
    }
}

/// A result from parts, written once into one buffer.
pub fn result(id: &str, parts: &[&[u8]]) -> Reply {
    let size = parts.iter().map(|part| part.len()).sum::<usize>() + id.len() + 40;
    let mut body = Vec::with_capacity(size);
    body.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    body.extend_from_slice(id.as_bytes());
    body.extend_from_slice(b",\"result\":");
    for part in parts {
        body.extend_from_slice(part);
    }
    body.push(b'}');
    Reply { status: 200, body }
}

/// A tool's outcome as the result of `tools/call`, `request` being the request id that the log has. `structuredContent` is any JSON in the modern era and an object in the
/// legacy one, where another value is wrapped as `{"result": …}` (MCP 2025-11-25, server/tools); the text mirrors it.
pub fn call_result(
    id: &str,
    era: Era,
    prepared: &Prepared,
    outcome: &Outcome,
    request: Option<&str>,
) -> Reply {
    let head = prepared.call_head(era);
    let tail = prepared.call_tail(era, request);
    let tail = tail.as_bytes();
    let is_error: &[u8] = if outcome.is_error {
        b",\"isError\":true"
    } else {
        b",\"isError\":false"
    };
    match &outcome.content {
        Content::Json {
            object,
            bytes,
            notes,
        } => {
            let mut content = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 64);
            content.extend_from_slice(b"\"content\":[");
            text_block(&mut content, bytes);
            for note in notes {
                content.push(b',');
                text_block(&mut content, note.as_bytes());
            }
            content.push(b']');
            let wrap = era == Era::Legacy && !object;
            let (open, close): (&[u8], &[u8]) = if wrap {
                (b",\"structuredContent\":{\"result\":", b"}")
            } else {
                (b",\"structuredContent\":", b"")
            };
            result(id, &[head, &content, open, bytes, close, is_error, tail])
        }
        Content::Text(text) => {
            let mut content = b"\"content\":[".to_vec();
            text_block(&mut content, text.as_bytes());
            content.push(b']');
            result(id, &[head, &content, is_error, tail])
        }
        Content::Blocks(blocks) => result(id, &[head, b"\"content\":", blocks, is_error, tail]),
    }
}

/// Appends `{"type":"text","text":"…"}`. The bytes are UTF-8; anything else becomes the replacement character.
fn text_block(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    string(out, text);
    out.push(b'}');
}

/// Appends a JSON string.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    // Writing to a Vec cannot fail.
    let _ = match std::str::from_utf8(text) {
        Ok(text) => serde_json::to_writer(&mut *out, text),
        Err(_) => serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text)),
    };
}

/// A progress notification for the request's own stream (MCP 2026-07-28, basic/utilities/progress).
pub fn progress(token: &str, progress: f64, total: Option<f64>, message: &str) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":".to_vec();
    out.extend_from_slice(token.as_bytes());
    out.extend_from_slice(format!(",\"progress\":{}", number(progress)).as_bytes());
    if let Some(total) = total {
        out.extend_from_slice(format!(",\"total\":{}", number(total)).as_bytes());
    }
    out.extend_from_slice(b",\"message\":");
    string(&mut out, message.as_bytes());
    out.extend_from_slice(b"}}");
    out
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}
