//! The Model Context Protocol, both eras on one endpoint: from a request's body and MCP headers to an answer at once
//! or to a call that needs work. Pure: no sockets, no database, no clock. The order of the checks is the ladder
//! that the official conformance suite expects (MCP 2026-07-28, basic/versioning and basic/transports).

mod asked;
mod headers;
mod message;
mod prepared;
mod reply;
mod subscription;
mod version;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::catalog::{Caller, Era, Outcome, Refusal, Tool, Toolset, Work};
pub use asked::{Asked, bounded};
pub use headers::Headers;
use message::{Body, Message, Params};
pub use prepared::{CATALOG_HASH, Caching, Listed, Prepared, REQUEST_ID, ServerInfo};
pub use reply::{Fault, Reply, call_fault, call_result, code, progress};
pub use subscription::{Listen, acknowledged, list_changed, subscription_result};
use version::{BATCHING, MODERN};

/// What a body asks of one toolset.
pub struct Endpoint<'a> {
    pub toolset: &'a Toolset,
    pub prepared: &'a Prepared,
    /// Another list is served by now, although not by this worker.
    pub outdated: bool,
    pub caller: Caller<'a>,
}

/// The answer to one message, or the way to it.
pub enum Answer {
    /// Answered from memory.
    Reply(Reply),
    /// 202: a notification or a response, nothing to say.
    Accepted,
    /// A tool has to run.
    Call(Box<Call>),
    /// A call of a tool is answered without running anything.
    Refused(Box<Refused>),
    /// A stream has to be opened, which tells of changes.
    Listen(Listen),
}

/// A `tools/call` whose arguments were accepted.
pub struct Call {
    /// The request id's own bytes.
    pub id: String,
    pub era: Era,
    pub tool: Arc<Tool>,
    pub work: Work,
    /// The caller's progress token (its JSON bytes), if it gave one.
    pub progress: Option<String>,
    pub asked: Asked,
    /// The request id that client and log get to see; empty until whoever runs the call gives it one.
    pub request: String,
    /// What became of its effects, for its record.
    pub effects: Option<String>,
}

/// A `tools/call` that can't be made.
pub struct Refused {
    /// The request id's own bytes.
    pub id: String,
    /// As the caller wrote it; at most 64 characters.
    pub tool: String,
    pub asked: Asked,
    pub why: Why,
}

/// Why a call can't be made.
pub enum Why {
    /// The arguments: a tool error, which a model sees and mends, in both eras (SEP-1303).
    Arguments(Era, Outcome),
    /// Something else.
    Fault(Fault),
}

impl Refused {
    /// The answer, with the request id that client and log get to see.
    pub fn reply(&self, prepared: &Prepared, request: &str) -> Reply {
        match &self.why {
            Why::Arguments(era, outcome) => {
                call_result(&self.id, *era, prepared, outcome, Some(request))
            }
            Why::Fault(fault) => fault.clone().of_request(request).reply(Some(&self.id)),
        }
    }

    fn of(id: &str, params: &Params, why: Why) -> Answer {
        Answer::Refused(Box::new(Refused {
            id: id.to_owned(),
            tool: bounded(params.name.as_deref().unwrap_or_default()).to_owned(),
            asked: Asked::of(params),
            why,
        }))
    }
}

/// The answer to a whole body.
pub enum Answers {
    One(Answer),
    /// A legacy batch, in order (MCP 2025-03-26, basic).
    Batch(Vec<Answer>),
}

/// Answers a POST's body.
pub fn answer(endpoint: &Endpoint, headers: &Headers, body: &[u8]) -> Answers {
    match message::body(body) {
        Err(malformed) => Answers::One(Answer::Reply(malformed.into())),
        Ok(Body::One(raw)) => Answers::One(one(endpoint, headers, raw)),
        Ok(Body::Batch(elements)) => {
            if headers
                .protocol_version
                .is_some_and(|version| version != BATCHING)
            {
                let fault = Fault::new(
                    400,
                    code::INVALID_REQUEST,
                    "Batches are not part of this protocol version; send one message",
                );
                return Answers::One(Answer::Reply(fault.reply(None)));
            }
            Answers::Batch(
                elements
                    .into_iter()
                    .map(|raw| one(endpoint, headers, raw))
                    .collect(),
            )
        }
    }
}

