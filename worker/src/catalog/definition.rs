//! Makes a tool of a tool file: reads the front matter's keys, and checks them against each other and against the
//! SQL. Every fault is collected; a file with an error makes no tool.

use std::ops::Range;
use std::sync::OnceLock;

use super::common::Setting;
use super::fault::{Faults, Source};
use super::front_matter::{self, SplitError};
use super::note::Note;
use super::outcome::Shape;
use super::page::{self, Page};
use super::parameter::Parameter;
use super::parameters;
use super::render::{Entry, Schema};
use super::table::{self, Table};
use super::tool::{Kind, Sql, Tool};
use super::toolset::Era;
use super::{
    common, crosscheck, effect, example, failure, fragments, planning, render, result_keys, schema,
    statement,
};
use crate::db::Access;

const SKELETON: &str = "begin the file with /*+++, then TOML such as description = \"...\", then +++*/, then one SQL statement";

/// A `.sql` file.
pub(crate) fn sql_file(name: &str, source: &Source, setting: &Setting) -> (Option<Tool>, Faults) {
    let mut faults = Faults::new(source.clone());
    let tool = match front_matter::split(&source.text) {
        Ok(parts) => read_sql(name, source, &parts.toml, parts.sql, setting, &mut faults),
        Err(SplitError::Missing) => {
            faults.error_with(0..0, "the file has no front matter", SKELETON);
            None
        }
        Err(SplitError::Unclosed(at)) => {
            faults.error_with(
                at..at + 5,
                "the front matter never ends",
                "close it with +++*/",
            );
            None
        }
    };
    (tool.filter(|_| !faults.any_error()), faults)
}

