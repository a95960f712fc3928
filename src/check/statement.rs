//! Proves one tool's statements: each variant prepares, yields what the shape needs, pages by keys that can't be NULL,
//! and changes nothing if the tool says so.

use std::collections::BTreeSet;
use std::ops::Range;

use postgres::SimpleQueryMessage;
use postgres::types::Type;
use serde_json::Value;
use tine_worker::catalog::{Sql, Tool, Variant};
use tine_worker::db::{Access, DbError, ServerError};

use super::columns::{Column, key_faults, shape_faults};
use super::plan;
use super::report::ToolReport;
use super::session::{Limits, Session};
use super::{Options, place};
use crate::fault::Fault;

pub fn check(
    tool: &Tool,
    sql: &Sql,
    session: &mut Session<'_>,
    options: &Options,
    faults: &mut Vec<Fault>,
) -> ToolReport {
    let mut report = ToolReport::named(&tool.name);
    let mut scans: BTreeSet<(String, String)> = BTreeSet::new();
    let mut told = BTreeSet::new();
    report.proven = true;
    plan_statements(tool, sql, session, faults, &mut report);
    for mask in tool.masks() {
        let mut tell = |fault: Fault| {
            // Most faults show in every variant.
            if told.insert(fault.to_string()) {
                faults.push(fault);
            }
        };
        let (Some(variant), Some(bare)) = (tool.variant(mask), tool.bare_variant(mask)) else {
            continue;
        };
        let described = session.prepare(&bare.statement);
        let columns: Vec<Column> = match &described {
            Ok(prepared) => prepared.columns().iter().map(Column::of).collect(),
            Err(error) => {
                tell(statement_fault(tool, sql, &bare, mask, error));
                report.proven = false;
                continue;
            }
        };
        for fault in shape_faults(tool, sql, &columns) {
            tell(fault);
            report.proven = false;
        }
        let prepared = match session.prepare(&variant.statement) {
            Ok(prepared) => prepared,
            Err(error) => {
                if report.proven {
                    tell(statement_fault(tool, sql, variant, mask, &error));
                }
                report.proven = false;
                continue;
            }
        };
        for fault in key_faults(tool, sql, &columns, session) {
            tell(fault);
        }
        match explain(variant, sql, session, prepared.params()) {
            Ok(Some(plan)) => {
                if sql.access == Access::ReadOnly && !plan.changes.is_empty() {
                    let message = format!(
                        "the tool is read-only, but its statement does: {}",
                        plan.changes.join(", ")
                    );
                    tell(
                        Fault::error(place(tool, first_line(tool, &sql.span())), message).help(
                            "write annotations = { read_only = false }, or take the change out",
                        ),
                    );
                    report.proven = false;
                }
                scans.extend(plan.scans);
            }
            Ok(None) => {}
            Err(error) => {
                tell(statement_fault(tool, sql, variant, mask, &error));
                report.proven = false;
            }
        }
        report.statements += 1;
        report.parameters = parameters(tool, prepared.params(), variant);
        report.columns = columns
            .iter()
            .map(|column| (column.name.clone(), column.kind.name().to_owned()))
            .collect();
    }
    // A plan for each call knows the values; the one plan for all that was looked at here would tell little of it.
    if !sql.custom_plan {
        faults.extend(scan_faults(tool, sql, &scans, session, options));
    }
    report
}