/// The id of a body's one request, its own bytes, if it can be read.
pub fn request_id(body: &[u8]) -> Option<String> {
    match message::body(body) {
        Ok(Body::One(raw)) => match message::message(raw) {
            Ok(Message::Request { id, .. }) => Some(id.to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn one(endpoint: &Endpoint, headers: &Headers, raw: &RawValue) -> Answer {
    match message::message(raw) {
        Err(malformed) => Answer::Reply(malformed.into()),
        Ok(Message::Notification | Message::Response) => Answer::Accepted,
        Ok(Message::Request { id, method, params }) => {
            let answered = match is_modern(headers, &params) {
                true => modern(endpoint, headers, id, &method, &params),
                false => legacy(endpoint, headers, id, &method, &params),
            };
            answered.unwrap_or_else(|fault| match &*method {
                "tools/call" => Refused::of(id, &params, Why::Fault(fault)),
                _ => Answer::Reply(fault.reply(Some(id))),
            })
        }
    }
}

// A `_meta` alone proves nothing: legacy clients send it with a progress token.
fn is_modern(headers: &Headers, params: &Params) -> bool {
    let in_body = params
        .meta
        .as_ref()
        .and_then(|meta| meta.protocol_version.as_deref());
    match (in_body, headers.protocol_version) {
        (Some(version), _) => version::era(version) != Some(Era::Legacy),
        (None, Some(version)) => is_newer(version),
        (None, None) => false,
    }
}

// A header alone makes a request modern only when it names a revision after the legacy ones; another unknown name is a
// legacy client's mistake, answered with the list of revisions.
fn is_newer(version: &str) -> bool {
    let is_date = version.len() == 10
        && version.bytes().enumerate().all(|(i, byte)| {
            if i == 4 || i == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    is_date && version > version::LEGACY[0]
}

fn modern(
    endpoint: &Endpoint,
    headers: &Headers,
    id: &str,
    method: &str,
    params: &Params,
) -> Result<Answer, Fault> {
    let meta = params.meta.as_ref();
    let missing = |what: &str| {
        Fault::new(
            400,
            code::INVALID_PARAMS,
            format!("params._meta[\"io.modelcontextprotocol/{what}\"] is missing"),
        )
    };
    let asked = meta
        .and_then(|meta| meta.protocol_version.as_deref())
        .ok_or_else(|| missing("protocolVersion"))?;
    let capabilities = meta
        .and_then(|meta| meta.client_capabilities)
        .ok_or_else(|| missing("clientCapabilities"))?;
    if !capabilities.get().starts_with('{') {
        let message =
            "params._meta[\"io.modelcontextprotocol/clientCapabilities\"]: must be an object";
        return Err(Fault::new(400, code::INVALID_PARAMS, message));
    }
    headers.must_equal("MCP-Protocol-Version", headers.protocol_version, asked)?;
    if asked != MODERN {
        return Err(Fault::unsupported_version(asked));
    }
    headers.must_equal("Mcp-Method", headers.method, method)?;
    match method {
        "server/discover" => Ok(Answer::Reply(reply::result(
            id,
            &[endpoint.prepared.discover()],
        ))),
        "tools/list" => list(endpoint, Era::Modern, id, params),
        "subscriptions/listen" if endpoint.prepared.list_changed() => {
            Ok(Answer::Listen(subscription::listen(id, params)?))
        }
        "tools/call" => {
            let name = params.name.as_deref().ok_or_else(nameless)?;
            headers.name_must_equal(name)?;
            let tool = find(endpoint, name)?;
            headers.parameters_must_equal(tool, params.arguments)?;
            require_capabilities(tool, capabilities)?;
            call(endpoint, Era::Modern, id, tool, params)
        }
        _ => Err(Fault::new(
            404,
            code::METHOD_NOT_FOUND,
            format!("Method not found: {method}"),
        )),
    }
}

fn legacy(
    endpoint: &Endpoint,
    headers: &Headers,
    id: &str,
    method: &str,
    params: &Params,
) -> Result<Answer, Fault> {
    if let Some(version) = headers.protocol_version {
        if let Some(in_body) = params
            .meta
            .as_ref()
            .and_then(|meta| meta.protocol_version.as_deref())
        {
            headers.must_equal("MCP-Protocol-Version", Some(version), in_body)?;
        }
        if version::era(version) != Some(Era::Legacy) {
            return Err(Fault::unsupported_version(version));
        }
    }
    match method {
        "initialize" => {
            let version = version::negotiate(params.protocol_version.as_deref());
            Ok(Answer::Reply(reply::result(
                id,
                &[endpoint.prepared.initialize(version)],
            )))
        }
        "ping" => Ok(Answer::Reply(reply::result(id, &[b"{}"]))),
        "tools/list" => list(endpoint, Era::Legacy, id, params),
        "tools/call" => {
            let tool = find(endpoint, params.name.as_deref().ok_or_else(nameless)?)?;
            call(endpoint, Era::Legacy, id, tool, params)
        }
        // Not 404: legacy clients read that as "session expired" (MCP 2025-11-25, basic/transports).
        _ => Err(Fault::new(
            200,
            code::METHOD_NOT_FOUND,
            format!("Method not found: {method}"),
        )),
    }
}

fn nameless() -> Fault {
    Fault::new(
        200,
        code::INVALID_PARAMS,
        "params.name: the tool's name is missing",
    )
}

fn find<'a>(endpoint: &'a Endpoint, name: &str) -> Result<&'a Arc<Tool>, Fault> {
    let unknown = || {
        Fault::new(
            200,
            code::INVALID_PARAMS,
            format!("Unknown tool: {name}. tools/list names the tools of this endpoint"),
        )
    };
    endpoint.toolset.find(name).ok_or_else(unknown)
}

fn list(endpoint: &Endpoint, era: Era, id: &str, params: &Params) -> Result<Answer, Fault> {
    let unknown = || {
        Fault::new(
            200,
            code::INVALID_PARAMS,
            "params.cursor: not a cursor of this list; start again without one",
        )
    };
    let tools = endpoint
        .toolset
        .list(era, params.cursor.as_deref())
        .ok_or_else(unknown)?;
    let (head, tail) = endpoint.prepared.list_frame(era, endpoint.outdated);
    Ok(Answer::Reply(reply::result(id, &[head, tools, tail])))
}

fn require_capabilities(tool: &Tool, declared: &RawValue) -> Result<(), Fault> {
    if tool.client_capabilities.is_empty() {
        return Ok(());
    }
    let declared: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(declared.get()).unwrap_or_default();
    let missing: serde_json::Map<_, _> = tool
        .client_capabilities
        .iter()
        .filter(|needed| !declared.contains_key(needed.as_str()))
        .map(|needed| (needed.clone(), serde_json::json!({})))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.keys().map(String::as_str).collect();
    let message = format!(
        "Tool {} needs client capabilities that were not declared: {}",
        tool.name,
        names.join(", ")
    );
    Err(Fault {
        data: Some(serde_json::json!({ "requiredCapabilities": missing })),
        ..Fault::new(400, code::MISSING_CAPABILITY, message)
    })
}

fn call(
    endpoint: &Endpoint,
    era: Era,
    id: &str,
    tool: &Arc<Tool>,
    params: &Params,
) -> Result<Answer, Fault> {
    match tool.bind(params.arguments, &endpoint.caller) {
        Err(Refusal { outcome, .. }) => Ok(Refused::of(id, params, Why::Arguments(era, outcome))),
        Ok(work) => Ok(Answer::Call(Box::new(Call {
            id: id.to_owned(),
            era,
            tool: Arc::clone(tool),
            work,
            progress: params
                .meta
                .as_ref()
                .and_then(|meta| meta.progress_token)
                .map(|token| token.get().to_owned()),
            asked: Asked::of(params),
            request: String::new(),
            effects: None,
        }))),
    }
}

#[cfg(test)]
mod tests;
