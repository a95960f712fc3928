//! `[log]` of `tine.toml`: the table that workers write their log to. Opens no connection.

use std::ops::Range;

use log::LevelFilter;
use toml::Spanned;
use toml::de::DeValue;

use super::Settings;
use super::document::Document;
use crate::fault::Fault;

const KEYS: &[&str] = &["database", "table", "level", "app_name", "instance_name"];
const LEVELS: &[&str] = &["error", "warn", "info", "debug"];
/// Of the columns app_name and instance_name, in characters.
const LONGEST: usize = 100;

/// Where the log goes beside standard error.
#[derive(Clone, Debug)]
pub struct LogTable {
    /// The name of one of the databases.
    pub database: String,
    /// Where it was given.
    pub database_at: Range<usize>,
    /// As SQL names it, quoted.
    pub table: String,
    pub level: LevelFilter,
    /// `server_name` when not given.
    pub app_name: Option<String>,
    /// The host's name when not given.
    pub instance_name: Option<String>,
}

impl LogTable {
    /// That there is no such database, if so.
    pub fn unknown_database(&self, settings: &Settings, document: &Document) -> Option<Fault> {
        let mut databases = settings.databases.iter();
        let known = databases.any(|database| database.name == self.database);
        let at = document.origin(self.database_at.clone());
        let message = format!("there is no [databases.{}] for the log", self.database);
        (!known && !self.database.is_empty()).then(|| Fault::error(at, message))
    }
}

/// Reads `[log]`.
pub fn read(document: &mut Document, value: &Spanned<DeValue<'_>>, settings: &mut Settings) {
    let Some(table) = value.get_ref().as_table() else {
        let found = value.get_ref().type_str();
        return document.fault(
            value.span(),
            format!("expected a table [log], found {found}"),
        );
    };
    let mut log = LogTable {
        database: String::new(),
        database_at: 0..0,
        table: String::new(),
        level: LevelFilter::Info,
        app_name: None,
        instance_name: None,
    };
    let before = document.faults.len();
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            "database" => {
                log.database = document.text_of(value).unwrap_or_default();
                log.database_at = value.span();
            }
            "table" => match document.text_of(value).map(|name| quoted(&name)) {
                Some(Some(table)) => log.table = table,
                Some(None) => document.fault(value.span(), "expected TABLE or SCHEMA.TABLE"),
                None => {}
            },
            "level" => match value
                .get_ref()
                .as_str()
                .filter(|level| LEVELS.contains(level))
            {
                Some(level) => log.level = level.parse().unwrap_or(LevelFilter::Info),
                None => document.fault(
                    value.span(),
                    format!("expected one of {}", LEVELS.join(", ")),
                ),
            },
            "app_name" => log.app_name = name(document, value),
            "instance_name" => log.instance_name = name(document, value),
            _ => document.unknown_key(key, " in [log]", KEYS),
        }
    }
    for (key, given) in [("database", &log.database), ("table", &log.table)] {
        if given.is_empty() && document.faults.len() == before {
            let fault = Fault::error(document.origin(value.span()), format!("[log] has no {key}"));
            document.faults.push(fault);
        }
    }
    settings.log_table = Some(log);
}

fn name(document: &mut Document, value: &Spanned<DeValue<'_>>) -> Option<String> {
    let name = document.text_of(value)?;
    if name.chars().count() > LONGEST {
        document.fault(value.span(), format!("more than {LONGEST} characters"));
    }
    Some(name)
}

/// The identifiers in quotes, so that any name is one; `None` for more than two parts or an empty one.
fn quoted(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let fine = |part: &&str| !part.is_empty() && !part.contains('\0');
    if parts.len() > 2 || !parts.iter().all(fine) {
        return None;
    }
    let quote = |part: &&str| format!("\"{}\"", part.replace('"', "\"\""));
    Some(parts.iter().map(quote).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        for (name, sql) in [
            ("swf_applog", Some("\"swf_applog\"")),
            ("public.Log", Some("\"public\".\"Log\"")),
            ("a\"; DROP TABLE b", Some("\"a\"\"; DROP TABLE b\"")),
            ("a.b.c", None),
            (".a", None),
            ("", None),
        ] {
            assert_eq!(quoted(name).as_deref(), sql, "{name}");
        }
    }
}
