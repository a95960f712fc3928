//! Tool definitions as text for a person. Knows them only as `tools/list` shows them.

use std::fmt::Write as _;

use serde_json::Value;

/// The tool's name; empty in a definition that is none.
pub fn name(tool: &Value) -> &str {
    tool.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// One name a line.
pub fn names(tools: &[Value]) -> String {
    tools
        .iter()
        .fold(String::new(), |text, tool| text + name(tool) + "\n")
}

/// One line a tool: name, and title or the description's first sentence.
pub fn list(tools: &[Value]) -> String {
    let width = tools
        .iter()
        .map(|tool| name(tool).chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for tool in tools {
        let line = format!("{:<width$}  {}", name(tool), summary(tool));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn summary(tool: &Value) -> &str {
    let title = tool.get("title").and_then(Value::as_str);
    let description = tool
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    title.unwrap_or_else(|| description.lines().next().unwrap_or_default())
}

/// Everything that a client learns about one tool.
pub fn tool(tool: &Value) -> String {
    let mut text = format!("{}\n", name(tool));
    if let Some(title) = tool.get("title").and_then(Value::as_str) {
        let _ = writeln!(text, "{title}");
    }
    if let Some(description) = tool.get("description").and_then(Value::as_str) {
        let _ = writeln!(text, "\n{}", description.trim_end());
    }
    let schema = tool.get("inputSchema");
    let properties = schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    let required = schema
        .and_then(|schema| schema.get("required"))
        .and_then(Value::as_array);
    let is_required = |key: &str| required.is_some_and(|keys| keys.iter().any(|name| name == key));
    match properties.filter(|properties| !properties.is_empty()) {
        None => text.push_str("\nNo parameters.\n"),
        Some(properties) => {
            text.push_str("\nParameters:\n");
            for (key, schema) in properties {
                let _ = writeln!(text, "  {key}  {}", type_of(schema, is_required(key)));
                if let Some(description) = schema.get("description").and_then(Value::as_str) {
                    for line in description.lines() {
                        let _ = writeln!(text, "      {line}");
                    }
                }
            }
        }
    }
    if let Some(hints) = tool
        .get("annotations")
        .and_then(Value::as_object)
        .filter(|hints| !hints.is_empty())
    {
        let hints: Vec<String> = hints
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        let _ = writeln!(text, "\nAnnotations: {}", hints.join(", "));
    }
    text
}

/// "integer, required, from 1 to 100, default 20".
fn type_of(schema: &Value, required: bool) -> String {
    let kind = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any".to_owned(),
    };
    let mut parts = vec![kind];
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        parts.push(format.to_owned());
    }
    if required {
        parts.push("required".to_owned());
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(plain).collect();
        parts.push(format!("one of {}", values.join(", ")));
    }
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => parts.push(format!("from {least} to {most}")),
        (Some(least), None) => parts.push(format!("at least {least}")),
        (None, Some(most)) => parts.push(format!("at most {most}")),
        (None, None) => {}
    }
    for (key, words) in [
        ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"),
        ("pattern", "pattern {}"),
        ("default", "default {}"),
    ] {
        if let Some(value) = schema.get(key) {
            parts.push(words.replace("{}", &plain(value)));
        }
    }
    parts.join(", ")
}

/// A text without its quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_has_one_line_a_tool() {
        let tools = [
            json!({ "name": "a", "title": "First", "description": "Long." }),
            json!({ "name": "long_name", "description": "Second.\nMore." }),
            json!({ "name": "c" }),
        ];
        assert_eq!(list(&tools), "a          First\nlong_name  Second.\nc\n");
        assert_eq!(names(&tools), "a\nlong_name\nc\n");
        assert_eq!(list(&[]), "");
    }

    #[test]
    fn a_tool_in_detail() {
        let definition = json!({
            "name": "list_tickets", "title": "List tickets", "description": "Newest first.\n",
            "inputSchema": { "type": "object", "required": ["project"], "properties": {
                "project": { "type": "string", "pattern": "^[a-z]+$", "description": "Project key" },
                "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 20 },
                "status": { "type": "string", "enum": ["open", "closed"] },
            }},
            "annotations": { "readOnlyHint": true },
        });
        assert_eq!(
            tool(&definition),
            "list_tickets\nList tickets\n\nNewest first.\n\nParameters:\n  project  string, required, pattern ^[a-z]+$\n      \
             Project key\n  limit  integer, from 1 to 100, default 20\n  status  string, one of open, closed\n\n\
             Annotations: readOnlyHint true\n"
        );
        assert_eq!(tool(&json!({ "name": "x" })), "x\n\nNo parameters.\n");
    }
}
