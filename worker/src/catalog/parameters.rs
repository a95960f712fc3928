//! Reads the declared parameters of a tool, `[params.NAME]`, and checks each against itself. What a parameter is,
//! `parameter` says.

use serde_json::Value;

use super::fault::Faults;
use super::kind::{NAMES, Type};
use super::nearest::nearest;
use super::parameter::{Absence, ORIGINS, Origin, Parameter};
use super::rules_file::{self, choices, default_of, judge};
use super::table::{At, Table};
use super::toolset::Defaults;
use super::values::Rules;

/// The most parameters of one tool: presence is a bit in a word.
pub(crate) const MAX_PARAMETERS: usize = 64;

/// Reads `[params]`. A parameter with a fault is read as far as possible, so that the SQL's use of it is no further
/// fault.
pub(crate) fn read(
    table: &Table<'_, '_>,
    defaults: &Defaults,
    faults: &mut Faults,
) -> Vec<Parameter> {
    let mut list: Vec<Parameter> = Vec::new();
    for (name, table) in table.named_tables(faults) {
        if !is_name(&name.value) {
            faults.error_with(
                name.span.clone(),
                format!("`{}` can't name a parameter", name.value),
                "use letters, digits and underscores, not beginning with a digit, so that :name can stand in SQL",
            );
        }
        let parameter = read_one(name, table, defaults, faults);
        if let Some(header) = &parameter.header
            && list.iter().any(|p| {
                p.header
                    .as_deref()
                    .is_some_and(|h| h.eq_ignore_ascii_case(header))
            })
        {
            faults.error(
                parameter.span.clone(),
                format!("the header `{header}` is taken by another parameter"),
            );
        }
        list.push(parameter);
    }
    if let Some(extra) = list.get(MAX_PARAMETERS - 2) {
        faults.error(
            extra.span.clone(),
            format!("more than {} parameters", MAX_PARAMETERS - 2),
        );
    }
    list
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= 64
}

fn read_one(
    name: At<String>,
    mut table: Table<'_, '_>,
    defaults: &Defaults,
    faults: &mut Faults,
) -> Parameter {
    let (origin, setting) = origin_of(&mut table, defaults, faults);
    let (kind, list) = kind_of(&name, origin, &mut table, faults);
    let mut parameter = Parameter::plain(
        &name.value,
        origin,
        Rules::of(kind, list),
        name.span.clone(),
    );
    parameter.description = table.string("description", faults).map(|at| at.value);
    let optional = table.boolean("optional", faults).is_some_and(|at| at.value);
    if origin != Origin::Argument {
        for key in [
            "enum",
            "min",
            "max",
            "min_length",
            "max_length",
            "pattern",
            "default",
            "examples",
            "header",
            "empty",
            "zero",
        ] {
            if table.has(key) {
                let message = format!("`{key}` has no meaning with from = \"{}\"", origin.name());
                faults.error_with(
                    table.place_of(key),
                    message,
                    "the value comes from the server, not from the caller",
                );
            }
        }
        parameter.absence = match setting {
            Some(value) => Absence::Fixed(value),
            None if optional || origin == Origin::File => Absence::Null,
            None => Absence::Refused,
        };
        table.finish(faults);
        return parameter;
    }
    rules_file::read(&mut parameter.rules, &mut table, faults);
    const ABSENT: [(&str, bool); 2] = [("absent", true), ("value", false)];
    let empty = table.word("empty", &ABSENT, faults).map(|at| at.value);
    let zero = table.word("zero", &ABSENT, faults).map(|at| at.value);
    parameter.empty_absent = empty.unwrap_or(defaults.empty_absent);
    if zero.is_some() && !kind.is_number() {
        faults.error(table.place_of("zero"), "`zero` is for numbers");
    }
    parameter.zero_absent = kind.is_number() && zero.unwrap_or(defaults.zero_absent);
    parameter.choices = choices(&mut parameter.rules, &mut table, faults);
    parameter.absence = if optional {
        Absence::Null
    } else {
        Absence::Refused
    };
    if let Some(default) = table.json("default", faults) {
        if let Some(absence) = default_of(&parameter.rules, &default, faults) {
            parameter.absence = absence;
        }
        parameter.default = Some(default.value);
    }
    if let Some(examples) = table.json("examples", faults) {
        match examples.value {
            Value::Array(values) => {
                for value in &values {
                    judge(&parameter.rules, value, &examples.span, "example", faults);
                }
                parameter.examples = values;
            }
            _ => faults.error(examples.span, "`examples` must be a list"),
        }
    }
    parameter.header = header(&parameter.rules, &mut table, faults);
    table.finish(faults);
    parameter
}

