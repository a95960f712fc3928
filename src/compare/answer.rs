//! What a server says to a call, apart from how it says it: a value or a failure. Knows the shapes of results that servers use.

use serde_json::{Value, json};

use crate::client::ClientError;

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Value(Value),
    /// The tool failed, and this is what it says about it.
    Failed(Value),
    /// A JSON-RPC error: the call never got to the tool.
    Refused {
        code: i64,
        message: String,
    },
}

impl Answer {
    /// # Errors
    /// There is no answer to compare.
    pub fn of(result: Result<Value, ClientError>) -> Result<Answer, ClientError> {
        match result {
            Ok(result) => Ok(Answer::of_result(&result)),
            Err(ClientError::Rpc { code, message, .. }) => Ok(Answer::Refused { code, message }),
            Err(error) => Err(error),
        }
    }

    /// The content counts, because every client can read it: its texts as JSON where they are, one alone or a list of them.
    fn of_result(result: &Value) -> Answer {
        let blocks = result.get("content").and_then(Value::as_array);
        let mut values: Vec<Value> = blocks.into_iter().flatten().map(block).collect();
        let value = match values.len() {
            0 => result
                .get("structuredContent")
                .cloned()
                .unwrap_or(Value::Null),
            1 => values.remove(0),
            _ => Value::Array(values),
        };
        let says_so = result.get("isError").and_then(Value::as_bool) == Some(true);
        // Servers that don't use isError put an `error` into an answer that is otherwise good.
        let by_key = value.get("error").is_some_and(|error| !error.is_null());
        match says_so || by_key {
            true => Answer::Failed(value),
            false => Answer::Value(value),
        }
    }

    pub fn status(&self) -> &'static str {
        match self {
            Answer::Value(_) => "ok",
            Answer::Failed(_) => "failed",
            Answer::Refused { .. } => "refused",
        }
    }

    /// What it says, under its status where it is no value.
    pub fn shown(&self) -> Value {
        match self {
            Answer::Value(value) => value.clone(),
            Answer::Failed(value) => json!({ "failed": value }),
            Answer::Refused { code, message } => {
                json!({ "refused": { "code": code, "message": message } })
            }
        }
    }
}

/// A text as the JSON that it is, or as itself; another block as it stands.
fn block(block: &Value) -> Value {
    match block.get("text").and_then(Value::as_str) {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        None => block.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: Value) -> Answer {
        Answer::of_result(&result)
    }

    fn text(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[test]
    fn old_and_new_shapes_say_the_same() {
        let new = json!({ "content": [text("{\"a\":[1]}")], "structuredContent": {"a": [1]}, "isError": false });
        let old = json!({ "content": [text("{\n  \"a\": [\n    1\n  ]\n}")] });
        assert_eq!(of(new), Answer::Value(json!({"a": [1]})));
        assert_eq!(of(old), Answer::Value(json!({"a": [1]})));
        assert_eq!(
            of(json!({ "content": [text("plain"), text("2")] })),
            Answer::Value(json!(["plain", 2]))
        );
        assert_eq!(
            of(json!({ "content": [], "structuredContent": 5 })),
            Answer::Value(json!(5))
        );
    }

    #[test]
    fn failures_are_known_by_flag_and_by_key() {
        let old = json!({ "content": [text("{\"error\": \"no such agent\"}")], "isError": false });
        assert_eq!(of(old).status(), "failed");
        let new = json!({ "content": [text("no such agent")], "isError": true });
        assert_eq!(of(new), Answer::Failed(json!("no such agent")));
        let good = json!({ "content": [text("{\"error\": null, \"rows\": 1}")] });
        assert_eq!(of(good).status(), "ok");
    }
}
