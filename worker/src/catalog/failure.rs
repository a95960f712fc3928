//! How a toolset tells a failure: plain text, or an object where its clients read every answer as JSON. Knows nothing
//! of why a call failed.

use serde_json::Value;

use super::fault::Faults;
use super::json::push_string;
use super::outcome::{Content, Outcome};
use super::table::Table;

/// Stands for the message in the object's strings.
const MESSAGE: &str = "{message}";

/// An object such as `{ error = "{message}" }`, or nothing: then a failure is plain text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Failure(Option<Value>);

impl Failure {
    /// A failed call's outcome.
    pub fn tell(&self, message: &str) -> Outcome {
        let Some(template) = &self.0 else {
            return Outcome::error(message);
        };
        let mut bytes = Vec::with_capacity(message.len() + 32);
        fill(template, message, &mut bytes);
        Outcome {
            is_error: true,
            content: Content::Json {
                object: true,
                bytes,
                notes: Vec::new(),
            },
        }
    }
}

fn fill(template: &Value, message: &str, out: &mut Vec<u8>) {
    let Value::Object(entries) = template else {
        match template {
            Value::String(text) => push_string(out, &text.replace(MESSAGE, message)),
            other => out.extend_from_slice(other.to_string().as_bytes()),
        }
        return;
    };
    out.push(b'{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, key);
        out.push(b':');
        fill(value, message, out);
    }
    out.push(b'}');
}

/// Reads the key `error`. An empty table switches a folder's object off.
pub(crate) fn read(table: &mut Table<'_, '_>, faults: &mut Faults) -> Option<Failure> {
    let template = table.json("error", faults)?;
    match &template.value {
        Value::Object(entries) if entries.is_empty() => Some(Failure(None)),
        Value::Object(_) if template.value.to_string().contains(MESSAGE) => {
            Some(Failure(Some(template.value)))
        }
        _ => {
            faults.error_with(
                template.span,
                "`error` must be a table with {message} in one of its strings",
                "write error = { error = \"{message}\" }",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_text_or_the_declared_object() {
        let text = Failure::default().tell("no \"x\"");
        assert_eq!(text, Outcome::error("no \"x\""));
        let template =
            serde_json::json!({"success": false, "error": "Sorry: {message}", "more": {"n": [1]}});
        let object = Failure(Some(template)).tell("no \"x\"");
        let Content::Json { bytes, .. } = object.content else {
            panic!("not JSON")
        };
        assert!(object.is_error);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"{"success":false,"error":"Sorry: no \"x\"","more":{"n":[1]}}"#
        );
    }
}
