//! A database's address from the keys of its table: a URL as it stands, in a file, in a variable, or put together from its parts.
//! Opens no connection.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use tine_worker::files::Files;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::database::Secret;
use super::document::Document;
use super::tables::{expanded, place};
use crate::fault::{Fault, Origin};

/// Each is a whole address.
const WHOLE: [&str; 3] = ["url", "url_file", "url_env"];
/// Named as libpq does (PostgreSQL's manual, 34.1.2 "Parameter Key Words").
const PARTS: [&str; 6] = ["host", "port", "user", "password", "dbname", "sslmode"];

/// Whether the key has a share in the address.
pub fn is_key(key: &str) -> bool {
    WHOLE.contains(&key) || PARTS.contains(&key)
}

/// The address, or the fault that a command which connects must report. What is wrong with the table itself is reported here.
pub fn read(
    document: &mut Document,
    name: &str,
    table: &DeTable<'_>,
    span: Range<usize>,
    environment: &BTreeMap<String, String>,
    files: &Files,
) -> Result<Secret, Box<Fault>> {
    let mut whole = Vec::new();
    let mut parts = Vec::new();
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            key if WHOLE.contains(&key) => whole.push((key.to_owned(), value)),
            key if PARTS.contains(&key) => parts.push((key.to_owned(), value)),
            _ => {}
        }
    }
    match (whole.as_slice(), parts.is_empty()) {
        ([(key, value)], true) => one(document, name, key, value, environment, files),
        ([], false) => assembled(document, name, &parts, environment),
        ([], true) => {
            let fault = Fault::error(document.origin(span), format!("[databases.{name}] has no URL"))
                .help("give one of `url = \"postgres://...\"`, `url_file = \"FILE\"`, `url_env = \"VARIABLE\"`, or host, dbname, user and so on");
            document.faults.push(fault);
            unknown(name)
        }
        ([.., (_, second)], _) => {
            document.fault(
                second.span(),
                format!(
                    "[databases.{name}] has two URLs: keep one of url, url_file, url_env, or the parts of one ({})",
                    PARTS.join(", ")
                ),
            );
            unknown(name)
        }
    }
}

fn unknown(name: &str) -> Result<Secret, Box<Fault>> {
    let message = format!("database {name} has no URL");
    Err(Box::new(Fault::error(Origin::Nowhere, message)))
}

fn one(
    document: &mut Document,
    name: &str,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    environment: &BTreeMap<String, String>,
    files: &Files,
) -> Result<Secret, Box<Fault>> {
    let Some(text) = document.text_of(value) else {
        return unknown(name);
    };
    match key {
        "url_env" => environment
            .get(&text)
            .filter(|url| !url.is_empty())
            .map(Secret::new)
            .ok_or_else(|| {
                let message = format!(
                    "the environment has no {text}, which should hold the URL of database {name}"
                );
                Box::new(Fault::error(document.origin(value.span()), message))
            }),
        "url_file" => {
            let read = |path: PathBuf| {
                let text = files.text(&path);
                text.map_err(|error| format!("can't read {}: {error}", path.display()))
            };
            place(document, &text, environment)
                .and_then(read)
                .map(|url| Secret::new(url.trim()))
                .map_err(|message| Box::new(Fault::error(document.origin(value.span()), message)))
        }
        _ => Ok(Secret::new(text)),
    }
}

/// libpq's `key='value'` form: nothing in a password has to be encoded as in a URL.
fn assembled(
    document: &mut Document,
    name: &str,
    parts: &[(String, &Spanned<DeValue<'_>>)],
    environment: &BTreeMap<String, String>,
) -> Result<Secret, Box<Fault>> {
    let mut pairs = Vec::new();
    for (key, value) in parts {
        let text = match value.get_ref() {
            DeValue::Integer(number) if key == "port" => number.to_string(),
            DeValue::String(text) => expanded(document, text, value.span(), environment)?,
            other => {
                let message = format!("expected text, found {}", other.type_str());
                document.fault(value.span(), message);
                return unknown(name);
            }
        };
        // An empty one, such as a variable that may be missing, leaves PostgreSQL's default.
        if !text.is_empty() {
            let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
            pairs.push(format!("{key}='{quoted}'"));
        }
    }
    Ok(Secret::new(pairs.join(" ")))
}
