//! The result of a call as text: indented for a person, as it came for a program. Knows no transport.

use serde_json::Value;

/// The texts of a result's content blocks, one below the other. `pretty` indents a text that is JSON.
pub fn content(result: &Value, pretty: bool) -> String {
    let blocks = result
        .get("content")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut shown = String::new();
    for block in blocks {
        match block
            .get("text")
            .and_then(Value::as_str)
            .filter(|_| block.get("type").is_some_and(|kind| kind == "text"))
        {
            Some(text) if pretty => shown.push_str(&indented(text)),
            Some(text) => shown.push_str(text),
            None => shown.push_str(&block.to_string()),
        }
        if !shown.ends_with('\n') {
            shown.push('\n');
        }
    }
    shown
}

/// A JSON object or array with two spaces a level; any other text as it is.
fn indented(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => format!("{value:#}"),
        _ => text.to_owned(),
    }
}

/// Whether the tool says that it failed.
pub fn is_error(result: &Value) -> bool {
    result
        .get("isError")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_shown_and_other_blocks_are_json() {
        let result = json!({ "content": [
            { "type": "text", "text": "[{\"id\":1}]" }, { "type": "text", "text": "2 more rows" },
            { "type": "image", "data": "AA==", "mimeType": "image/png" },
        ]});
        assert_eq!(
            content(&result, false),
            "[{\"id\":1}]\n2 more rows\n{\"type\":\"image\",\"data\":\"AA==\",\"mimeType\":\"image/png\"}\n"
        );
        assert!(content(&result, true).starts_with("[\n  {\n    \"id\": 1\n  }\n]\n2 more rows\n"));
        assert!(!is_error(&result));
        assert!(is_error(&json!({ "isError": true })));
        assert_eq!(content(&json!({}), true), "");
    }
}
