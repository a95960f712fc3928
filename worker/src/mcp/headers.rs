//! The MCP request headers and their agreement with the body, which the modern era demands (MCP 2026-07-28,
//! basic/transports/streamable-http, "Standard headers" and "Custom headers from tool parameters"). Knows values, not HTTP.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reply::{Fault, code};
use crate::catalog::{Parameter, Tool};

/// The headers as they came, trimmed; `parameters` finds an `Mcp-Param-…` value by the part after the prefix, in any case.
pub struct Headers<'a> {
    pub protocol_version: Option<&'a str>,
    pub method: Option<&'a str>,
    pub name: Option<&'a str>,
    pub parameter: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl Headers<'_> {
    pub(super) fn must_equal(
        &self,
        header: &str,
        value: Option<&str>,
        body: &str,
    ) -> Result<(), Fault> {
        match value {
            Some(value) if value == body => Ok(()),
            Some(value) => Err(mismatch(format!(
                "{header} is {value:?}, but the body says {body:?}"
            ))),
            None => Err(mismatch(format!(
                "{header} is missing; the body says {body:?}"
            ))),
        }
    }

    pub(super) fn name_must_equal(&self, name: &str) -> Result<(), Fault> {
        let decoded = self
            .name
            .map(|value| decode("Mcp-Name", value))
            .transpose()?;
        self.must_equal("Mcp-Name", decoded.as_deref(), name)
    }

    /// Every parameter that the tool publishes with `x-mcp-header` must come in both places, or in neither.
    pub(super) fn parameters_must_equal(
        &self,
        tool: &Tool,
        arguments: Option<&RawValue>,
    ) -> Result<(), Fault> {
        if !tool
            .parameters
            .iter()
            .any(|parameter| parameter.header.is_some())
        {
            return Ok(());
        }
        let arguments: Value = arguments
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or(Value::Null);
        let mirrored = |parameter: &'_ Parameter| {
            parameter
                .header
                .clone()
                .map(|header| (header, parameter.name.clone()))
        };
        for (header, name) in tool.parameters.iter().filter_map(mirrored) {
            let value = (self.parameter)(&header);
            let header = format!("Mcp-Param-{header}");
            match (arguments.get(&name), value) {
                (None | Some(Value::Null), None) => {}
                (None | Some(Value::Null), Some(_)) => {
                    return Err(mismatch(format!(
                        "{header} is given, but the body has no argument {}",
                        name
                    )));
                }
                (Some(_), None) => {
                    return Err(mismatch(format!(
                        "{header} is missing; the body has the argument {}",
                        name
                    )));
                }
                (Some(argument), Some(value)) if same(argument, &decode(&header, value)?) => {}
                (Some(_), Some(_)) => {
                    return Err(mismatch(format!(
                        "{header} differs from the argument {}",
                        name
                    )));
                }
            }
        }
        Ok(())
    }
}

fn mismatch(message: String) -> Fault {
    Fault::new(400, code::HEADER_MISMATCH, message)
}

fn same(argument: &Value, header: &str) -> bool {
    match argument {
        Value::String(text) => text == header,
        Value::Bool(truth) => header == if *truth { "true" } else { "false" },
        // Numerically: 1, 1.0 and 1e0 are one integer.
        Value::Number(number) => header
            .parse::<f64>()
            .is_ok_and(|header| number.as_f64() == Some(header)),
        _ => false,
    }
}

// Only a value with both markers is encoded; anything else is itself (SEP-2243).
fn decode<'v>(header: &str, value: &'v str) -> Result<Cow<'v, str>, Fault> {
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|error| mismatch(format!("{header}: bad base64: {error}")))?;
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| mismatch(format!("{header}: the decoded value is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values() {
        for (value, expected) in [
            ("plain", Some("plain")),
            ("=?base64?SGVsbG8=?=", Some("Hello")),
            ("=?base64?dXMtw6k=?=", Some("us-é")),
            ("=?base64??=", Some("")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
            ("SGVsbG8=", Some("SGVsbG8=")),
            ("=?BASE64?SGVsbG8=?=", Some("=?BASE64?SGVsbG8=?=")),
            ("=?base64?SGVsbG8?=", None),
            ("=?base64?SGVs!!!bG8=?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decode("h", value).ok().as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn values_compare_by_type() {
        for (argument, header, equal) in [
            (serde_json::json!("a"), "a", true),
            (serde_json::json!("a"), "A", false),
            (serde_json::json!(1), "1", true),
            (serde_json::json!(1), "1.0", true),
            (serde_json::json!(1), "2", false),
            (serde_json::json!(true), "true", true),
            (serde_json::json!(true), "True", false),
            (serde_json::json!([1]), "[1]", false),
        ] {
            assert_eq!(same(&argument, header), equal, "{argument} {header}");
        }
    }
}
