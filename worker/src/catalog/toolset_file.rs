//! Reads `_toolset.toml`: what a folder says about itself, what its tools have in common, and the selections of them
//! that are served as toolsets of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::bound_file;
use super::common::check_database;
use super::failure;
use super::fault::Faults;
use super::table::{self, At, Table};
use super::toolset::{Defaults, Words};
use crate::files::{FileError, Files};

/// A named selection of a folder's tools.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub name: At<String>,
    pub words: Words,
    /// Tool names, in which `*` stands for any run of characters.
    pub patterns: Vec<At<String>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ToolsetFile {
    pub words: Words,
    pub database: Option<String>,
    pub timeout: Option<At<Duration>>,
    pub zone: Option<TimeZone>,
    pub defaults: Defaults,
    pub selections: Vec<Selection>,
}

pub(crate) fn read(
    defaults: &Defaults,
    databases: &[String],
    environment: &BTreeMap<String, String>,
    files: &Files,
    faults: &mut Faults,
) -> ToolsetFile {
    let text = faults.source.text.clone();
    let mut file = ToolsetFile {
        defaults: defaults.clone(),
        ..ToolsetFile::default()
    };
    let whole = 0..text.len();
    let Some(parsed) = table::parse(&text, &whole, faults) else {
        return file;
    };
    let mut table = Table::new(parsed.get_ref(), "", whole, 0);
    file.words = words(&mut table, faults);
    if let Some(database) = table.string("database", faults) {
        check_database(&database, databases, faults);
        file.database = Some(database.value);
    }
    file.timeout = table.duration("timeout", faults);
    if let Some(zone) = table.string("time_zone", faults) {
        match files.zone(&zone.value) {
            Ok(found) => file.zone = Some(found),
            Err(FileError::Other(_)) => faults.error_with(
                zone.span,
                format!("the time zone `{}` is not known here", zone.value),
                "write a name of the tz database, such as UTC or Europe/Paris; the system's tzdata holds them",
            ),
            Err(error) => {
                let message = format!("the time zone `{}` can't be read: {error}", zone.value);
                faults.error(zone.span, message);
            }
        }
    }
    common(&mut file.defaults, &mut table, faults);
    if let Some(table) = table.table("settings", faults) {
        file.defaults.settings = settings(table, environment, faults);
    }
    if let Some(table) = table.table("files", faults) {
        file.defaults.files = bound_file::read_all(&table, environment, files, faults);
    }
    if let Some(toolsets) = table.table("toolsets", faults) {
        for (name, table) in toolsets.named_tables(faults) {
            file.selections.extend(selection(name, table, faults));
        }
    }
    table.finish(faults);
    file
}

fn words(table: &mut Table<'_, '_>, faults: &mut Faults) -> Words {
    let mut text = |key| {
        table
            .string(key, faults)
            .map(|at| at.value.trim().to_owned())
    };
    Words {
        title: text("title"),
        description: text("description"),
        instructions: text("instructions"),
        server_name: text("server_name"),
    }
}

/// What a tool file can say too, for all tools that don't.
fn common(defaults: &mut Defaults, table: &mut Table<'_, '_>, faults: &mut Faults) {
    const ABSENT: [(&str, bool); 2] = [("absent", true), ("value", false)];
    if let Some(empty) = table.word("empty", &ABSENT, faults) {
        defaults.empty_absent = empty.value;
    }
    if let Some(zero) = table.word("zero", &ABSENT, faults) {
        defaults.zero_absent = zero.value;
    }
    if let Some(failure) = failure::read(table, faults) {
        defaults.failure = failure;
    }
    let Some(mut result) = table.table("result", faults) else {
        return;
    };
    if let Some(bytes) = result.count("max_bytes", 100, faults) {
        defaults.max_bytes = bytes.value;
    }
    if let Some(rows) = result.count("max_rows", 1, faults) {
        defaults.max_rows = rows.value;
    }
    result.finish(faults);
}

/// Texts that tools bind with `from = "setting.NAME"`; `${NAME}` and `${NAME:-else}` in them are the environment's.
fn settings(
    table: Table<'_, '_>,
    environment: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, text) in table.named_strings(faults) {
        match expand(&text.value, |variable| environment.get(variable).cloned()) {
            Ok(value) => {
                settings.insert(name.value, value);
            }
            Err(complaint) => faults.error_with(
                text.span,
                complaint,
                "write ${NAME:-else} for a value that the environment need not have, and $$ for a dollar sign",
            ),
        }
    }
    settings
}

