//! Turns what the database answered into what the caller is told: the shape's JSON, honest notes about what is
//! missing, or an error that a model can act on. Knows nothing of protocol eras; the caller frames it.

use std::borrow::Cow;

use super::arguments::{Given, present};
use super::call::Call;
use super::cursor;
use super::json::compact;
use super::page::Page;
use super::parameter::Origin;
use super::plan;
use super::sqlstate::{self, Circumstances};
use super::statement::Form;
use super::template::{Template, shown};
use super::tool::{Sql, Tool};
use crate::db::{Access, DbError, Rows};

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub is_error: bool,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One JSON value: the structured content, and its own text block.
    Json {
        /// The value is an object: older clients take no other structured content.
        object: bool,
        bytes: Vec<u8>,
        /// Further text blocks: nothing found, cut short.
        notes: Vec<String>,
    },
    Text(String),
    /// A JSON array of MCP content blocks as it stands.
    Blocks(Vec<u8>),
}

impl Outcome {
    pub fn error(text: impl Into<String>) -> Outcome {
        Outcome {
            is_error: true,
            content: Content::Text(text.into()),
        }
    }

    /// One JSON value, without notes.
    pub fn json(bytes: Vec<u8>) -> Outcome {
        Outcome::noted(bytes, Vec::new())
    }

    fn noted(bytes: Vec<u8>, notes: Vec<String>) -> Outcome {
        let object = bytes.first() == Some(&b'{');
        Outcome {
            is_error: false,
            content: Content::Json {
                object,
                bytes,
                notes,
            },
        }
    }
}

/// What a tool's result looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A list: `{"items":[...],"count":n}`.
    Rows,
    /// Exactly one object.
    Row,
    /// One JSON value as the statement yields it.
    Document,
    /// A JSON array of MCP content blocks as the statement yields it.
    Content,
}

/// The result of a tool's call, once the database has answered; the error is what to tell the caller.
pub(crate) fn finish(
    tool: &Tool,
    sql: &Sql,
    call: &Call,
    answer: Result<Rows, DbError>,
) -> Result<Outcome, String> {
    let rows = answer.map_err(|error| {
        let circumstances = Circumstances {
            writes: call.access == Access::ReadWrite,
            timeout: call.timeout,
            cursor_given: call.cursor_given,
        };
        sqlstate::tell(&error, &circumstances)
    })?;
    if sql.form == Form::Plain {
        let affected = format!("{{\"rows_affected\":{}}}", rows.affected);
        return Ok(Outcome::json(affected.into_bytes()));
    }
    match sql.shape {
        Shape::Rows => list(tool, sql, call, rows),
        Shape::Row | Shape::Document | Shape::Content => single(tool, sql, call, rows),
    }
}

fn single(tool: &Tool, sql: &Sql, call: &Call, rows: Rows) -> Result<Outcome, String> {
    if rows.truncated && rows.count == 0 {
        return Err(too_large(tool, call));
    }
    if rows.count == 0 || rows.json == b"null" {
        return Err(not_found(tool, sql, call));
    }
    if rows.more || rows.truncated || rows.count > 1 {
        return Err(match sql.shape {
            Shape::Row => "More than one row matches; this tool answers with exactly one. Be more specific.",
            _ => "The tool's statement yields more than one document: its operator has to correct it.",
        }
        .to_owned());
    }
    let bytes = match compact(&rows.json) {
        Cow::Owned(bytes) => bytes,
        Cow::Borrowed(_) => rows.json,
    };
    if sql.shape != Shape::Content {
        let key = sql.error_key.as_deref();
        return Ok(Outcome {
            is_error: key.is_some_and(|key| plan::has(&bytes, key)),
            ..Outcome::json(bytes)
        });
    }
    if bytes.first() != Some(&b'[') {
        return Err("The tool's statement yields no list of content blocks: its operator has to correct it.".to_owned());
    }
    Ok(Outcome {
        is_error: false,
        content: Content::Blocks(bytes),
    })
}

fn not_found(tool: &Tool, sql: &Sql, call: &Call) -> String {
    let given = call.given();
    match &sql.not_found {
        Some(template) => template.fill(&tool.parameters, &given),
        None => format!("Nothing found{}.", filters(tool, &given)),
    }
}

fn too_large(tool: &Tool, call: &Call) -> String {
    let mut text = format!(
        "The result is larger than the {} bytes that this tool may return.",
        call.max_bytes
    );
    if let Some(hint) = narrow(tool, &call.given()) {
        text.push(' ');
        text.push_str(&hint);
    }
    text
}

