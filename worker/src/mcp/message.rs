//! One JSON-RPC message as it arrives: its shape, its id, its parameters. Borrows from the body and
//! leaves every value it does not need unparsed. Knows nothing of HTTP, tools or eras.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The most elements of a batch that one POST may hold; each may be a database call.
pub const BATCH_MAX: usize = 32;

/// What is wrong with a body, as a JSON-RPC error (JSON-RPC 2.0 §5.1).
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// -32700
    Parse(String),
    /// -32600, with the id where one was readable
    Shape(String, Option<String>),
}

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

// An explicit null must stay apart from an absent member: `"id": null` is an error, no id is a notification.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A well-formed message.
#[derive(Debug)]
pub enum Message<'a> {
    Request {
        /// The id's own bytes, echoed as they came: a JSON string or integer.
        id: &'a str,
        method: Cow<'a, str>,
        params: Params<'a>,
    },
    Notification,
    /// A client's answer to a request this server never sends.
    Response,
}

/// The members of `params` that a tools-only server reads.
#[derive(Debug, Default, Deserialize)]
pub struct Params<'a> {
    #[serde(borrow, default, rename = "_meta", deserialize_with = "meta")]
    pub meta: Option<Box<Meta<'a>>>,
    /// `tools/call`: the tool.
    #[serde(borrow, default)]
    pub name: Option<Cow<'a, str>>,
    /// `tools/call`: an object, null or absent.
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    /// `tools/list`
    #[serde(borrow, default)]
    pub cursor: Option<Cow<'a, str>>,
    /// `subscriptions/listen`
    #[serde(borrow, default)]
    pub notifications: Option<&'a RawValue>,
    /// `initialize`
    #[serde(borrow, default, rename = "protocolVersion")]
    pub protocol_version: Option<Cow<'a, str>>,
}

/// The members of `_meta` that matter here (MCP 2026-07-28, basic/index).
#[derive(Debug, Default, Deserialize)]
pub struct Meta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    pub protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientInfo")]
    pub client_info: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken")]
    pub progress_token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub traceparent: Option<&'a RawValue>,
}

fn meta<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Meta<'de>>>, D::Error> {
    Option::<Box<Meta>>::deserialize(deserializer)
}

/// The body's top level: one message, or (for one legacy revision) several.
#[derive(Debug)]
pub enum Body<'a> {
    One(&'a RawValue),
    Batch(Vec<&'a RawValue>),
}

/// Reads the top level only, so that a batch's elements fail one by one.
///
/// # Errors
/// Not UTF-8, not JSON, nested too deeply (128 levels), or neither object nor array.
pub fn body(bytes: &[u8]) -> Result<Body<'_>, Malformed> {
    let raw: &RawValue = serde_json::from_slice(bytes)
        .map_err(|error| Malformed::Parse(format!("The body is not JSON: {error}")))?;
    match raw.get().as_bytes().first() {
        Some(b'{') => Ok(Body::One(raw)),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw.get())
                .map_err(|error| Malformed::Parse(format!("The body is not JSON: {error}")))?;
            match elements.len() {
                0 => Err(Malformed::Shape("A batch may not be empty".into(), None)),
                n if n > BATCH_MAX => Err(Malformed::Shape(
                    format!("A batch may hold {BATCH_MAX} messages, not {n}"),
                    None,
                )),
                _ => Ok(Body::Batch(elements)),
            }
        }
        _ => Err(Malformed::Shape(
            "A JSON-RPC message is an object".into(),
            None,
        )),
    }
}

/// Reads one message.
///
/// # Errors
/// -32600 for a message of no known shape: wrong `jsonrpc`, a null or fractional id, a method that is no string,
/// duplicate members, `params` that are no object.
pub fn message(raw: &RawValue) -> Result<Message<'_>, Malformed> {
    let shape = |text: String, id: Option<&str>| Malformed::Shape(text, id.map(str::to_owned));
    let envelope: Envelope = serde_json::from_str(raw.get())
        .map_err(|error| shape(format!("Not a JSON-RPC message: {error}"), None))?;
    let id = match envelope.id.map(RawValue::get) {
        None => None,
        Some(id) if is_id(id) => Some(id),
        Some(_) => return Err(shape("id: must be a string or an integer".into(), None)),
    };
    if envelope.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(shape("jsonrpc: must be \"2.0\"".into(), id));
    }
    let Some(method) = envelope.method else {
        return match (envelope.result, envelope.error) {
            (None, None) => Err(shape("method: is missing".into(), id)),
            _ => Ok(Message::Response),
        };
    };
    let method: Cow<str> = match serde_json::from_str::<Text>(method.get()) {
        Ok(Text(method)) => method,
        Err(_) => return Err(shape("method: must be a string".into(), id)),
    };
    let Some(id) = id else {
        return Ok(Message::Notification);
    };
    let params = match envelope.params {
        None => Params::default(),
        Some(params) if params.get() == "null" => Params::default(),
        Some(params) if !params.get().starts_with('{') => {
            return Err(shape("params: must be an object".into(), Some(id)));
        }
        Some(params) => serde_json::from_str(params.get())
            .map_err(|error| shape(format!("params: {error}"), Some(id)))?,
    };
    Ok(Message::Request { id, method, params })
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

// MCP 2026-07-28, basic/index: an id is a string or an integer, never null.
fn is_id(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    raw.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        match body(text.as_bytes()) {
            Err(error) => format!("{error:?}"),
            Ok(Body::Batch(elements)) => format!("batch of {}", elements.len()),
            Ok(Body::One(raw)) => match message(raw) {
                Err(error) => format!("{error:?}"),
                Ok(Message::Request { id, method, params }) => {
                    format!(
                        "request {id} {method} {:?} {:?}",
                        params.name.as_deref(),
                        params.arguments.map(RawValue::get)
                    )
                }
                Ok(Message::Notification) => "notification".into(),
                Ok(Message::Response) => "response".into(),
            },
        }
    }

    #[test]
    fn shapes() {
        for (text, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#,
                "request 0 ping None None",
            ),
            (
                r#"{"method":"ping","id":"a\"b","jsonrpc":"2.0","params":null}"#,
                r#"request "a\"b" ping None None"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":-7,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#,
                r#"request -7 tools/call Some("t") Some("{\"a\":1}")"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":null}}"#,
                r#"request 1 tools/call Some("t") None"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                "notification",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response"),
            (
                r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
                "batch of 1",
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed() {
        for (text, expected) in [
            ("", "Parse"),
            ("{", "Parse"),
            ("nonsense", "Parse"),
            ("\u{feff}{}", "Parse"),
            ("1", "Shape"),
            ("[]", "Shape"),
            ("{}", "Shape"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "Shape"),
            (r#"{"id":1,"method":"ping"}"#, "Shape"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "Shape"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "Shape"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "Shape"),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
                "Shape",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "Shape"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                "Shape",
            ),
            (r#"{"jsonrpc":"2.0","id":1}"#, "Shape"),
        ] {
            assert!(parse(text).starts_with(expected), "{text}: {}", parse(text));
        }
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}{}}}"#,
            "[".repeat(3000),
            "]".repeat(3000)
        );
        assert!(parse(&deep).starts_with("Parse") || parse(&deep).starts_with("Shape"));
        let many = format!("[{}]", vec!["{}"; BATCH_MAX + 1].join(","));
        assert!(parse(&many).starts_with("Shape"));
        assert!(matches!(
            body(b"{\"a\":\"\xff\"}"),
            Err(Malformed::Parse(_))
        ));
    }
}
