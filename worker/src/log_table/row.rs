//! One record of the log as a row: the columns of Python's logging, since the readers of such tables know those. Knows no database.

use log::{Level, Record};
use serde_json::{Value, json};

use crate::pairs;

/// The most bytes of a message; the line on standard error is no longer either.
const LONGEST: usize = 4096;
/// Of a column of names, in characters.
const NAME: usize = 255;

/// The row as a JSON object whose members are named like the columns.
pub fn json(record: &Record, process: u32) -> String {
    let (level, name) = severity(record.level());
    let module = record.module_path().unwrap_or_else(|| record.target());
    let module = module.rsplit("::").next().unwrap_or_default();
    // Rust does not say which function logs; of a call the tool is what one looks for.
    let function = pairs::find(record.key_values(), "tool").unwrap_or_default();
    let mut row = json!({
        "timestamp": jiff::Timestamp::now().to_string(),
        "level": level,
        "levelname": name,
        "message": clean(&record.args().to_string(), LONGEST),
        "module": clean(module, NAME),
        "funcname": clean(&function, NAME),
        "lineno": record.line().unwrap_or(0),
        "process": process,
        "thread": nix::unistd::gettid().as_raw(),
    })
    .to_string();
    let extra = pairs::json(record.key_values());
    if !extra.is_empty() {
        row.pop();
        row.push_str(&format!(",\"extra_data\":{{{extra}}}}}"));
    }
    row
}

/// The numbers and names of Python's logging.
fn severity(level: Level) -> (u8, &'static str) {
    match level {
        Level::Error => (40, "ERROR"),
        Level::Warn => (30, "WARNING"),
        Level::Info => (20, "INFO"),
        Level::Debug | Level::Trace => (10, "DEBUG"),
    }
}

/// At most so many characters, none of which PostgreSQL's texts can't hold.
fn clean(text: &str, most: usize) -> Value {
    let text: String = text.chars().take(most).collect();
    Value::String(text.replace('\0', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(record: &Record) -> Value {
        serde_json::from_str(&json(record, 7)).unwrap()
    }

    #[test]
    fn every_column_and_none_too_long() {
        let pairs = [("tool", "list_\0x"), ("client", "a\\u0000b\0")];
        let row = self::row(
            &Record::builder()
                .level(Level::Warn)
                .module_path(Some("tine_worker::record"))
                .line(Some(12))
                .args(format_args!("{}\0", "é".repeat(9000)))
                .key_values(&pairs.as_slice())
                .build(),
        );
        assert_eq!(
            (row["level"].as_u64(), row["levelname"].as_str()),
            (Some(30), Some("WARNING"))
        );
        assert_eq!(
            row["message"].as_str().map(|text| text.chars().count()),
            Some(LONGEST)
        );
        assert_eq!(
            (row["module"].as_str(), row["lineno"].as_u64()),
            (Some("record"), Some(12))
        );
        assert_eq!(row["funcname"], "list_\u{fffd}x");
        assert_eq!(row["process"], 7);
        assert_eq!(row["thread"], nix::unistd::gettid().as_raw());
        assert!(
            row["timestamp"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
        assert_eq!(row["extra_data"]["tool"], "list_\u{fffd}x");
        assert_eq!(row["extra_data"]["client"], "a\\u0000b\u{fffd}");
    }

    #[test]
    fn nothing_more_is_no_extra_data() {
        let row = self::row(
            &Record::builder()
                .level(Level::Info)
                .args(format_args!("x"))
                .build(),
        );
        assert_eq!(row.get("extra_data"), None);
        assert_eq!(
            (row["message"].as_str(), row["levelname"].as_str()),
            (Some("x"), Some("INFO"))
        );
    }
}
