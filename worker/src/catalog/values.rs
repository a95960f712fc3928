//! Turns one JSON value of a caller into the text that PostgreSQL takes, by the rules of its parameter, or says what
//! is wrong with it. Knows neither the parameter's name nor the other arguments.
//!
//! Coercions are those that callers in the field rely on: numbers in strings, whole floats for integers, `"true"`,
//! `"false"`, 0 and 1 for booleans. Never a number for a string: it may have lost its leading zeros.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::value::RawValue;

use super::kind::Type;
use super::time;

/// What is wrong with a value, to follow its name: `must be an integer`.
pub(crate) type Complaint = Cow<'static, str>;

/// When and where relative and naive times are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'a> {
    pub now: Timestamp,
    pub zone: &'a TimeZone,
}

/// A lower or upper bound, as declared and as compared.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub text: String,
    pub integer: i64,
    pub float: f64,
}

/// What a value must be. For a list, all but the lengths is about its elements.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub kind: Type,
    pub list: bool,
    /// The allowed values as PostgreSQL text; empty: any.
    pub choices: Vec<String>,
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    /// In characters of a text, or elements of a list.
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub pattern: Option<Regex>,
}

impl Rules {
    pub fn of(kind: Type, list: bool) -> Rules {
        Rules {
            kind,
            list,
            choices: Vec::new(),
            min: None,
            max: None,
            min_length: None,
            max_length: None,
            pattern: None,
        }
    }

    /// Whether every allowed value fits into 32 bits.
    pub fn is_small(&self) -> bool {
        let fits = |bound: &Option<Bound>| {
            bound
                .as_ref()
                .is_some_and(|b| i32::try_from(b.integer).is_ok())
        };
        self.kind == Type::Integer && fits(&self.min) && fits(&self.max)
    }

    /// `raw` is one valid JSON value, not null.
    pub fn read(&self, raw: &str, clock: Clock<'_>) -> Result<String, Complaint> {
        if self.list {
            self.read_list(raw, clock)
        } else {
            self.read_one(raw, clock)
        }
    }

    fn read_list(&self, raw: &str, clock: Clock<'_>) -> Result<String, Complaint> {
        let elements: Vec<&RawValue> = serde_json::from_str(raw)
            .map_err(|_| format!("must be a list of {}", plural(self.kind)))?;
        self.check_length(elements.len(), "elements")?;
        let mut text = String::with_capacity(raw.len() + 2);
        text.push('{');
        for (index, element) in elements.iter().enumerate() {
            let about = |complaint: Complaint| format!("element {} {complaint}", index + 1);
            if element.get() == "null" {
                return Err(about("must not be null".into()).into());
            }
            let value = self.read_one(element.get(), clock).map_err(about)?;
            if index > 0 {
                text.push(',');
            }
            push_element(&mut text, &value);
        }
        text.push('}');
        Ok(text)
    }

    fn read_one(&self, raw: &str, clock: Clock<'_>) -> Result<String, Complaint> {
        let text = match self.kind {
            Type::Text => self.text(raw)?,
            Type::Integer => self.integer(raw)?,
            Type::Number => self.number(raw)?,
            Type::Numeric => self.numeric(raw)?,
            Type::Boolean => boolean(raw)?.to_owned(),
            Type::Timestamptz => moment(raw, time::TIME_FORMS, |t| {
                time::timestamptz(t, clock.now, clock.zone)
            })?,
            Type::Timestamp => moment(raw, time::TIME_FORMS, |t| {
                time::timestamp(t, clock.now, clock.zone)
            })?,
            Type::Date => moment(raw, time::DATE_FORMS, |t| {
                time::date(t, clock.now, clock.zone)
            })?,
            Type::Uuid => uuid(raw)?,
            Type::Json | Type::Jsonb | Type::Object => {
                if self.kind == Type::Object && !raw.starts_with('{') {
                    return Err("must be a JSON object".into());
                }
                check_escapes(raw)?;
                raw.to_owned()
            }
        };
        if self.choices.is_empty() || self.choices.contains(&text) {
            return Ok(text);
        }
        Err(format!("must be one of {}", self.choices.join(", ")).into())
    }

