//! Makes a tool of a `.toml` file whose kind is an effect: `http`, `program` or `stomp`. Its parameters are the effect's values.

use super::common::{self, Setting};
use super::effect::{self, Effect, Kind as EffectKind};
use super::fault::{Faults, Source};
use super::parameters;
use super::render::{self, Entry, Schema};
use super::schema;
use super::table::{At, Table};
use super::tool::{Acting, Kind, Tool};
use super::toolset::Era;
use super::{example, failure};

/// The rest of a file that says one of these kinds.
pub(crate) fn read(
    name: &str,
    source: &Source,
    kind: EffectKind,
    mut table: Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Tool> {
    let common = common::keys(&mut table, name, faults);
    let annotations = common::annotations(&mut table, faults);
    let timeout = common::timeout(&mut table, setting, faults);
    let failure =
        failure::read(&mut table, faults).unwrap_or_else(|| setting.defaults.failure.clone());
    let params = table.table("params", faults);
    let parameters = params
        .as_ref()
        .map(|table| parameters::read(table, &setting.defaults, faults))
        .unwrap_or_default();
    let examples = example::read(table.tables("example", faults), faults);
    let own = table.table(kind.name(), faults);
    if own.is_none() {
        faults.error_with(
            0..0,
            format!("the tool has no [{}]", kind.name()),
            "the effect's own keys stand in a table that is named like its kind",
        );
    }
    let place = table.place_of(kind.name());
    table.finish(faults);
    let at = At {
        value: name.to_owned(),
        span: place.clone(),
    };
    let effect = effect::read(at, kind, own?, setting, faults)?;
    check(&effect, &parameters, annotations.read_only, faults);
    let bytes = |era| {
        render::entry(&Entry {
            name,
            title: common.title.as_deref(),
            description: &common.description,
            schema: Schema::Made(schema::of(&parameters, era)),
            annotations,
        })
    };
    Some(Tool {
        name: name.to_owned(),
        legacy: bytes(Era::Legacy),
        modern: bytes(Era::Modern),
        title: common.title,
        description: common.description,
        annotations,
        database: None,
        timeout,
        order: common.order,
        client_capabilities: Vec::new(),
        parameters,
        examples,
        source: source.clone(),
        kind: Kind::Effect(Box::new(Acting {
            effect,
            failure,
            zone: setting.zone.clone(),
        })),
    })
}

fn check(
    effect: &Effect,
    parameters: &[super::parameter::Parameter],
    read_only: bool,
    faults: &mut Faults,
) {
    let names = effect.names();
    for name in &names {
        if parameters.iter().all(|p| p.name != *name) {
            faults.error_with(
                effect.span.clone(),
                format!("`:{name}` is no parameter"),
                format!("add [params.{name}], or write `::{name}` for the text `:{name}`"),
            );
        }
    }
    for parameter in parameters {
        if !names.contains(&parameter.name.as_str()) {
            faults.error_with(
                parameter.span.clone(),
                format!("the effect never uses the parameter `{}`", parameter.name),
                format!(
                    "write \":{0}\" where it belongs, or remove [params.{0}]",
                    parameter.name
                ),
            );
        }
        if parameter.is_list() {
            faults.error_with(
                parameter.span.clone(),
                "an effect takes no list",
                "use type = \"json\"",
            );
        }
    }
    if effect.changes() && read_only {
        faults.error_with(
            effect.span.clone(),
            "the tool is read-only, but its effect may change something",
            "write annotations = { read_only = false }; only an HTTP GET is read-only",
        );
    }
}
