//! `subscriptions/listen` as messages: what is asked, and what its stream says (MCP 2026-07-28, basic/patterns/subscriptions).
//! Every message of a stream carries the id of the request that opened it. Knows nothing of streams.

use serde::Deserialize;

use super::message::Params;
use super::prepared::Prepared;
use super::reply::{Fault, code};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The longest request id that a subscription may have, in bytes: it is kept as long as the stream is open.
const ID_MOST: usize = 1024;

/// A `subscriptions/listen` request.
#[derive(Debug, PartialEq, Eq)]
pub struct Listen {
    /// The request id's own bytes.
    pub id: String,
    /// Asks to be told when the list of tools changes. The other kinds of news there are cannot come from a server of tools alone.
    pub tools: bool,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(default, rename = "toolsListChanged")]
    tools: Option<bool>,
}

/// Reads the request's filter.
///
/// # Errors
/// -32602: there is none, or it is none.
pub(super) fn listen(id: &str, params: &Params) -> Result<Listen, Fault> {
    let invalid = |message: String| Fault::new(200, code::INVALID_PARAMS, message);
    let filter = params.notifications.ok_or_else(|| {
        invalid("params.notifications: say which notifications the stream is for".into())
    })?;
    if !filter.get().starts_with('{') {
        return Err(invalid("params.notifications: must be an object".into()));
    }
    let filter: Filter = serde_json::from_str(filter.get())
        .map_err(|error| invalid(format!("params.notifications: {error}")))?;
    if id.len() > ID_MOST {
        return Err(invalid(format!(
            "id: a subscription's may be {ID_MOST} bytes long, not {}",
            id.len()
        )));
    }
    Ok(Listen {
        id: id.to_owned(),
        tools: filter.tools == Some(true),
    })
}

/// The stream's first message: which of the wishes are granted.
pub fn acknowledged(listen: &Listen) -> Vec<u8> {
    let granted = if listen.tools {
        "{\"toolsListChanged\":true}"
    } else {
        "{}"
    };
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{{\"_meta\":{{\"{ID}\":{}}},\"notifications\":{granted}}}}}",
        listen.id
    )
    .into_bytes()
}

/// The tools have changed.
pub fn list_changed(id: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{{\"_meta\":{{\"{ID}\":{id}}}}}}}").into_bytes()
}

/// The stream's last message, the request's result: the server ends it on purpose.
pub fn subscription_result(id: &str, prepared: &Prepared) -> Vec<u8> {
    let server = prepared.server_info();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"resultType\":\"complete\",\"_meta\":{{\"io.modelcontextprotocol/serverInfo\":{server},\"{ID}\":{id}}}}}}}").into_bytes()
}