fn list(tool: &Tool, sql: &Sql, call: &Call, rows: Rows) -> Result<Outcome, String> {
    if rows.truncated && rows.count == 0 {
        return Err(too_large(tool, call));
    }
    let items = compact(&rows.json);
    let mut bytes = Vec::with_capacity(items.len() + 160);
    bytes.extend_from_slice(b"{\"items\":[");
    bytes.extend_from_slice(&items);
    bytes.extend_from_slice(b"],\"count\":");
    bytes.extend_from_slice(rows.count.to_string().as_bytes());
    let mut notes = Vec::new();
    if sql.page.is_some() {
        page_end(call, &rows, &mut bytes, &mut notes);
    } else if rows.more || rows.truncated {
        bytes.extend_from_slice(b",\"truncated\":true");
    }
    bytes.push(b'}');
    if rows.count == 0 {
        notes.push(empty(tool, sql, call));
    } else if sql.page.is_none() && (rows.more || rows.truncated) {
        notes.push(cut(tool, call, &rows));
    }
    Ok(Outcome::noted(bytes, notes))
}

fn page_end(call: &Call, rows: &Rows, bytes: &mut Vec<u8>, notes: &mut Vec<String>) {
    let has_more = rows.more || rows.truncated;
    if has_more {
        match call.ownership.and_then(|owner| cursor::encode(&rows.keys, owner)) {
            Some(cursor) => {
                bytes.extend_from_slice(b",\"next_cursor\":\"");
                bytes.extend_from_slice(cursor.as_bytes());
                bytes.push(b'"');
            }
            None => notes.push("More rows exist, but the last row has no key that a cursor can hold. Narrow the filters.".to_owned()),
        }
    }
    bytes.extend_from_slice(if has_more {
        b",\"has_more\":true"
    } else {
        b",\"has_more\":false"
    });
    if rows.truncated {
        bytes.extend_from_slice(b",\"truncated\":true");
        notes.push(format!(
            "Only {} rows fit into {} bytes; go on with next_cursor, or ask for fewer rows.",
            rows.count, call.max_bytes
        ));
    }
}

/// An empty list says so in words: models have been seen to take a bare `[]` for a failure, or to make rows up.
fn empty(tool: &Tool, sql: &Sql, call: &Call) -> String {
    if call.cursor_given {
        return "No further rows.".to_owned();
    }
    let given = call.given();
    match &sql.empty {
        Some(template) => template.fill(&tool.parameters, &given),
        None => format!("0 rows{}.", filters(tool, &given)),
    }
}

fn cut(tool: &Tool, call: &Call, rows: &Rows) -> String {
    let reason = if rows.truncated {
        format!("more do not fit into {} bytes", call.max_bytes)
    } else {
        format!("this tool returns at most {}", call.max_rows)
    };
    let mut text = format!("Only the first {} rows are shown: {reason}.", rows.count);
    if let Some(hint) = narrow(tool, &call.given()) {
        text.push(' ');
        text.push_str(&hint);
    }
    text
}

/// ` for project p3, status open`: the filters as the caller gave them.
fn filters(tool: &Tool, given: &Given<'_>) -> String {
    let mut text = String::new();
    for parameter in tool
        .parameters
        .iter()
        .filter(|p| p.origin == Origin::Argument)
    {
        if let Some(raw) = present(parameter, given) {
            text.push_str(if text.is_empty() { " for " } else { ", " });
            text.push_str(&parameter.name);
            text.push(' ');
            text.push_str(&shown(raw));
        }
    }
    text
}

/// How to get fewer rows: the filters that the call leaves open.
fn narrow(tool: &Tool, given: &Given<'_>) -> Option<String> {
    let open: Vec<&str> = tool
        .parameters
        .iter()
        .filter(|p| p.origin == Origin::Argument && present(p, given).is_none())
        .map(|p| p.name.as_str())
        .collect();
    (!open.is_empty()).then(|| format!("Narrow it with {}.", open.join(", ")))
}

/// Whether finishing a call may need to see its arguments again.
pub(crate) fn needs_arguments(
    shape: Shape,
    page: Option<&Page>,
    not_found: Option<&Template>,
) -> bool {
    shape == Shape::Rows || page.is_some() || not_found.is_none_or(Template::needs_arguments)
}