/// A text with `${NAME}` and `${NAME:-else}` replaced by what `variable` gives, `$$` by a dollar sign. One pass, so that a value from the
/// environment is never expanded again.
///
/// # Errors
/// What is wrong with it, in words.
pub fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let inner = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let Some((inner, after)) = inner else {
            return Err("a lone dollar sign".to_owned());
        };
        let (name, fallback) = match inner.split_once(":-") {
            Some((name, fallback)) => (name, Some(fallback)),
            None => (inner, None),
        };
        match variable(name)
            .filter(|value| !value.is_empty())
            .or_else(|| fallback.map(str::to_owned))
        {
            Some(value) => out.push_str(&value),
            None => return Err(format!("the environment has no {name}")),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn selection(name: At<String>, mut table: Table<'_, '_>, faults: &mut Faults) -> Option<Selection> {
    if !is_toolset_name(&name.value) {
        faults.error_with(
            name.span,
            format!("`{}` can't name a toolset", name.value),
            "use 1 to 64 letters, digits, dashes and underscores: it is a part of a URL",
        );
        return None;
    }
    let words = words(&mut table, faults);
    let span = table.span.clone();
    let patterns = table
        .strings("tools", faults)
        .map(|at| at.value)
        .unwrap_or_default();
    if patterns.is_empty() {
        faults.error_with(
            span,
            format!("the toolset `{}` selects no tools", name.value),
            "write tools = [\"name\", \"prefix_*\"]",
        );
    }
    table.finish(faults);
    Some(Selection {
        name,
        words,
        patterns,
    })
}

pub(crate) fn is_toolset_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether a tool's name fits a pattern, in which `*` stands for any run of characters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::fault::Source;
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("a", "a"),
            ("panda_*", "panda_list_jobs"),
            ("*", ""),
            ("*_get_*", "a_get_b"),
            ("a*a", "aa"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("panda_*", "xpanda_"),
            ("a*a", "a"),
            ("", "a"),
            ("*b", "ba"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn settings_take_in_the_environment_once() {
        let environment = |name: &str| match name {
            "A" => Some("${B}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let table = [
            ("plain", Ok("plain")),
            ("<${A}>", Ok("<${B}>")),
            ("${NO:-http://x:1/}", Ok("http://x:1/")),
            ("${EMPTY:-else}$$", Ok("else$")),
            ("${NO}", Err("the environment has no NO")),
            ("$NO", Err("a lone dollar sign")),
            ("${NO", Err("a lone dollar sign")),
        ];
        for (text, expected) in table {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(expand(text, environment), expected, "{text}");
        }
    }

    #[test]
    fn the_whole_file_is_read_and_every_fault_told() {
        let read_text = |text: &str| {
            let mut faults = Faults::new(Source::new("_toolset.toml".into(), text.to_owned()));
            let file = read(
                &Defaults::default(),
                &["swf".to_owned()],
                &BTreeMap::new(),
                &Files::disk(),
                &mut faults,
            );
            (
                file,
                faults
                    .list
                    .iter()
                    .map(|fault| fault.message.clone())
                    .collect::<Vec<_>>(),
            )
        };
        let (file, faults) = read_text(
            "title = \"T\"\ninstructions = \"\"\"\nUse it.\n\"\"\"\nserver_name = \"swf-testbed\"\ndatabase = \"swf\"\ntimeout = \"2s\"\n\
             time_zone = \"America/New_York\"\nempty = \"absent\"\nzero = \"absent\"\n\
             error = { error = \"{message}\" }\nresult = { max_bytes = 500, max_rows = 5 }\n[settings]\nurl = \"x\"\n[toolsets.bot]\ntools = [\"panda_*\"]",
        );
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(file.words.instructions.as_deref(), Some("Use it."));
        assert_ne!(
            file.defaults.failure,
            super::super::failure::Failure::default()
        );
        assert_eq!(file.defaults.settings["url"], "x");
        assert!(file.defaults.empty_absent && file.defaults.zero_absent);
        assert_eq!((file.defaults.max_bytes, file.defaults.max_rows), (500, 5));
        assert_eq!(file.selections.len(), 1);
        let (_, faults) = read_text(
            "database = \"sfw\"\ntime_zone = \"Mars/Base\"\nx = 1\n[toolsets.\"a b\"]\ntools = [\"x\"]\n[toolsets.c]",
        );
        assert_eq!(faults.len(), 5, "{faults:?}");
    }
}
