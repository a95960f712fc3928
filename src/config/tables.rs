//! The tables of `tine.toml` and of the tokens file: `[databases.NAME]`, `[settings]`, `[tokens.NAME]`.
//! Knows nothing of the single options.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tine_worker::catalog::expand;
use tine_worker::db::Pool;
use tine_worker::files::Files;
use toml::Spanned;
use toml::de::DeValue;

use super::Settings;
use super::credential;
use super::database::{Database, Pooler};
use super::database_url;
use super::document::Document;
use super::kind::Kind;
use super::token::{Token, unhex};
use super::value::Value;
use crate::fault::{Fault, nearest};

const DATABASE_KEYS: &[&str] = &[
    "url",
    "url_file",
    "url_env",
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "connections",
    "tls_ca",
    "time_zone",
    "pooler",
];
const TOKEN_KEYS: &[&str] = &["sha256", "toolset", "user"];

/// Every `[databases.NAME]`.
pub fn databases(
    document: &mut Document,
    value: &Spanned<DeValue<'_>>,
    settings: &mut Settings,
    environment: &BTreeMap<String, String>,
    files: &Files,
) {
    for (name, table, span) in document.tables(value, "databases") {
        let url = database_url::read(document, name.get_ref(), table, span, environment, files);
        let mut database = Database {
            name: name.get_ref().to_string(),
            url,
            connections: settings.db_connections,
            tls_ca: None,
            time_zone: None,
            pooler: Pooler::Session,
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                key if database_url::is_key(key) => {}
                "connections" => {
                    match (Kind::Count {
                        min: 1,
                        max: Pool::MAX_CONNECTIONS as u64,
                    })
                    .parse_toml(value.get_ref())
                    {
                        Ok(number) => database.connections = Value::number(number),
                        Err(message) => document.fault(value.span(), message),
                    }
                }
                "tls_ca" => {
                    let text = document.text_of(value);
                    match text
                        .map(|text| place(document, &text, environment))
                        .transpose()
                    {
                        Ok(path) => database.tls_ca = path,
                        Err(message) => document.fault(value.span(), message),
                    }
                }
                "time_zone" => database.time_zone = document.text_of(value),
                "pooler" => match value.get_ref().as_str() {
                    Some("session") => database.pooler = Pooler::Session,
                    Some("transaction") => database.pooler = Pooler::Transaction,
                    _ => document.fault(value.span(), "expected \"session\" or \"transaction\""),
                },
                _ => document.unknown_key(
                    key,
                    &format!(" in [databases.{}]", name.get_ref()),
                    DATABASE_KEYS,
                ),
            }
        }
        settings.databases.push(database);
    }
}

/// The file that a key names: a credential, or a path that starts at the document's folder. `Err` is a fault's message.
pub fn place(
    document: &Document,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<PathBuf, String> {
    let path = match credential::is_credential(Path::new(text)) {
        true => PathBuf::from(text),
        false => document.path.parent().unwrap_or(Path::new("")).join(text),
    };
    credential::file(&path, environment)
}

/// A text with `${NAME}` and `${NAME:-else}` replaced by the environment's values.
pub fn expanded(
    document: &Document,
    text: &str,
    span: Range<usize>,
    environment: &BTreeMap<String, String>,
) -> Result<String, Box<Fault>> {
    expand(text, |variable| environment.get(variable).cloned()).map_err(|complaint| {
        let fault = Fault::error(document.origin(span), complaint);
        Box::new(fault.help(
            "write ${NAME:-else} for a value that the environment need not have, and $$ for a dollar sign",
        ))
    })
}

/// `[settings]`: single values, kept as text.
pub fn values(
    document: &mut Document,
    value: &Spanned<DeValue<'_>>,
    settings: &mut Settings,
    environment: &BTreeMap<String, String>,
) {
    let Some(table) = value.get_ref().as_table() else {
        return document.fault(
            value.span(),
            format!(
                "expected a table [settings], found {}",
                value.get_ref().type_str()
            ),
        );
    };
    for (key, value) in table.iter() {
        let text = match value.get_ref() {
            DeValue::String(text) => match expanded(document, text, value.span(), environment) {
                Ok(text) => text,
                Err(fault) => {
                    document.faults.push(*fault);
                    continue;
                }
            },
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            other => {
                document.fault(
                    value.span(),
                    format!("expected a single value, found {}", other.type_str()),
                );
                continue;
            }
        };
        settings.values.insert(key.get_ref().to_string(), text);
    }
}

/// Every `[tokens.NAME]` of a tokens file.
pub fn tokens(document: &mut Document) -> Vec<Token> {
    let text = std::sync::Arc::clone(&document.text);
    let table = document.parse(&text);
    let mut tokens = Vec::new();
    for (key, value) in table.iter() {
        if key.get_ref() != "tokens" {
            document.unknown_key(key, "", &["tokens"]);
            continue;
        }
        for (name, table, span) in document.tables(value, "tokens") {
            let mut token = Token {
                name: name.get_ref().to_string(),
                sha256: [0; 32],
                toolset: None,
                user: None,
            };
            let mut hashed = false;
            for (key, value) in table.iter() {
                match key.get_ref().as_ref() {
                    "sha256" => match value.get_ref().as_str().and_then(unhex) {
                        Some(hash) => (token.sha256, hashed) = (hash, true),
                        None => {
                            // The value is not shown: it may be the token itself.
                            let fault = Fault::error(
                                document.origin(key.span()),
                                "expected the token's SHA-256 as 64 hexadecimal digits",
                            );
                            document
                                .faults
                                .push(fault.help("`tine token` makes a token and this line"));
                            hashed = true;
                        }
                    },
                    "toolset" => token.toolset = document.text_of(value),
                    "user" => token.user = document.text_of(value),
                    other => {
                        let fault = Fault::error(
                            document.origin(key.span()),
                            format!("unknown key `{other}`"),
                        );
                        let near = nearest(other, TOKEN_KEYS.iter().copied()).map_or_else(
                            || format!("known here: {}", TOKEN_KEYS.join(", ")),
                            |near| format!("did you mean `{near}`?"),
                        );
                        document.faults.push(fault.help(near));
                    }
                }
            }
            if !hashed {
                document.fault(span, format!("[tokens.{}] has no sha256", name.get_ref()));
            }
            tokens.push(token);
        }
    }
    tokens
}