fn read_sql(
    name: &str,
    source: &Source,
    toml: &Range<usize>,
    sql: Range<usize>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Tool> {
    let parsed = table::parse(&source.text, toml, faults);
    let acts = parsed
        .as_ref()
        .is_some_and(|parsed| parsed.get_ref().contains_key("effects"));
    let (first, sql) = match fragments::halves(&source.text, &sql) {
        Some([plan, finish]) if acts => (Some(plan), finish),
        _ => (None, sql),
    };
    let plan = first.and_then(|range| fragments::parse(&source.text, range, faults));
    let statement = fragments::parse(&source.text, sql, faults);
    let parsed = parsed?;
    let mut table = Table::new(parsed.get_ref(), "", toml.clone(), toml.start);
    let common = common::keys(&mut table, name, faults);
    table.word("kind", &[("sql", ())], faults);
    let annotations = common::annotations(&mut table, faults);
    let database = common::database(&mut table, setting, faults);
    let timeout = common::timeout(&mut table, setting, faults);
    let client_capabilities = names(&mut table, "client_capabilities", faults);
    let progress = table.boolean("progress", faults).is_some_and(|at| at.value);
    let shape = table
        .word(
            "shape",
            &[
                ("rows", Shape::Rows),
                ("row", Shape::Row),
                ("document", Shape::Document),
                ("content", Shape::Content),
            ],
            faults,
        )
        .map_or(Shape::Rows, |at| at.value);
    let expect_rows = table.count("expect_rows", 0, faults);
    if let Some(expect) = &expect_rows
        && annotations.read_only
    {
        faults.error_with(
            expect.span.clone(),
            "`expect_rows` is for tools that write",
            "set annotations.read_only = false",
        );
    }
    let page = page_of(&mut table, shape, faults);
    let effects = effect::read_all(&mut table, setting, faults);
    if acts && shape != Shape::Document {
        faults.error_with(
            table.place_of("shape"),
            "a tool with effects yields one document",
            "write shape = \"document\"",
        );
    }
    let error_key = table.string("error_key", faults).map(|at| {
        if matches!(shape, Shape::Rows | Shape::Content) {
            faults.error(at.span, "`error_key` is for one row or document");
        }
        at.value
    });
    let note = table.string("log", faults).and_then(|text| {
        if matches!(shape, Shape::Rows | Shape::Content) {
            faults.error(text.span.clone(), "`log` is for one row or document");
        }
        Note::read(&text, faults)
    });
    let (mut parameters, raw_schema) = inputs(&mut table, setting, faults);
    let parameters_end = parameters.len();
    if let Some(page) = &page {
        for own in [
            Parameter::limit(page.size, page.max, page.span.clone()),
            Parameter::cursor(page.span.clone()),
        ] {
            if let Some(taken) = parameters.iter().find(|p| p.name == own.name) {
                faults.error(
                    taken.span.clone(),
                    format!("`{}` is the page's own argument", own.name),
                );
            }
            parameters.push(own);
        }
    }
    let result = result_keys::read(&mut table, shape, setting, &parameters, faults);
    let not_found = table.string("not_found", faults).and_then(|text| {
        if shape == Shape::Rows {
            faults.error_with(
                text.span.clone(),
                "`not_found` is for one row or document",
                "for a list write result.empty",
            );
        }
        result_keys::words(&text, &parameters, faults)
    });
    let failure =
        failure::read(&mut table, faults).unwrap_or_else(|| setting.defaults.failure.clone());
    let custom_plan = table
        .boolean("custom_plan", faults)
        .is_some_and(|at| at.value);
    let examples = example::read(table.tables("example", faults), faults);
    table.finish(faults);

    let (template, tokens) = statement?;
    let Some(form) = statement::shape(&source.text, &tokens) else {
        faults.error_with(
            template.span.start..template.span.start,
            "a tool can't run such a statement",
            "it must begin with SELECT, WITH, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE, CALL, TRUNCATE, REFRESH or NOTIFY",
        );
        return None;
    };
    crosscheck::form(&form, annotations, shape, page.as_ref(), &template, faults);
    if let Some(expect) = &expect_rows
        && !form.counts_changes
    {
        faults.error_with(
            expect.span.clone(),
            "`expect_rows` counts the rows that the main statement changes, and this one changes none",
            "make the INSERT, UPDATE, DELETE or MERGE the main statement, with RETURNING for what to show",
        );
    }
    crosscheck::placeholders(
        &template,
        &parameters,
        page.as_ref(),
        raw_schema.is_some(),
        acts,
        faults,
    );
    let guards = crosscheck::guards(&template, &parameters, faults);
    let planning = if acts {
        planning::make(
            plan,
            effects,
            &source.text,
            &planning::Around {
                page: page.as_ref(),
                parameters: &parameters,
                raw_schema: raw_schema.is_some(),
                annotations,
                finish: template.span.start,
            },
            faults,
        )
    } else {
        None
    };
    let templates: Vec<_> = std::iter::once(&template)
        .chain(planning.as_ref().map(|planning| &planning.template))
        .collect();
    crosscheck::unused(
        &templates,
        parameters.get(..parameters_end).unwrap_or_default(),
        faults,
    );
    if faults.any_error() {
        return None;
    }
    let bytes = |era| {
        render::entry(&Entry {
            name,
            title: common.title.as_deref(),
            description: &common.description,
            schema: match &raw_schema {
                Some(text) => Schema::Raw(text),
                None => Schema::Made(schema::of(&parameters, era)),
            },
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
        database: database.map(Into::into),
        timeout,
        order: common.order,
        client_capabilities,
        examples,
        source: source.clone(),
        kind: Kind::Sql(Box::new(Sql {
            shape,
            access: if annotations.read_only {
                Access::ReadOnly
            } else {
                Access::ReadWrite
            },
            expect_rows: expect_rows.map(|at| at.value),
            custom_plan: custom_plan || !form.null_guards.is_empty(),
            null_guards: planning
                .iter()
                .flat_map(|planning| planning.null_guards.iter().cloned())
                .chain(form.null_guards.iter().cloned())
                .collect(),
            progress,
            max_rows: if shape == Shape::Rows {
                result.max_rows
            } else {
                1
            },
            max_bytes: result.max_bytes,
            form: form.form,
            is_command: form.is_command,
            variants: (0..1usize << guards.len())
                .map(|_| OnceLock::new())
                .collect(),
            guards,
            not_found,
            empty: result.empty,
            failure,
            raw_schema: raw_schema.is_some(),
            error_key,
            note,
            plan: planning.map(Box::new),
            zone: setting.zone.clone(),
            template,
            page,
        })),
        parameters,
    })
}

fn names(table: &mut Table<'_, '_>, key: &'static str, faults: &mut Faults) -> Vec<String> {
    table
        .strings(key, faults)
        .map(|list| list.value.into_iter().map(|at| at.value).collect())
        .unwrap_or_default()
}

fn page_of(table: &mut Table<'_, '_>, shape: Shape, faults: &mut Faults) -> Option<Page> {
    let page = table.table("page", faults)?;
    if shape != Shape::Rows {
        faults.error(page.span.clone(), "only shape = \"rows\" can have pages");
    }
    page::read(page, faults)
}

/// The declared parameters, or the author's own schema.
fn inputs(
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> (Vec<Parameter>, Option<String>) {
    let schema = table.string("input_schema", faults);
    let params = table.table("params", faults);
    let parameters = params
        .as_ref()
        .map(|table| parameters::read(table, &setting.defaults, faults))
        .unwrap_or_default();
    let Some(schema) = schema else {
        return (parameters, None);
    };
    if parameters.iter().any(|p| p.origin.is_caller()) {
        faults.error_with(
            schema.span.clone(),
            "`input_schema` stands in place of [params]",
            "declare parameters, or publish a schema and read :arguments; only parameters with `from` go with both",
        );
    }
    match serde_json::from_str::<serde_json::Value>(&schema.value) {
        Ok(value) if value.get("type").and_then(|t| t.as_str()) == Some("object") => {}
        Ok(_) => faults.error(
            schema.span,
            "`input_schema` must have \"type\": \"object\" at its root",
        ),
        Err(error) => faults.error(schema.span, format!("`input_schema` is not JSON: {error}")),
    }
    (parameters, Some(schema.value))
}