/// Where the value comes from; of a setting, the value itself.
fn origin_of(
    table: &mut Table<'_, '_>,
    defaults: &Defaults,
    faults: &mut Faults,
) -> (Origin, Option<String>) {
    let Some(from) = table.string("from", faults) else {
        return (Origin::Argument, None);
    };
    if let Some(name) = from.value.strip_prefix("setting.") {
        let value = defaults.settings.get(name).cloned();
        if value.is_none() {
            let message = format!("the toolset has no setting `{name}`");
            let near = nearest(name, defaults.settings.keys().map(String::as_str));
            let help = near.map_or_else(
                || format!("add {name} to [settings] in _toolset.toml or tine.toml"),
                |near| format!("did you mean `{near}`?"),
            );
            faults.error_with(from.span, message, help);
        }
        return (Origin::Setting, value);
    }
    if let Some(name) = from.value.strip_prefix("file.") {
        let Some(content) = defaults.files.get(name) else {
            let message = format!("the toolset has no file `{name}`");
            let near = nearest(name, defaults.files.keys().map(String::as_str));
            let help = near.map_or_else(
                || format!("add [files.{name}] to _toolset.toml"),
                |near| format!("did you mean `{near}`?"),
            );
            faults.error_with(from.span, message, help);
            return (Origin::File, None);
        };
        return (Origin::File, content.clone());
    }
    if let Some((_, origin)) = ORIGINS.iter().find(|(word, _)| *word == from.value) {
        return (*origin, None);
    }
    let names: Vec<&str> = ORIGINS.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "`from` must be one of {}, setting.NAME and file.NAME, not `{}`",
        names.join(", "),
        from.value
    );
    faults.error(from.span, message);
    (Origin::Argument, None)
}

fn kind_of(
    name: &At<String>,
    origin: Origin,
    table: &mut Table<'_, '_>,
    faults: &mut Faults,
) -> (Type, bool) {
    let fallback = match origin {
        Origin::Now => Type::Timestamptz,
        Origin::File => Type::Json,
        _ => Type::Text,
    };
    if !table.has("type") && origin == Origin::Argument {
        faults.error_with(
            name.span.clone(),
            format!("the parameter `{}` has no type", name.value),
            "add type = \"text\", or integer, number, boolean, timestamptz, uuid, jsonb, text[], ...",
        );
    }
    let Some(text) = table.string("type", faults) else {
        return (fallback, false);
    };
    let (word, list) = match text.value.strip_suffix("[]") {
        Some(word) => (word, true),
        None => (text.value.as_str(), false),
    };
    let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == word) else {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "unknown type `{}`; known are {}, each also with []",
            text.value,
            names.join(", ")
        );
        match nearest(word, names.iter().copied()).or_else(|| alias(word)) {
            Some(near) => faults.error_with(text.span, message, format!("did you mean `{near}`?")),
            None => faults.error(text.span, message),
        }
        return (fallback, false);
    };
    let fits = match origin {
        Origin::Now => kind.is_time(),
        Origin::File => kind.is_json(),
        Origin::TokenUser | Origin::TokenName | Origin::ServerHost | Origin::Setting => {
            *kind == Type::Text
        }
        Origin::Argument | Origin::Limit | Origin::Cursor => true,
    };
    if !fits || (list && origin != Origin::Argument) {
        faults.error(
            text.span,
            format!("`{}` can't be a {}", origin.name(), text.value),
        );
        return (fallback, false);
    }
    (*kind, list)
}

/// What other formats call a type.
fn alias(word: &str) -> Option<&'static str> {
    Some(match word {
        "string" | "varchar" | "str" => "text",
        "int" | "int4" | "int8" | "bigint" => "integer",
        "float" | "float8" | "double" | "real" => "number",
        "decimal" => "numeric",
        "bool" => "boolean",
        "time" | "datetime" => "timestamptz",
        "array" => "text[]",
        _ => return None,
    })
}

/// RFC 9110's token, as the MCP page asks of an `x-mcp-header`.
fn header(rules: &Rules, table: &mut Table<'_, '_>, faults: &mut Faults) -> Option<String> {
    let header = table.string("header", faults)?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if header.value.is_empty() || !header.value.bytes().all(is_token) {
        faults.error(
            header.span,
            "a header's name is made of letters, digits and dashes",
        );
        return None;
    }
    if rules.list
        || !matches!(
            rules.kind,
            Type::Text | Type::Integer | Type::Boolean | Type::Uuid
        )
    {
        faults.error(
            header.span,
            "only text, integer and boolean parameters can have a header",
        );
        return None;
    }
    Some(header.value)
}

#[cfg(test)]
mod tests;