/// The first statement of a tool with effects, in each variant: one json value, and no change.
fn plan_statements(
    tool: &Tool,
    sql: &Sql,
    session: &mut Session<'_>,
    faults: &mut Vec<Fault>,
    report: &mut ToolReport,
) {
    let Some(span) = tool.plan_span() else { return };
    for (variant, bare) in tool.plan_variants() {
        report.statements += 1;
        let described = session.prepare(&bare.statement);
        let fault = match &described {
            Err(error) => Some(statement_fault(tool, sql, &bare, 0, error)),
            Ok(prepared) => match prepared.columns() {
                [one] if matches!(*one.type_(), Type::JSON | Type::JSONB) => None,
                columns => {
                    let message = format!(
                        "a plan yields one column of type json or jsonb, and this yields {}",
                        columns.len()
                    );
                    let fault = Fault::error(place(tool, first_line(tool, &span)), message);
                    Some(fault.help("build one json_build_object with `result` or `effects`"))
                }
            },
        };
        let fault = fault.or_else(|| {
            let types = described.as_ref().map(|prepared| prepared.params());
            match explain(variant, sql, session, types.unwrap_or_default()) {
                Ok(Some(found)) if !found.changes.is_empty() => {
                    let message = format!(
                        "a plan only looks, but this does: {}",
                        found.changes.join(", ")
                    );
                    Some(Fault::error(place(tool, first_line(tool, &span)), message))
                }
                Ok(_) => None,
                Err(error) => Some(statement_fault(tool, sql, variant, 0, &error)),
            }
        });
        if let Some(fault) = fault {
            report.proven = false;
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
}

/// Name and type of each parameter that the variant binds.
fn parameters(tool: &Tool, types: &[Type], variant: &Variant) -> Vec<(String, String)> {
    let names = tool.placeholder_names(variant);
    names
        .into_iter()
        .zip(types)
        .map(|(name, kind)| (name, kind.name().to_owned()))
        .collect()
}

/// A database error, where it is in the file and under which conditions.
fn statement_fault(
    tool: &Tool,
    sql: &Sql,
    variant: &Variant,
    mask: usize,
    error: &DbError,
) -> Fault {
    let DbError::Server(server) = error else {
        return Fault::error(
            place(tool, first_line(tool, &sql.span())),
            tine_worker::catalog::detail(error),
        );
    };
    let span = server
        .position
        .and_then(|position| variant.file_offset(position))
        .map_or_else(
            || first_line(tool, &sql.span()),
            |offset| word_at(&tool.source.text, offset),
        );
    let mut message = format!("{} (SQLSTATE {})", server.message, server.sqlstate);
    let conditions = sql.conditions();
    if !conditions.is_empty() {
        let on: Vec<String> = conditions
            .iter()
            .enumerate()
            .filter(|(index, _)| mask & (1 << index) != 0)
            .map(|(_, names)| names.join(" "))
            .collect();
        message.push_str(&match on.len() {
            0 => ", without any of the marked lines".to_owned(),
            _ => format!(", with the lines marked --? {}", on.join(", --? ")),
        });
    }
    let fault = Fault::error(place(tool, span), message);
    match help(server) {
        Some(help) => fault.help(help),
        None => fault,
    }
}

fn help(error: &ServerError) -> Option<String> {
    if let Some(hint) = &error.hint {
        return Some(hint.clone());
    }
    match error.sqlstate.as_str() {
        "42P18" => Some(
            "PostgreSQL can't tell the placeholder's type here: write a cast, such as :p::text"
                .to_owned(),
        ),
        "42501" => Some("GRANT the database user what the tool needs".to_owned()),
        _ => error.detail.clone(),
    }
}

/// The word at a byte of the text, or the one character.
fn word_at(text: &str, offset: usize) -> Range<usize> {
    let rest = text.get(offset..).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let length = length.max(rest.chars().next().map_or(0, char::len_utf8));
    offset..offset + length
}

pub fn first_line(tool: &Tool, span: &Range<usize>) -> Range<usize> {
    let text = tool.source.text.get(span.clone()).unwrap_or_default();
    span.start..span.start + text.lines().next().map_or(0, str::len)
}

/// The plan for any values; `None` for a command, which has none.
fn explain(
    variant: &Variant,
    sql: &Sql,
    session: &mut Session<'_>,
    types: &[Type],
) -> Result<Option<plan::Plan>, DbError> {
    if sql.is_command {
        return Ok(None);
    }
    let types: Vec<String> = types.iter().map(|kind| kind.oid().to_string()).collect();
    let names = "SELECT coalesce(string_agg(format_type(t.oid::oid, NULL), ', ' ORDER BY n), '') \
                 FROM unnest($1::text[]) WITH ORDINALITY AS t(oid, n)";
    let limits = Limits {
        plan: Some("force_generic_plan"),
        ..Limits::READ
    };
    let document = session.step(limits, |transaction| {
        let list: String = transaction.query_one(names, &[&types])?.try_get(0)?;
        let (open, close) = if list.is_empty() {
            ("", "")
        } else {
            ("(", ")")
        };
        // The extended protocol has prepared the same text, so it is one statement and no more.
        let prepare = format!(
            "PREPARE tine_check {open}{list}{close} AS {}",
            variant.statement.sql
        );
        transaction.batch_execute(&prepare)?;
        let nulls = vec!["NULL"; types.len()].join(", ");
        let execute =
            format!("EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE tine_check {open}{nulls}{close}");
        // A prepared statement outlives its transaction, and behind a pooler its session is another's afterwards.
        let mut explaining = transaction.transaction()?;
        let plan = explaining.simple_query(&execute);
        explaining.rollback()?;
        transaction.batch_execute("DEALLOCATE tine_check")?;
        plan
    });
    let text = document?.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let document: Value = text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    Ok(Some(plan::read(&document)))
}

fn scan_faults(
    tool: &Tool,
    sql: &Sql,
    scans: &BTreeSet<(String, String)>,
    session: &mut Session<'_>,
    options: &Options,
) -> Vec<Fault> {
    const ROWS: &str = "SELECT c.reltuples::float8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                        WHERE n.nspname = $1 AND c.relname = $2";
    let mut faults = Vec::new();
    for (schema, table) in scans {
        let row = session.step(Limits::READ, |transaction| {
            transaction.query_opt(ROWS, &[schema, table])
        });
        let rows = match row {
            Ok(Some(row)) => row.try_get::<_, f64>(0).unwrap_or(0.0),
            _ => 0.0,
        };
        if rows > options.scan_rows {
            let message =
                format!("the statement reads all of {schema}.{table}, about {rows:.0} rows");
            let fault = Fault::warning(place(tool, first_line(tool, &sql.span())), message);
            faults.push(fault.help("an index on the filtered columns would spare that"));
        }
    }
    faults
}
