//! The line that a tool leaves in the log of what it has done (`log`): a text with `{key}` in it, filled from the result. Knows nothing of
//! where it goes.

use std::ops::Range;

use serde_json::{Map, Value};

use super::fault::Faults;
use super::outcome::{Content, Outcome};
use super::table::At;
use super::template::shown;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A key of the result.
    Key(String),
}

impl Note {
    pub fn read(text: &At<String>, faults: &mut Faults) -> Option<Note> {
        let mut parts = Vec::new();
        let mut rest = text.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            parts.push(Part::Text(before.to_owned()));
            let Some((key, after)) = after.split_once('}').filter(|(key, _)| is_key(key)) else {
                return Note::fault(text.span.clone(), faults);
            };
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Note(parts))
    }

    fn fault(span: Range<usize>, faults: &mut Faults) -> Option<Note> {
        faults.error_with(
            span,
            "`log` has a brace that names no key of the result",
            "write {key}; there is no other use of braces in it",
        );
        None
    }

    /// The first key that a good result should have and has not.
    pub fn missing(&self, outcome: &Outcome) -> Option<&str> {
        let object = good(outcome)?;
        let mut keys = self.0.iter().filter_map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Text(_) => None,
        });
        keys.find(|key| !object.contains_key(*key))
    }

    /// Of a result that is an object and no error.
    pub fn fill(&self, outcome: &Outcome) -> Option<String> {
        let object = good(outcome)?;
        let fill = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Key(key) => match object.get(key) {
                None | Some(Value::Null) => "none".to_owned(),
                Some(value) => shown(&value.to_string()),
            },
        };
        Some(self.0.iter().map(fill).collect())
    }
}

/// The object that a result is.
fn good(outcome: &Outcome) -> Option<Map<String, Value>> {
    match &outcome.content {
        Content::Json { bytes, .. } if !outcome.is_error => serde_json::from_slice(bytes).ok(),
        _ => None,
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::super::fault::Source;
    use super::*;

    fn note(text: &str) -> Option<Note> {
        let at = At {
            value: text.to_owned(),
            span: 0..0,
        };
        Note::read(
            &at,
            &mut Faults::new(Source::new("t".into(), text.to_owned())),
        )
    }

    #[test]
    fn keys_are_filled_from_a_good_result() {
        let note = note("'{name}' pid={pid} why={why} {absent}.").unwrap();
        let good = Outcome::json(r#"{"name":"a\n{pid}","pid":7,"why":null}"#.into());
        assert_eq!(
            note.fill(&good).as_deref(),
            Some("'a\n{pid}' pid=7 why=none none.")
        );
        let bad = Outcome {
            is_error: true,
            ..good.clone()
        };
        assert_eq!(note.missing(&good), Some("absent"));
        assert_eq!((note.fill(&bad), note.missing(&bad)), (None, None));
        assert_eq!(note.fill(&Outcome::json("[1]".into())), None);
        assert_eq!(note.fill(&Outcome::error("x")), None);
    }

    #[test]
    fn braces_name_keys() {
        for bad in ["{", "a {b", "{}", "{a b}", "{{a}}"] {
            assert_eq!(note(bad), None, "{bad}");
        }
        assert!(note("no key").is_some());
    }
}
