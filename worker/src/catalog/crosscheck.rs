//! Whether a tool's front matter and its statement fit together: the shape, the placeholders, the conditions, the
//! page. Both have been read; this compares them.

use super::fault::Faults;
use super::fragments::Template;
use super::nearest::nearest;
use super::outcome::Shape;
use super::page::Page;
use super::parameter::{Origin, Parameter};
use super::statement::{Form, Shape as Statement};
use super::tool::{Annotations, resolve};

pub(crate) fn form(
    form: &Statement,
    annotations: Annotations,
    shape: Shape,
    page: Option<&Page>,
    template: &Template,
    faults: &mut Faults,
) {
    let here = template.span.start..template.span.start;
    if form.writes && annotations.read_only {
        faults.error_with(
            here.clone(),
            "the statement writes, but the tool is read-only",
            "write annotations = { read_only = false } in the front matter",
        );
    }
    if form.form == Form::Plain && shape != Shape::Rows {
        faults.error_with(
            here.clone(),
            "the statement yields no row for this shape",
            "add RETURNING",
        );
    }
    for place in &form.lasting_settings {
        faults.error_with(
            place.clone(),
            "this setting would stay for the calls of others on the same connection",
            "write true as the last argument of set_config: for this call only",
        );
    }
    if let Some(page) = page
        && form.form != Form::Query
    {
        faults.error(page.span.clone(), "only a query can have pages");
    }
}

/// Every placeholder must name something that has a value.
pub(crate) fn placeholders(
    template: &Template,
    parameters: &[Parameter],
    page: Option<&Page>,
    raw_schema: bool,
    finishes: bool,
    faults: &mut Faults,
) {
    let mut used: Vec<&str> = Vec::new();
    for piece in &template.pieces {
        let Some(name) = piece.placeholder.as_deref() else {
            continue;
        };
        used.push(name);
        if resolve(name, parameters, page, raw_schema, finishes).is_some() {
            continue;
        }
        let message = format!("`:{name}` is no parameter");
        let help = if let Some(column) = name.strip_prefix("cursor.") {
            match page {
                Some(_) => format!("`{column}` is not in the page's key"),
                None => "a cursor needs page = { key = [...] }".to_owned(),
            }
        } else if name == "cursor" {
            "write :cursor. and a column of the page's key".to_owned()
        } else if name == "limit" {
            "declare it, or declare page = { key = [...] }".to_owned()
        } else {
            let names = parameters.iter().map(|p| p.name.as_str());
            nearest(name, names).map_or_else(
                || format!("add [params.{name}]; for an array slice write a space after the colon"),
                |near| format!("did you mean `:{near}`?"),
            )
        };
        faults.error_with(piece.span.clone(), message, help);
    }
    let Some(page) = page else { return };
    if !used.contains(&"limit") {
        faults.error_with(
            page.span.clone(),
            "the statement has no LIMIT :limit",
            "a page needs it to know when it is full",
        );
    }
    for key in &page.keys {
        if !used.contains(&format!("cursor.{}", key.column).as_str()) {
            faults.error_with(
                key.span.clone(),
                format!("the statement doesn't compare `{0}` with :cursor.{0}", key.column),
                "add a line such as AND (created_at, id) < (:cursor.created_at, :cursor.id) --? cursor",
            );
        }
    }
}

/// The parameters that each `--?` needs, as bits.
pub(crate) fn guards(
    template: &Template,
    parameters: &[Parameter],
    faults: &mut Faults,
) -> Vec<u64> {
    let mut list = Vec::new();
    for guard in &template.guards {
        let mut bits = 0;
        for name in &guard.names {
            let index = parameters
                .iter()
                .position(|p| p.name == name.value && p.origin != Origin::Limit);
            match index {
                Some(index) => bits |= 1u64 << index.min(63),
                None => {
                    let message = format!("`--? {}` names no parameter", name.value);
                    match nearest(&name.value, parameters.iter().map(|p| p.name.as_str())) {
                        Some(near) => faults.error_with(
                            name.span.clone(),
                            message,
                            format!("did you mean `{near}`?"),
                        ),
                        None => faults.error_with(
                            name.span.clone(),
                            message,
                            "name parameters of this tool, or cursor",
                        ),
                    }
                }
            }
        }
        list.push(bits);
    }
    list
}

/// A parameter that nothing uses is a filter that silently does nothing.
pub(crate) fn unused(templates: &[&Template], parameters: &[Parameter], faults: &mut Faults) {
    for parameter in parameters {
        let mut pieces = templates.iter().flat_map(|template| &template.pieces);
        let in_sql =
            pieces.any(|piece| piece.placeholder.as_deref() == Some(parameter.name.as_str()));
        let mut guards = templates.iter().flat_map(|template| &template.guards);
        let in_guard =
            guards.any(|guard| guard.names.iter().any(|name| name.value == parameter.name));
        if !in_sql && !in_guard {
            faults.error_with(
                parameter.span.clone(),
                format!(
                    "the statement never uses the parameter `{}`",
                    parameter.name
                ),
                format!(
                    "write :{0} in the statement, or remove [params.{0}]",
                    parameter.name
                ),
            );
        }
    }
}
