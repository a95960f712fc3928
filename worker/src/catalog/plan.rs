//! A tool with effects: its `plan` statement decides, the server acts, its `finish` statement reports. Reads what a plan yields, and
//! makes of a tool that is one effect what its caller is told. Runs nothing.
//!
//! Two steps and a list; what is left out on purpose is everything that would make it a language.

use std::ops::Range;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::effect::Effect;
use super::fragments::Template;
use super::kind::Type;
use super::outcome::{Content, Outcome};
use super::parameter::Parameter;
use super::statement::Form;
use super::wrap::Variant;
use crate::effects::{self, Act, Request};

/// The most effects of one call.
const MOST: usize = 16;

/// The first statement of a tool with effects, and the effects.
pub(crate) struct Planning {
    pub template: Template,
    pub form: Form,
    pub guards: Vec<u64>,
    pub variants: Box<[OnceLock<Variant>]>,
    pub effects: Vec<Effect>,
    pub null_guards: Vec<Range<usize>>,
}

/// How far a call with effects is, and what its `finish` needs.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Every parameter's value.
    pub values: Vec<Option<String>>,
    /// All arguments, of a tool with a schema of its own.
    pub arguments: Option<String>,
    pub plan: String,
    pub stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Plan,
    /// With the names of the effects that may have changed something.
    Finish(Vec<String>),
}

/// What to do next for a call.
#[derive(Debug)]
pub enum Step {
    /// Perform these, then [`super::Tool::acted`].
    Act(Vec<Act>),
    Done(Outcome),
}

/// What a plan says.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    Result(&'a RawValue),
    Act(Vec<Act>),
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    effects: Option<Vec<Wanted>>,
}

#[derive(Deserialize)]
struct Wanted {
    effect: String,
    #[serde(default)]
    values: Map<String, Value>,
    /// Past the cache.
    #[serde(default)]
    fresh: bool,
}

/// Reads a plan.
///
/// # Errors
/// It is none, or its values don't fit the effects.
pub(crate) fn read<'a>(json: &'a str, effects: &[Effect]) -> Result<Plan<'a>, String> {
    let operator =
        |what: String| format!("The tool's plan {what}: its operator has to correct it.");
    let document: Document<'a> = serde_json::from_str(json)
        .map_err(|_| operator("is no object with `result` or a list of `effects`".to_owned()))?;
    let wanted = match (document.result, document.effects) {
        (Some(result), None) => return Ok(Plan::Result(result)),
        (None, Some(wanted)) if wanted.len() <= MOST => wanted,
        (None, Some(_)) => return Err(operator(format!("has more than {MOST} effects"))),
        _ => return Err(operator("needs one of `result` and `effects`".to_owned())),
    };
    let mut acts = Vec::with_capacity(wanted.len());
    for one in wanted {
        let effect = effects.iter().find(|effect| effect.name == one.effect);
        let effect = effect
            .ok_or_else(|| operator(format!("names an effect `{}` that it has not", one.effect)))?;
        let names = effect.names();
        if let Some(extra) = one.values.keys().find(|key| !names.contains(&key.as_str())) {
            return Err(operator(format!(
                "gives the effect `{}` a value `{extra}` that it has no place for",
                effect.name
            )));
        }
        let mut act = effect.act(&one.values)?;
        if one.fresh
            && let Request::Http(request) = &mut act.request
        {
            request.cache = None;
        }
        acts.push(act);
    }
    Ok(Plan::Act(acts))
}

/// The values of a call as JSON, by parameter.
pub(crate) fn values(parameters: &[Parameter], texts: Vec<Option<String>>) -> Map<String, Value> {
    let json = |parameter: &Parameter, text: String| match parameter.kind() {
        Type::Integer | Type::Number | Type::Numeric | Type::Boolean => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        kind if kind.is_json() => serde_json::from_str(&text).unwrap_or(Value::Null),
        _ => Value::String(text),
    };
    parameters
        .iter()
        .zip(texts)
        .filter_map(|(parameter, text)| Some((parameter.name.clone(), json(parameter, text?))))
        .collect()
}

/// What the caller of a tool that is one effect is told; the error is for its toolset to dress.
pub(crate) fn told(outcome: effects::Outcome) -> Result<Outcome, String> {
    if let Some(error) = outcome.error {
        return Err(error);
    }
    let mut fields = outcome.fields;
    if let Some(json) = fields.remove("json") {
        return Ok(Outcome::json(json.to_string().into_bytes()));
    }
    for name in ["body", "stdout"] {
        if let Some(Value::String(text)) = fields.remove(name) {
            return Ok(Outcome {
                is_error: false,
                content: Content::Text(text),
            });
        }
    }
    let mut object = Map::new();
    object.insert("sent".into(), true.into());
    object.extend(fields);
    Ok(Outcome::json(
        Value::Object(object).to_string().into_bytes(),
    ))
}

/// Whether a JSON object has a value, and not null, under this key.
pub(crate) fn has(json: &[u8], key: &str) -> bool {
    let object: Result<Map<String, Value>, _> = serde_json::from_slice(json);
    object.is_ok_and(|object| object.get(key).is_some_and(|value| !value.is_null()))
}
