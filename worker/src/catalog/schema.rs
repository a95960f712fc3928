//! The JSON Schema that a tool publishes for its arguments. Says everything that the catalog checks, so that a model
//! needs no second try; what the catalog accepts beyond it (coercions) is kindness, not contract.
//!
//! Optional parameters are plain types absent from `required`: a nullable type, or a null default, breaks clients in
//! the field. `additionalProperties` is left open, because unknown arguments are ignored.

use serde_json::{Map, Value, json};

use super::kind::Type;
use super::parameter::Parameter;
use super::toolset::Era;
use super::values::{Bound, Rules};

pub(crate) fn of(parameters: &[Parameter], era: Era) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in parameters.iter().filter(|p| p.origin.is_caller()) {
        properties.insert(parameter.name.clone(), property(parameter, era));
        if parameter.is_required() {
            required.push(Value::from(parameter.name.as_str()));
        }
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), Value::Array(required));
    }
    Value::Object(schema)
}

fn property(parameter: &Parameter, era: Era) -> Value {
    let rules = &parameter.rules;
    let mut schema = Map::new();
    let mut items = Map::new();
    if rules.list {
        schema.insert("type".into(), "array".into());
    } else if let Some(name) = rules.kind.schema_type() {
        schema.insert("type".into(), name.into());
    }
    if let Some(description) = description(parameter) {
        schema.insert("description".into(), description.into());
    }
    let target = if rules.list { &mut items } else { &mut schema };
    element(target, rules, &parameter.choices);
    if rules.list {
        if let Some(name) = rules.kind.schema_type() {
            items.insert("type".into(), name.into());
        }
        schema.insert("items".into(), Value::Object(items));
    }
    lengths(&mut schema, rules);
    if let Some(default) = &parameter.default {
        schema.insert("default".into(), default.clone());
    }
    if !parameter.examples.is_empty() {
        schema.insert("examples".into(), json!(parameter.examples));
    }
    if let (Some(header), Era::Modern) = (&parameter.header, era) {
        schema.insert("x-mcp-header".into(), header.as_str().into());
    }
    Value::Object(schema)
}

/// The author's words; for times, what the format keyword can't say. (`date-time` would rule out relative times.)
fn description(parameter: &Parameter) -> Option<String> {
    if parameter.description.is_some() {
        return parameter.description.clone();
    }
    match parameter.rules.kind {
        Type::Timestamptz | Type::Timestamp => {
            Some("RFC 3339 time, date, or relative such as now-7d.".to_owned())
        }
        Type::Date => Some("Date such as 2026-04-28, or relative such as now-7d.".to_owned()),
        _ => None,
    }
}

fn element(schema: &mut Map<String, Value>, rules: &Rules, choices: &[Value]) {
    if rules.kind == Type::Uuid {
        schema.insert("format".into(), "uuid".into());
    }
    if !choices.is_empty() {
        schema.insert("enum".into(), Value::Array(choices.to_vec()));
    }
    for (key, bound) in [("minimum", &rules.min), ("maximum", &rules.max)] {
        if let Some(bound) = bound {
            schema.insert(key.into(), number(bound, rules.kind));
        }
    }
    if let Some(pattern) = &rules.pattern {
        schema.insert("pattern".into(), pattern.as_str().into());
    }
}

fn number(bound: &Bound, kind: Type) -> Value {
    if kind == Type::Integer || bound.text.parse::<i64>().is_ok() {
        bound.integer.into()
    } else {
        bound.float.into()
    }
}

fn lengths(schema: &mut Map<String, Value>, rules: &Rules) {
    let (least, most) = if rules.list {
        ("minItems", "maxItems")
    } else {
        ("minLength", "maxLength")
    };
    for (key, length) in [(least, rules.min_length), (most, rules.max_length)] {
        if let Some(length) = length {
            schema.insert(key.into(), length.into());
        }
    }
}
