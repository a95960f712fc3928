//! What tools may reach beside databases: `[programs.NAME]`, `[brokers.NAME]` and `[http]` of `tine.toml`. Starts nothing and connects
//! to nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tine_worker::catalog::expand;
use tine_worker::effects::{Network, Program};
use tine_worker::files::Files;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Settings;
use super::database::Secret;
use super::document::Document;

/// A broker that tools may send to.
#[derive(Debug, Clone)]
pub struct Broker {
    pub name: String,
    pub url: String,
    pub login: Option<(String, Secret)>,
    /// Certificates that sign the broker's, in PEM; the system's when not given.
    pub tls_ca: Option<PathBuf>,
}

const PROGRAM_KEYS: &[&str] = &["path", "environment"];
const BROKER_KEYS: &[&str] = &[
    "url",
    "login",
    "passcode",
    "passcode_env",
    "passcode_file",
    "tls_ca",
];
/// Of these one.
const PASSCODES: [&str; 3] = ["passcode", "passcode_env", "passcode_file"];
const HTTP_KEYS: &[&str] = &["private"];

/// Every `[programs.NAME]`.
pub fn programs(document: &mut Document, value: &Spanned<DeValue<'_>>, settings: &mut Settings) {
    for (name, table, span) in document.tables(value, "programs") {
        let mut program = Program {
            path: PathBuf::new(),
            environment: BTreeMap::new(),
        };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "path" => {
                    program.path = document.text_of(value).unwrap_or_default().into();
                    if !program.path.is_absolute() {
                        document.fault(value.span(), "a program's path begins with a slash");
                    }
                }
                "environment" => {
                    let Some(table) = value.get_ref().as_table() else {
                        document.fault(value.span(), "expected a table of texts");
                        continue;
                    };
                    for (key, value) in table.iter() {
                        let text = document.text_of(value).unwrap_or_default();
                        program.environment.insert(key.get_ref().to_string(), text);
                    }
                }
                _ => document.unknown_key(
                    key,
                    &format!(" in [programs.{}]", name.get_ref()),
                    PROGRAM_KEYS,
                ),
            }
        }
        if !table.contains_key("path") {
            document.fault(span, format!("[programs.{}] has no path", name.get_ref()));
        }
        settings
            .programs
            .insert(name.get_ref().to_string(), program);
    }
}

/// Every `[brokers.NAME]`.
pub fn brokers(
    document: &mut Document,
    value: &Spanned<DeValue<'_>>,
    settings: &mut Settings,
    environment: &BTreeMap<String, String>,
    files: &Files,
) {
    for (name, table, span) in document.tables(value, "brokers") {
        let name = name.get_ref().to_string();
        let text = |key: &str, document: &mut Document| {
            let value = table.get(key)?;
            let text = document.text_of(value)?;
            let read = expand(&text, |variable| environment.get(variable).cloned());
            read.map_err(|complaint| document.fault(value.span(), complaint))
                .ok()
        };
        let url = text("url", document);
        let login = text("login", document);
        let passcode = text("passcode", document);
        let passcode = secret(document, &name, table, passcode, environment, files);
        let tls_ca = table
            .get("tls_ca")
            .and_then(|value| document.text_of(value));
        for (key, _) in table.iter() {
            if !BROKER_KEYS.contains(&key.get_ref().as_ref()) {
                document.unknown_key(key, &format!(" in [brokers.{name}]"), BROKER_KEYS);
            }
        }
        if !table.contains_key("url") {
            document.fault(span.clone(), format!("[brokers.{name}] has no url"));
        }
        let login = match (login, passcode) {
            (Some(login), Some(passcode)) => Some((login, passcode)),
            (Some(login), None) => Some((login, Secret::new(""))),
            (None, Some(_)) => {
                document.fault(
                    span,
                    format!("[brokers.{name}] has a passcode and no login"),
                );
                None
            }
            (None, None) => None,
        };
        let folder = document.path.parent().unwrap_or(Path::new("")).to_owned();
        settings.brokers.push(Broker {
            name,
            url: url.unwrap_or_default(),
            login,
            tls_ca: tls_ca.map(|path| folder.join(path)),
        });
    }
}

/// The passcode that the table names in one way or another; `plain` is what it has under `passcode`.
fn secret(
    document: &mut Document,
    name: &str,
    table: &DeTable<'_>,
    plain: Option<String>,
    environment: &BTreeMap<String, String>,
    files: &Files,
) -> Option<Secret> {
    let mut given = PASSCODES.iter().filter_map(|key| table.get(*key));
    if let (Some(_), Some(second)) = (given.next(), given.next()) {
        let message = format!("keep one of {}", PASSCODES.join(", "));
        document.fault(second.span(), message);
        return None;
    }
    if let Some(plain) = plain {
        return Some(Secret::new(plain));
    }
    if let Some(value) = table.get("passcode_env") {
        let variable = document.text_of(value)?;
        let found = environment.get(&variable).map(Secret::new);
        if found.is_none() {
            let message = format!(
                "the environment has no {variable}, which should hold the passcode of broker {name}"
            );
            document.fault(value.span(), message);
        }
        return found;
    }
    let value = table.get("passcode_file")?;
    let named = document.text_of(value)?;
    let path = document.path.parent().unwrap_or(Path::new("")).join(named);
    match files.text(&path) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            let message = format!("can't read {}: {error}", path.display());
            document.fault(value.span(), message);
            None
        }
    }
}

/// `[http]`.
pub fn http(document: &mut Document, value: &Spanned<DeValue<'_>>, settings: &mut Settings) {
    let Some(table) = value.get_ref().as_table() else {
        return document.fault(value.span(), "expected a table [http]");
    };
    for (key, value) in table.iter() {
        if key.get_ref() != "private" {
            document.unknown_key(key, " in [http]", HTTP_KEYS);
            continue;
        }
        let Some(items) = value.get_ref().as_array() else {
            document.fault(value.span(), "expected a list of addresses and networks");
            continue;
        };
        for item in items.iter() {
            match item.get_ref().as_str().map(str::parse::<Network>) {
                Some(Ok(network)) => settings.http_private.push(network),
                Some(Err(error)) => document.fault(item.span(), error.to_string()),
                None => document.fault(item.span(), "expected text"),
            }
        }
    }
}
