//! A tool's entry in `tools/list`, as bytes made once. Knows the entry's fields (MCP, "Tool"), not where they go.

use serde_json::Value;

use super::json::{compact, push_string};
use super::tool::Annotations;

/// What an entry is made of.
pub(crate) struct Entry<'a> {
    pub name: &'a str,
    pub title: Option<&'a str>,
    pub description: &'a str,
    pub schema: Schema<'a>,
    pub annotations: Annotations,
}

pub(crate) enum Schema<'a> {
    Made(Value),
    /// The author's own: kept but for the white space between its tokens.
    Raw(&'a str),
}

pub(crate) fn entry(entry: &Entry<'_>) -> Box<[u8]> {
    let mut bytes = b"{\"name\":".to_vec();
    push_string(&mut bytes, entry.name);
    if let Some(title) = entry.title {
        bytes.extend_from_slice(b",\"title\":");
        push_string(&mut bytes, title);
    }
    bytes.extend_from_slice(b",\"description\":");
    push_string(&mut bytes, entry.description);
    bytes.extend_from_slice(b",\"inputSchema\":");
    match &entry.schema {
        Schema::Made(schema) => bytes.extend_from_slice(schema.to_string().as_bytes()),
        Schema::Raw(text) => bytes.extend_from_slice(&compact(text.trim().as_bytes())),
    }
    let hints = entry.annotations;
    bytes.extend_from_slice(
        format!(
            ",\"annotations\":{{\"readOnlyHint\":{},\"destructiveHint\":{},\"idempotentHint\":{},\"openWorldHint\":{}}}}}",
            hints.read_only, hints.destructive, hints.idempotent, hints.open_world
        )
        .as_bytes(),
    );
    bytes.into_boxed_slice()
}
