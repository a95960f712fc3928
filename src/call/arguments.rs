//! `key=value` words as the arguments of a call. Knows a tool only through its published schema.

use std::fs;

use serde_json::{Map, Value};

/// One word of the command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `key=text`, or `key=@file`: converted as the schema says.
    Text { key: String, text: String },
    /// `key:=json`, or `key:=@file`: as it stands.
    Json { key: String, value: Value },
}

impl Argument {
    pub fn key(&self) -> &str {
        match self {
            Argument::Text { key, .. } | Argument::Json { key, .. } => key,
        }
    }

    /// Takes a word apart; reads the file that it may name. The notation is HTTPie's.
    ///
    /// # Errors
    /// Text for the user: no `=`, no key, an unreadable file, broken JSON.
    pub fn parse(word: &str) -> Result<Argument, String> {
        let Some((key, text)) = word.split_once('=') else {
            return Err(format!(
                "{word}: expected KEY=VALUE, KEY=@FILE or KEY:=JSON"
            ));
        };
        let (key, raw) = match key.strip_suffix(':') {
            Some(key) => (key, true),
            None => (key, false),
        };
        if key.is_empty() {
            return Err(format!("{word}: there is no key before the `=`"));
        }
        let text = match text.strip_prefix('@') {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| format!("{key}: can't read {path}: {error}"))?,
            None => text.to_owned(),
        };
        let key = key.to_owned();
        if !raw {
            return Ok(Argument::Text { key, text });
        }
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Argument::Json { key, value }),
            Err(error) => Err(format!("{key}: not JSON: {error}")),
        }
    }

    /// The value for a property with this schema.
    fn value(self, schema: Option<&Value>) -> Value {
        match self {
            Argument::Json { value, .. } => value,
            Argument::Text { text, .. } => convert(text, schema),
        }
    }
}

/// A text as the JSON type that the schema asks for. What can't be converted stays a text, so that the tool itself
/// says what is wrong with it.
fn convert(text: String, schema: Option<&Value>) -> Value {
    let wanted: Vec<&str> = match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if wanted.is_empty() || wanted.contains(&"string") {
        return Value::String(text);
    }
    let parsed: Option<Value> = serde_json::from_str(&text).ok();
    let fits = |value: &Value| {
        wanted.iter().any(|name| match *name {
            "integer" | "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            _ => false,
        })
    };
    match parsed.filter(fits) {
        Some(value) => value,
        // One plain word for a list of texts is the list of that word.
        None if wanted.contains(&"array") => Value::Array(vec![Value::String(text)]),
        None => Value::String(text),
    }
}

/// The `arguments` object for a tool with this input schema, and the keys that the tool doesn't have.
/// A key given twice makes a list where the tool takes one; elsewhere the last one counts.
pub fn arguments(
    given: Vec<Argument>,
    input_schema: Option<&Value>,
) -> (Map<String, Value>, Vec<String>) {
    let properties = input_schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    let mut arguments = Map::new();
    let mut unknown = Vec::new();
    for argument in given {
        let key = argument.key().to_owned();
        let schema = properties.and_then(|properties| properties.get(&key));
        if input_schema.is_some() && schema.is_none() && !unknown.contains(&key) {
            unknown.push(key.clone());
        }
        let is_list =
            schema.is_some_and(|schema| schema.get("type").is_some_and(|kind| kind == "array"));
        let value = argument.value(schema);
        match (arguments.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) if is_list => list.extend(more),
            (_, value) => {
                arguments.insert(key, value);
            }
        }
    }
    (arguments, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given(words: &[&str]) -> Vec<Argument> {
        words
            .iter()
            .map(|word| Argument::parse(word).unwrap())
            .collect()
    }

    #[test]
    fn words_convert_by_schema() {
        let schema = json!({ "type": "object", "properties": {
            "name": { "type": "string" }, "limit": { "type": "integer" }, "ratio": { "type": "number" },
            "all": { "type": "boolean" }, "tags": { "type": "array", "items": { "type": "string" } },
            "data": { "type": "object" }, "any": {}, "either": { "type": ["integer", "null"] },
        }});
        let words = [
            "name=5",
            "limit=20",
            "ratio=0.5",
            "all=true",
            "tags=a",
            "tags=b",
            "data={\"x\":1}",
            "any=7",
            "either=null",
        ];
        let (arguments, unknown) = arguments(given(&words), Some(&schema));
        assert_eq!(
            Value::Object(arguments),
            json!({ "name": "5", "limit": 20, "ratio": 0.5, "all": true, "tags": ["a", "b"], "data": { "x": 1 }, "any": "7", "either": null })
        );
        assert!(unknown.is_empty());
    }

    #[test]
    fn what_does_not_convert_is_left_to_the_tool() {
        let schema = json!({ "properties": { "limit": { "type": "integer" }, "all": { "type": "boolean" } } });
        let (arguments, _) = arguments(given(&["limit=many", "all=1"]), Some(&schema));
        assert_eq!(
            Value::Object(arguments),
            json!({ "limit": "many", "all": "1" })
        );
    }

    #[test]
    fn raw_json_and_the_last_of_two() {
        let (arguments, unknown) = arguments(given(&["a:=[1]", "b=x=y", "b=z", "c:=null"]), None);
        assert_eq!(
            Value::Object(arguments),
            json!({ "a": [1], "b": "z", "c": null })
        );
        assert!(unknown.is_empty());
    }

    #[test]
    fn unknown_keys_are_named_once() {
        let schema = json!({ "properties": { "a": { "type": "string" } } });
        let (arguments, unknown) = arguments(given(&["a=1", "b=2", "b=3"]), Some(&schema));
        assert_eq!((arguments.len(), unknown), (2, vec!["b".to_owned()]));
    }

    #[test]
    fn files_and_faults() {
        let path = std::env::temp_dir().join(format!("tine-arguments-{}", std::process::id()));
        fs::write(&path, "{\"from\": \"file\"}").unwrap();
        let text = Argument::parse(&format!("a=@{}", path.display())).unwrap();
        assert_eq!(
            text,
            Argument::Text {
                key: "a".to_owned(),
                text: "{\"from\": \"file\"}".to_owned()
            }
        );
        let json = Argument::parse(&format!("a:=@{}", path.display())).unwrap();
        assert_eq!(
            json,
            Argument::Json {
                key: "a".to_owned(),
                value: json!({ "from": "file" })
            }
        );
        fs::remove_file(&path).unwrap();
        for (word, part) in [
            ("a", "expected KEY=VALUE"),
            ("=b", "no key"),
            ("a:={", "not JSON"),
            ("a=@/no/such", "can't read /no/such"),
        ] {
            let fault = Argument::parse(word).unwrap_err();
            assert!(fault.contains(part), "{word}: {fault}");
        }
    }
}