    fn text(&self, raw: &str) -> Result<String, Complaint> {
        let text = string(raw, "must be a string")?;
        if self.min_length.is_some() || self.max_length.is_some() {
            self.check_length(text.chars().count(), "characters")?;
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(&text)
        {
            return Err(format!("must match the pattern {}", pattern.as_str()).into());
        }
        Ok(text.into_owned())
    }

    fn check_length(&self, length: usize, unit: &str) -> Result<(), Complaint> {
        match (self.min_length, self.max_length) {
            (Some(1), _) if length == 0 => Err("must not be empty".into()),
            (Some(min), _) if length < min => {
                Err(format!("must have at least {min} {unit}, not {length}").into())
            }
            (_, Some(max)) if length > max => {
                Err(format!("must have at most {max} {unit}, not {length}").into())
            }
            _ => Ok(()),
        }
    }

    fn integer(&self, raw: &str) -> Result<String, Complaint> {
        let literal = number_literal(raw).ok_or("must be an integer")?;
        let value = whole(&literal)?;
        let inside = |bound: &Bound, ok: bool, word: &str| {
            if ok {
                Ok(())
            } else {
                Err(Complaint::from(format!("must be at {word} {}", bound.text)))
            }
        };
        if let Some(min) = &self.min {
            inside(min, value >= min.integer, "least")?;
        }
        if let Some(max) = &self.max {
            inside(max, value <= max.integer, "most")?;
        }
        Ok(value.to_string())
    }

    fn number(&self, raw: &str) -> Result<String, Complaint> {
        let literal = number_literal(raw).ok_or("must be a number")?;
        let value: f64 = literal.parse().map_err(|_| "must be a number")?;
        if !value.is_finite() {
            return Err("is too large for a number".into());
        }
        self.check_float(value)?;
        Ok(format!("{value:?}"))
    }

    fn numeric(&self, raw: &str) -> Result<String, Complaint> {
        let literal = number_literal(raw).ok_or("must be a number")?;
        // PostgreSQL's numeric would write out the zeros of 1e100000.
        let exponent = literal
            .split(['e', 'E'])
            .nth(1)
            .map_or(Some(0), |e| e.parse::<i32>().ok());
        if literal.len() > 1_000 || exponent.is_none_or(|e| e.abs() > 1_000) {
            return Err("has more than 1000 digits".into());
        }
        self.check_float(literal.parse().map_err(|_| "must be a number")?)?;
        Ok(literal.into_owned())
    }

    fn check_float(&self, value: f64) -> Result<(), Complaint> {
        match (&self.min, &self.max) {
            (Some(min), _) if value < min.float => {
                Err(format!("must be at least {}", min.text).into())
            }
            (_, Some(max)) if value > max.float => {
                Err(format!("must be at most {}", max.text).into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether `raw` is the number 0, in any way of writing it that [`Rules::read`] takes.
pub(crate) fn is_zero(raw: &str) -> bool {
    number_literal(raw).is_some_and(|literal| literal.parse() == Ok(0.0f64))
}

/// The content of a JSON string; `complaint` if it is another kind of value.
pub(crate) fn string<'a>(raw: &'a str, complaint: &'static str) -> Result<Cow<'a, str>, Complaint> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(complaint)?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    check_escapes(raw)?;
    serde_json::from_str(raw)
        .map(Cow::Owned)
        .map_err(|_| complaint.into())
}

/// PostgreSQL can store neither U+0000 nor half a surrogate pair, which JSON escapes can both write.
pub(crate) fn check_escapes(raw: &str) -> Result<(), Complaint> {
    let bytes = raw.as_bytes();
    let unit = |at: usize| {
        let hex = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        at += match unit(at) {
            Some(0) => return Err("must not contain the NUL character (\\u0000)".into()),
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                return Err("contains half of a surrogate pair, which is not a character".into());
            }
            Some(_) => 6,
            None => 2,
        };
    }
    Ok(())
}

/// The text of a JSON number, also of one inside a string.
fn number_literal(raw: &str) -> Option<Cow<'_, str>> {
    let literal = match raw.as_bytes().first()? {
        b'"' => match string(raw, "").ok()? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        },
        b'-' | b'0'..=b'9' => return Some(Cow::Borrowed(raw)),
        _ => return None,
    };
    is_number(&literal).then_some(literal)
}

/// RFC 8259's grammar of numbers.
fn is_number(text: &str) -> bool {
    let bytes = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let digits = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits(0);
    if whole == 0 || (whole > 1 && bytes.first() == Some(&b'0')) {
        return false;
    }
    let mut at = whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == bytes.len()
}

fn whole(literal: &str) -> Result<i64, Complaint> {
    const RANGE: &str = "must be from -9223372036854775808 to 9223372036854775807";
    if let Ok(value) = literal.parse() {
        return Ok(value);
    }
    let exact = literal
        .split_once('.')
        .filter(|(_, fraction)| fraction.bytes().all(|b| b == b'0'));
    if let Some((integer, _)) = exact {
        return integer.parse().map_err(|_| RANGE.into());
    }
    if !literal.contains(['.', 'e', 'E']) {
        return Err(RANGE.into());
    }
    /// Up to here a double holds every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value: f64 = literal.parse().map_err(|_| "must be an integer")?;
    if value.fract() != 0.0 {
        return Err("must be an integer".into());
    }
    if value.abs() > EXACT {
        return Err(RANGE.into());
    }
    #[allow(clippy::cast_possible_truncation)]
    Ok(value as i64)
}

fn boolean(raw: &str) -> Result<&'static str, Complaint> {
    match raw {
        "true" | "1" => Ok("true"),
        "false" | "0" => Ok("false"),
        _ if raw.eq_ignore_ascii_case("\"true\"") => Ok("true"),
        _ if raw.eq_ignore_ascii_case("\"false\"") => Ok("false"),
        _ => Err("must be true or false".into()),
    }
}

fn moment(
    raw: &str,
    forms: &str,
    read: impl Fn(&str) -> Option<String>,
) -> Result<String, Complaint> {
    let text = string(raw, "must be a string").map_err(|_| format!("must be {forms}"))?;
    read(text.trim()).ok_or_else(|| format!("must be {forms}").into())
}

fn uuid(raw: &str) -> Result<String, Complaint> {
    const WANTED: &str = "must be a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e";
    let text = string(raw, WANTED).map_err(|_| WANTED)?;
    uuid::Uuid::try_parse(text.trim())
        .map(|uuid| uuid.to_string())
        .map_err(|_| WANTED.into())
}

fn plural(kind: Type) -> &'static str {
    match kind {
        Type::Text => "strings",
        Type::Integer => "integers",
        Type::Number | Type::Numeric => "numbers",
        Type::Boolean => "booleans",
        Type::Date => "dates",
        Type::Timestamp | Type::Timestamptz => "times",
        Type::Uuid => "UUIDs",
        Type::Json | Type::Jsonb => "JSON values",
        Type::Object => "JSON objects",
    }
}

/// One element of an array literal, always quoted ("Array Input and Output Syntax" in PostgreSQL's manual).
fn push_element(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

#[cfg(test)]
mod tests;
