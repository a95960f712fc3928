//! Runs a tool's examples as calls, undoes what they did, and compares the outcome with what the file expects.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tine_worker::catalog::{
    Call, Caller, Content, Example, Expect, Outcome, Shape, Sql, Step, Tool, Work,
};
use tine_worker::db::{Access, DbError, Rows};
use tine_worker::effects::{self, Act};

use super::report::ExampleReport;
use super::session::{Limits, Session};
use super::{Options, place};
use crate::fault::Fault;

pub fn run(
    tool: &Tool,
    sql: &Sql,
    session: &mut Session<'_>,
    options: &Options,
    faults: &mut Vec<Fault>,
) -> Vec<ExampleReport> {
    each(tool, sql.shape, faults, |example| {
        let outcome = call(tool, example, options, |call| answer(sql, call, session));
        let complaint = "leaves an advisory lock behind; take it with pg_advisory_xact_lock";
        let left = session.forget_locks().unwrap_or(false);
        (outcome, left.then(|| complaint.to_owned()))
    })
}

/// The same for a tool that needs no database. Builtin tools have no examples.
pub fn run_without_statement(
    tool: &Tool,
    options: &Options,
    faults: &mut Vec<Fault>,
) -> Vec<ExampleReport> {
    each(tool, Shape::Document, faults, |example| {
        let none = |_: &Call| Err(DbError::Unavailable(String::new()));
        (call(tool, example, options, none), None)
    })
}

fn each(
    tool: &Tool,
    shape: Shape,
    faults: &mut Vec<Fault>,
    mut run: impl FnMut(&Example) -> (Outcome, Option<String>),
) -> Vec<ExampleReport> {
    let mut reports = Vec::new();
    for example in &tool.examples {
        let started = Instant::now();
        let (outcome, complaint) = run(example);
        let mut complaints = judge(&outcome, &example.expect, shape);
        complaints.extend(complaint);
        if let Some(key) = tool.note_lacks(&outcome) {
            complaints.push(format!("yields no `{key}`, which `log` names"));
        }
        let arguments = example.arguments.to_string();
        for complaint in &complaints {
            let message = format!("the example {arguments} {complaint}");
            faults.push(Fault::error(place(tool, example.span.clone()), message));
        }
        reports.push(ExampleReport {
            arguments,
            passed: complaints.is_empty(),
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
    reports
}

fn call(
    tool: &Tool,
    example: &Example,
    options: &Options,
    mut answer: impl FnMut(&Call) -> Result<Rows, DbError>,
) -> Outcome {
    let caller = Caller {
        user: example.user.as_deref(),
        token: example.user.as_deref(),
        now: options.now,
        host: &options.host,
    };
    let arguments = RawValue::from_string(example.arguments.to_string()).ok();
    match tool.bind(arguments.as_deref(), &caller) {
        Ok(Work::Sql(mut call)) => loop {
            let answer = answer(&call);
            match tool.answered(&mut call, answer) {
                Step::Done(outcome) => return outcome,
                // A check does nothing to the world: the example says what came of it, or all went well.
                Step::Act(acts) => tool.acted(&mut call, &pretended(&acts, &example.outcome)),
            }
        },
        Ok(Work::Effect(acts)) => tool.told(pretended(&acts, &example.outcome)),
        Ok(Work::Builtin(_)) => Outcome::error("a builtin tool has no statement to run"),
        Err(refusal) => refusal.outcome,
    }
}

/// What came of the effects as the example has it.
fn pretended(acts: &[Act], outcomes: &[Map<String, Value>]) -> Vec<effects::Outcome> {
    let one = |(index, act): (usize, &Act)| {
        let mut fields = outcomes.get(index).cloned().unwrap_or_default();
        let error = fields
            .remove("error")
            .and_then(|error| Some(error.as_str()?.to_owned()));
        fields.remove("ok");
        effects::Outcome {
            name: act.name.clone(),
            ok: error.is_none(),
            begun: true,
            error,
            took: Duration::ZERO,
            fields,
        }
    };
    acts.iter().enumerate().map(one).collect()
}

fn answer(sql: &Sql, call: &Call, session: &mut Session<'_>) -> Result<Rows, DbError> {
    let limits = Limits {
        access: call.access,
        plan: call.custom_plan.then_some("force_custom_plan"),
    };
    let most = (
        usize::try_from(call.max_rows).unwrap_or(usize::MAX),
        call.max_bytes,
    );
    let rows = session.run(
        &call.statement,
        &call.parameters,
        limits,
        sql.yields_rows() || call.plans(),
        most,
    )?;
    match call.expect_rows {
        Some(expected) if expected != rows.affected && sql.access == Access::ReadWrite => {
            Err(DbError::ExpectRows {
                expected,
                affected: rows.affected,
            })
        }
        _ => Ok(rows),
    }
}

/// What is not as expected, to follow the example's arguments in a sentence.
fn judge(outcome: &Outcome, expect: &Expect, shape: Shape) -> Vec<String> {
    let text = text(outcome);
    let mut complaints = Vec::new();
    match (&expect.error, outcome.is_error) {
        (Some(error), true) if !text.contains(error) => {
            complaints.push(format!("fails with another error than expected: {text}"));
        }
        (Some(_), false) => complaints.push("should fail, and does not".to_owned()),
        (None, true) => complaints.push(format!("fails: {text}")),
        _ => {}
    }
    for part in &expect.contains {
        if !text.contains(part) {
            complaints.push(format!("yields nothing that contains `{part}`"));
        }
    }
    if outcome.is_error {
        return complaints;
    }
    let value = match &outcome.content {
        Content::Json { bytes, .. } | Content::Blocks(bytes) => {
            serde_json::from_slice(bytes).unwrap_or(Value::Null)
        }
        Content::Text(_) => Value::Null,
    };
    // A list's rows are its items; a document may be an array or hold one as `items`.
    let rows = value
        .as_array()
        .or_else(|| value.get("items").and_then(Value::as_array));
    let count = rows.map_or(0, Vec::len) as u64;
    if expect.min_rows.is_some_and(|least| count < least)
        || expect.max_rows.is_some_and(|most| count > most)
    {
        complaints.push(format!("yields {count} rows"));
    }
    if let Some(expected) = &expect.columns {
        let one = if shape == Shape::Rows {
            rows.and_then(|rows| rows.first())
        } else {
            Some(&value)
        };
        let found: Option<Vec<&str>> = one
            .and_then(Value::as_object)
            .map(|object| object.keys().map(String::as_str).collect());
        match found {
            Some(found) if found.iter().eq(expected.iter()) => {}
            Some(found) => complaints.push(format!("yields the columns {}", found.join(", "))),
            // An empty list has no row to show its columns.
            None if shape == Shape::Rows => {}
            None => complaints.push("yields no object with columns".to_owned()),
        }
    }
    complaints
}

/// Everything that a caller sees.
fn text(outcome: &Outcome) -> String {
    match &outcome.content {
        Content::Json { bytes, notes, .. } => {
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            for note in notes {
                text.push('\n');
                text.push_str(note);
            }
            text
        }
        Content::Text(text) => text.clone(),
        Content::Blocks(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
