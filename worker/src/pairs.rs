//! The key-value pairs of a log record as text: `key=value` for people, JSON for machines. Knows no key.
//!
//! logfmt's rule: a value stands bare unless it holds something that could be taken for the end of it, and in quotes else, so that
//! whoever sends it can't forge a pair.

use std::fmt::Write as _;

use log::kv::{Error, Key, Source, Value, VisitSource, VisitValue};

/// The most bytes that all pairs of one record may take; what doesn't fit is left out whole.
const MOST: usize = 3072;

/// Room for those of most records.
const USUAL: usize = 256;

/// ` key=value` for each pair; nothing for none.
pub fn text(source: &dyn Source) -> String {
    render(source, Style::Text)
}

/// `"key":value` for each pair, separated by commas; nothing for none.
pub fn json(source: &dyn Source) -> String {
    render(source, Style::Json)
}

/// The text of one pair, if there is one of this name.
pub fn find(source: &dyn Source, key: &str) -> Option<String> {
    source.get(Key::from(key)).map(|value| value.to_string())
}

/// Appends a JSON string, without the one character that PostgreSQL's texts can't hold, and with every control character
/// escaped: JSON would let pass those above ASCII, which terminals obey.
pub fn quote(out: &mut String, text: &str) {
    let plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        return out.push('"');
    }
    // A text can always be written as JSON.
    let quoted = match text.contains('\0') {
        true => serde_json::to_string(&text.replace('\0', "\u{fffd}")),
        false => serde_json::to_string(text),
    }
    .unwrap_or_default();
    if !quoted.contains(char::is_control) {
        return out.push_str(&quoted);
    }
    for character in quoted.chars() {
        match character.is_control() {
            true => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => out.push(character),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Json,
}

fn render(source: &dyn Source, style: Style) -> String {
    let mut pairs = Pairs {
        out: String::with_capacity(USUAL),
        style,
    };
    // Rendering refuses nothing.
    let _ = source.visit(&mut pairs);
    pairs.out
}

struct Pairs {
    out: String,
    style: Style,
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let before = self.out.len();
        match self.style {
            Style::Text => {
                self.out.push(' ');
                self.out.push_str(key.as_str());
                self.out.push('=');
            }
            Style::Json => {
                if before > 0 {
                    self.out.push(',');
                }
                quote(&mut self.out, key.as_str());
                self.out.push(':');
            }
        }
        value.visit(&mut *self)?;
        if self.out.len() > MOST {
            self.out.truncate(before);
        }
        Ok(())
    }
}

impl VisitValue<'_> for &mut Pairs {
    fn visit_any(&mut self, value: Value) -> Result<(), Error> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        Ok(write!(self.out, "{value}")?)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        Ok(write!(self.out, "{value}")?)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        match value.is_finite() {
            true => Ok(write!(self.out, "{value}")?),
            false => self.visit_str(&value.to_string()),
        }
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        Ok(write!(self.out, "{value}")?)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        let bare = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
        match self.style == Style::Text && !value.is_empty() && value.bytes().all(bare) {
            true => self.out.push_str(value),
            false => quote(&mut self.out, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_bare_unless_they_could_be_taken_for_more() {
        let pairs: [(&str, Value); 7] = [
            ("tool", Value::from("list_x")),
            ("client", Value::from("bot 1.0")),
            ("forged", Value::from("a\" rows=9\n")),
            ("empty", Value::from("")),
            ("rows", Value::from(3u64)),
            ("ms", Value::from(1.25)),
            ("odd", Value::from(f64::NAN)),
        ];
        assert_eq!(
            text(&pairs.as_slice()),
            r#" tool=list_x client="bot 1.0" forged="a\" rows=9\n" empty="" rows=3 ms=1.25 odd=NaN"#
        );
        let terminal = [("client", "a\u{9b}2J\u{7f}\u{1b}\0é")];
        assert_eq!(
            text(&terminal.as_slice()),
            " client=\"a\\u009b2J\\u007f\\u001b\u{fffd}é\""
        );
        let parsed: serde_json::Value =
            serde_json::from_str(&format!("{{{}}}", json(&pairs.as_slice()))).unwrap();
        assert_eq!(parsed["forged"], "a\" rows=9\n");
        assert_eq!(parsed["ms"], 1.25);
        assert_eq!(parsed["odd"], "NaN");
        assert_eq!(find(&pairs.as_slice(), "rows").as_deref(), Some("3"));
        assert_eq!(find(&pairs.as_slice(), "absent"), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let long = "x".repeat(MOST);
        let pairs = [("first", "1"), ("long", long.as_str()), ("last", "2")];
        assert_eq!(text(&pairs.as_slice()), " first=1 last=2");
        assert_eq!(json(&pairs.as_slice()), r#""first":"1","last":"2""#);
        let none: [(&str, &str); 0] = [];
        assert_eq!(json(&none.as_slice()), "");
    }
}
