//! The keys of `result = { ... }`: how much a tool may return, and what it says of nothing.

use super::common::Setting;
use super::fault::Faults;
use super::outcome::Shape;
use super::parameter::Parameter;
use super::table::{At, Table};
use super::template::Template;

pub(crate) struct ResultKeys {
    pub max_bytes: usize,
    pub max_rows: u32,
    pub empty: Option<Template>,
}

pub(crate) fn read(
    table: &mut Table<'_, '_>,
    shape: Shape,
    setting: &Setting,
    parameters: &[Parameter],
    faults: &mut Faults,
) -> ResultKeys {
    let defaults = &setting.defaults;
    let mut keys = ResultKeys {
        max_bytes: defaults.max_bytes,
        max_rows: defaults.max_rows,
        empty: None,
    };
    let Some(mut table) = table.table("result", faults) else {
        return keys;
    };
    table.word("format", &[("json", ())], faults);
    keys.max_bytes = table
        .count("max_bytes", 100, faults)
        .map_or(keys.max_bytes, |at| at.value);
    if let Some(rows) = table.count("max_rows", 1, faults) {
        if shape != Shape::Rows || table.has("page") {
            faults.error(rows.span, "`max_rows` is for lists");
        }
        keys.max_rows = rows.value;
    }
    if let Some(empty) = table.string("empty", faults) {
        if shape != Shape::Rows {
            faults.error_with(
                empty.span.clone(),
                "`empty` is for lists",
                "for one row or document write not_found",
            );
        }
        keys.empty = words(&empty, parameters, faults);
    }
    table.finish(faults);
    keys
}

/// A text with `{parameter}` in it.
pub(crate) fn words(
    text: &At<String>,
    parameters: &[Parameter],
    faults: &mut Faults,
) -> Option<Template> {
    match Template::parse(&text.value, parameters) {
        Ok(template) => Some(template),
        Err(name) => {
            let names: Vec<&str> = parameters
                .iter()
                .filter(|p| p.origin.is_caller())
                .map(|p| p.name.as_str())
                .collect();
            faults.error_with(
                text.span.clone(),
                format!("`{name}` is no argument of this tool"),
                format!(
                    "braces hold an argument's name ({}); write {{{{ for a brace",
                    names.join(", ")
                ),
            );
            None
        }
    }
}
