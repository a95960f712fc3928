//! The keys that every kind of tool file has, and what a tool gets from its folder where it says nothing itself.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::fault::Faults;
use super::nearest::nearest;
use super::table::{At, Table};
use super::tool::Annotations;
use super::toolset::Defaults;

/// What a tool gets from its folder and from the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub defaults: Defaults,
    pub database: Option<String>,
    pub timeout: Duration,
    pub max_timeout: Duration,
    pub zone: TimeZone,
    /// The databases that exist; empty: not known here.
    pub databases: Vec<String>,
    /// The programs that tools may run; `None`: not known here.
    pub programs: Option<Vec<String>>,
    /// The brokers that tools may send to; `None`: not known here.
    pub brokers: Option<Vec<String>>,
}

/// What every kind of tool has.
pub(crate) struct Common {
    pub title: Option<String>,
    pub description: String,
    pub order: Option<i64>,
}

pub(crate) fn keys(table: &mut Table<'_, '_>, name: &str, faults: &mut Faults) -> Common {
    if !is_tool_name(name) {
        faults.error_with(
            0..0,
            format!("`{name}` can't name a tool"),
            "name the file with 1 to 64 letters, digits, dots, dashes and underscores",
        );
    }
    let title = table.string("title", faults).map(|at| at.value);
    let description = table.string("description", faults);
    let described = description
        .as_ref()
        .is_some_and(|at| !at.value.trim().is_empty());
    if !described {
        let span = description
            .as_ref()
            .map_or(table.span.start..table.span.start, |at| at.span.clone());
        faults.error_with(
            span,
            "the tool has no description",
            "say what it does and when to use it: a model chooses by it",
        );
    }
    Common {
        title,
        description: description
            .map(|at| at.value.trim().to_owned())
            .unwrap_or_default(),
        order: table.integer("order", faults).map(|at| at.value),
    }
}

/// The names that MCP's conformance suite takes (the specification allows 128 characters).
pub(crate) fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b))
}

pub(crate) fn annotations(table: &mut Table<'_, '_>, faults: &mut Faults) -> Annotations {
    let mut hints = Annotations {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
    let Some(mut table) = table.table("annotations", faults) else {
        return hints;
    };
    hints.read_only = table.boolean("read_only", faults).is_none_or(|at| at.value);
    let destructive = table.boolean("destructive", faults);
    if let Some(at) = &destructive
        && at.value
        && hints.read_only
    {
        faults.error(at.span.clone(), "a read-only tool can't be destructive");
    }
    hints.destructive = destructive.map_or(!hints.read_only, |at| at.value);
    hints.idempotent = table
        .boolean("idempotent", faults)
        .map_or(hints.read_only, |at| at.value);
    hints.open_world = table
        .boolean("open_world", faults)
        .is_some_and(|at| at.value);
    table.finish(faults);
    hints
}

pub(crate) fn database(
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<String> {
    let Some(database) = table.string("database", faults) else {
        return setting.database.clone();
    };
    check_database(&database, &setting.databases, faults);
    Some(database.value)
}

pub(crate) fn check_database(database: &At<String>, known: &[String], faults: &mut Faults) {
    if known.is_empty() || known.contains(&database.value) {
        return;
    }
    let message = format!("no database `{}` is configured", database.value);
    match nearest(&database.value, known.iter().map(String::as_str)) {
        Some(near) => faults.error_with(
            database.span.clone(),
            message,
            format!("did you mean `{near}`?"),
        ),
        None => faults.error_with(
            database.span.clone(),
            message,
            format!("configured are: {}", known.join(", ")),
        ),
    }
}

pub(crate) fn timeout(
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Duration {
    let Some(timeout) = table.duration("timeout", faults) else {
        return setting.timeout;
    };
    if timeout.value > setting.max_timeout {
        faults.error(
            timeout.span,
            format!(
                "the timeout is longer than the server's limit of {} ms",
                setting.max_timeout.as_millis()
            ),
        );
    }
    timeout.value
}
