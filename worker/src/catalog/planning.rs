//! Makes the planning part of a tool with effects: its first statement and what it declares, checked against each other and against
//! the rest of the file.

use std::sync::OnceLock;

use super::crosscheck;
use super::effect::Effect;
use super::fault::Faults;
use super::fragments::Template;
use super::lexer::Token;
use super::page::Page;
use super::parameter::Parameter;
use super::plan::Planning;
use super::statement;
use super::tool::Annotations;

/// What the file says beside.
pub(crate) struct Around<'a> {
    pub page: Option<&'a Page>,
    pub parameters: &'a [Parameter],
    pub raw_schema: bool,
    pub annotations: Annotations,
    /// Where the statement begins that `finish` is, or the only one.
    pub finish: usize,
}

pub(crate) fn make(
    plan: Option<(Template, Vec<Token>)>,
    effects: Vec<Effect>,
    text: &str,
    around: &Around<'_>,
    faults: &mut Faults,
) -> Option<Planning> {
    if let Some(page) = around.page {
        faults.error(page.span.clone(), "a tool with effects has no pages");
    }
    for parameter in around.parameters {
        if matches!(parameter.name.as_str(), "plan" | "outcome") {
            let message = format!("`:{}` is what `finish` gets of the plan", parameter.name);
            faults.error_with(
                parameter.span.clone(),
                message,
                "give the parameter another name",
            );
        }
    }
    if around.annotations.read_only
        && let Some(effect) = effects.iter().find(|effect| effect.changes())
    {
        faults.error_with(
            effect.span.clone(),
            "the tool is read-only, but this effect may change something",
            "write annotations = { read_only = false }; only an HTTP GET is read-only",
        );
    }
    let Some((template, tokens)) = plan else {
        faults.error_with(
            around.finish..around.finish,
            "a tool with effects has two statements, and here is one",
            "the first plans (a json document with `result` or `effects`), the second, behind a semicolon, reports",
        );
        return None;
    };
    let here = template.span.start..template.span.start;
    let Some(shape) = statement::shape(text, &tokens).filter(|shape| !shape.writes) else {
        faults.error_with(
            here,
            "a plan only looks",
            "begin it with SELECT or WITH, and write in the second statement",
        );
        return None;
    };
    crosscheck::placeholders(
        &template,
        around.parameters,
        None,
        around.raw_schema,
        false,
        faults,
    );
    let guards = crosscheck::guards(&template, around.parameters, faults);
    Some(Planning {
        variants: (0..1usize << guards.len())
            .map(|_| OnceLock::new())
            .collect(),
        guards,
        form: shape.form,
        null_guards: shape.null_guards,
        template,
        effects,
    })
}
