//! Reads a parameter's rules from its file: bounds, lengths, pattern, enum, default, each checked against the others. What they mean,
//! `values` says.

use std::ops::Range;

use regex::Regex;
use serde_json::Value;

use super::fault::Faults;
use super::kind::Type;
use super::parameter::{Absence, integer_bound};
use super::table::{At, Table};
use super::values::{Bound, Clock, Rules};

pub fn read(rules: &mut Rules, table: &mut Table<'_, '_>, faults: &mut Faults) {
    rules.min = bound("min", rules, table, faults);
    rules.max = bound("max", rules, table, faults);
    if let (Some(min), Some(max)) = (&rules.min, &rules.max)
        && min.float > max.float
    {
        faults.error(
            table.place_of("min"),
            format!("min {} is above max {}", min.text, max.text),
        );
    }
    rules.min_length = table.count("min_length", 0, faults).map(|at| at.value);
    rules.max_length = table.count("max_length", 0, faults).map(|at| at.value);
    for key in ["min_length", "max_length"] {
        if table.has(key) && rules.kind != Type::Text && !rules.list {
            faults.error(
                table.place_of(key),
                format!("`{key}` is for texts and lists"),
            );
        }
    }
    if rules
        .min_length
        .zip(rules.max_length)
        .is_some_and(|(min, max)| min > max)
    {
        faults.error(
            table.place_of("min_length"),
            "min_length is above max_length",
        );
    }
    if let Some(pattern) = table.string("pattern", faults) {
        if rules.kind != Type::Text {
            faults.error(pattern.span.clone(), "`pattern` is for texts");
        }
        match Regex::new(&pattern.value) {
            Ok(regex) => rules.pattern = Some(regex),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                faults.error(
                    pattern.span,
                    format!("not a pattern: {}", last.trim_start_matches("error: ")),
                );
            }
        }
    }
}

fn bound(
    key: &'static str,
    rules: &Rules,
    table: &mut Table<'_, '_>,
    faults: &mut Faults,
) -> Option<Bound> {
    let value = table.json(key, faults)?;
    if !rules.kind.is_number() {
        let message = format!("`{key}` is for integer, number and numeric");
        match rules.kind {
            Type::Text => faults.error_with(
                value.span,
                message,
                format!("for a text's length write {key}_length"),
            ),
            _ => faults.error(value.span, message),
        }
        return None;
    }
    if let Some(integer) = value.value.as_i64() {
        return Some(integer_bound(integer));
    }
    match value.value.as_f64() {
        Some(float) if rules.kind != Type::Integer => Some(Bound {
            text: value.value.to_string(),
            integer: 0,
            float,
        }),
        _ => {
            faults.error(
                value.span,
                format!(
                    "`{key}` must be {}",
                    if rules.kind == Type::Integer {
                        "an integer"
                    } else {
                        "a number"
                    }
                ),
            );
            None
        }
    }
}

pub fn choices(rules: &mut Rules, table: &mut Table<'_, '_>, faults: &mut Faults) -> Vec<Value> {
    let Some(list) = table.json("enum", faults) else {
        return Vec::new();
    };
    let one = Rules {
        list: false,
        min_length: None,
        max_length: None,
        ..rules.clone()
    };
    if rules.kind.is_json() || rules.kind.is_time() {
        faults.error(
            list.span,
            format!("`enum` is not for {}", rules.kind.name()),
        );
        return Vec::new();
    }
    let Value::Array(values) = list.value else {
        faults.error(list.span, "`enum` must be a list");
        return Vec::new();
    };
    if values.is_empty() {
        faults.error(list.span.clone(), "an empty `enum` allows nothing");
    }
    for value in &values {
        if let Some(text) = judge(&one, value, &list.span, "enum value", faults) {
            if rules.choices.contains(&text) {
                faults.error(list.span.clone(), format!("`{text}` is in the enum twice"));
            }
            rules.choices.push(text);
        }
    }
    values
}

/// The value as PostgreSQL text, if the parameter's own rules accept it.
pub fn judge(
    rules: &Rules,
    value: &Value,
    span: &Range<usize>,
    what: &str,
    faults: &mut Faults,
) -> Option<String> {
    let zone = jiff::tz::TimeZone::UTC;
    let clock = Clock {
        now: jiff::Timestamp::UNIX_EPOCH,
        zone: &zone,
    };
    match rules.read(&value.to_string(), clock) {
        Ok(text) => Some(text),
        Err(complaint) => {
            faults.error(span.clone(), format!("the {what} {value} {complaint}"));
            None
        }
    }
}

pub fn default_of(rules: &Rules, default: &At<Value>, faults: &mut Faults) -> Option<Absence> {
    let text = judge(rules, &default.value, &default.span, "default", faults)?;
    // A naive time depends on the toolset's zone and a relative one on the clock: both are read when called.
    Some(if rules.kind.is_time() {
        Absence::Fresh(default.value.to_string())
    } else {
        Absence::Fixed(text)
    })
}
