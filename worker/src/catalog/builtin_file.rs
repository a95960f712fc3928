//! Makes a tool of its `.toml` file: a builtin one here, the others by `effect_file`.

use super::builtin::{self, Builtin};
use super::common::{self, Setting, annotations};
use super::effect::Kind;
use super::effect_file;
use super::fault::{Faults, Source};
use super::render::{self, Entry, Schema};
use super::schema;
use super::table::{self, Table};
use super::tool::{Kind as ToolKind, Tool};
use super::toolset::Era;

/// A `.toml` file.
pub(crate) fn toml_file(name: &str, source: &Source, setting: &Setting) -> (Option<Tool>, Faults) {
    let mut faults = Faults::new(source.clone());
    let tool = read(name, source, setting, &mut faults);
    (tool.filter(|_| !faults.any_error()), faults)
}

fn read(name: &str, source: &Source, setting: &Setting, faults: &mut Faults) -> Option<Tool> {
    let whole = 0..source.text.len();
    let parsed = table::parse(&source.text, &whole, faults)?;
    let mut table = Table::new(parsed.get_ref(), "", whole.clone(), 0);
    // A kind of another type is told where builtin tools read it.
    let kind = parsed.get_ref().get("kind").map(|value| value.get_ref());
    let effect = kind.and_then(|kind| Kind::of(kind.as_str()?));
    if let Some(kind) = effect {
        table.has("kind");
        return effect_file::read(name, source, kind, table, setting, faults);
    }
    read_builtin(name, source, table, setting, faults)
}

fn read_builtin(
    name: &str,
    source: &Source,
    mut table: Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Tool> {
    let common = common::keys(&mut table, name, faults);
    if !table.has("kind") {
        faults.error_with(
            0..0,
            "the file says no kind",
            "write kind = \"builtin\", \"http\", \"program\" or \"stomp\"; SQL tools are .sql files",
        );
    }
    const KINDS: [(&str, ()); 4] = [
        ("builtin", ()),
        ("http", ()),
        ("program", ()),
        ("stomp", ()),
    ];
    table.word("kind", &KINDS, faults);
    let builtin = table.word("builtin", &builtin::NAMES, faults);
    if !table.has("builtin") {
        let names: Vec<&str> = builtin::NAMES.iter().map(|(name, _)| *name).collect();
        faults.error(
            0..0,
            format!("`builtin` is missing: one of {}", names.join(", ")),
        );
    }
    let annotations = annotations(&mut table, faults);
    if !annotations.read_only {
        faults.error(table.place_of("annotations"), "a builtin tool only reads");
    }
    table.finish(faults);
    let builtin: Builtin = builtin?.value;
    let bytes = |era| {
        render::entry(&Entry {
            name,
            title: common.title.as_deref(),
            description: &common.description,
            schema: Schema::Made(schema::of(&[], era)),
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
        timeout: setting.timeout,
        order: common.order,
        client_capabilities: Vec::new(),
        parameters: Vec::new(),
        examples: Vec::new(),
        source: source.clone(),
        kind: ToolKind::Builtin(builtin),
    })
}
