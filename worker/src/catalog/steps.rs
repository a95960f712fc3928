//! A call behind its binding: what to do when the database has answered or effects were performed, and its result. Runs
//! nothing itself.

use std::sync::Arc;

use super::call::Call;
use super::masks;
use super::outcome::{self, Outcome};
use super::plan::{self, Planning, Stage, Step};
use super::statement::Form;
use super::tool::{Kind, Sql, Tool, mask, resolve};
use super::wrap::{self, Plan, Render, Slot, Variant};
use crate::db::{DbError, Rows};

impl Tool {
    /// What to do once the database has answered.
    pub fn answered(&self, call: &mut Call, answer: Result<Rows, DbError>) -> Step {
        let planning = self.sql().and_then(|sql| sql.plan.as_ref());
        let (Some(planning), Some(progress)) = (planning, &mut call.progress) else {
            return Step::Done(self.finish(call, answer));
        };
        if progress.stage != Stage::Plan {
            return Step::Done(self.finish(call, answer));
        }
        let rows = match answer {
            Ok(rows) if rows.count == 1 && !rows.more && !rows.truncated => rows,
            other => return Step::Done(self.finish(call, other)),
        };
        progress.plan = String::from_utf8(rows.json).unwrap_or_default();
        match plan::read(&progress.plan, &planning.effects) {
            Ok(plan::Plan::Act(acts)) => Step::Act(acts),
            Ok(plan::Plan::Result(result)) => {
                // It has the same shape as one that `finish` yields.
                let rows = Rows {
                    json: result.get().as_bytes().to_vec(),
                    count: 1,
                    ..Rows::default()
                };
                Step::Done(self.finish(call, Ok(rows)))
            }
            Err(text) => Step::Done(self.failure(&text)),
        }
    }

    /// Makes of the call the one that reports: [`Call::job`] gives its `finish`.
    pub fn acted(&self, call: &mut Call, outcomes: &[crate::effects::Outcome]) {
        let (Some(sql), Some(progress)) = (self.sql(), &mut call.progress) else {
            return;
        };
        let changes = |name: &str| {
            let effects = sql.plan.iter().flat_map(|planning| &planning.effects);
            effects.into_iter().any(|e| e.name == name && e.changes())
        };
        let done = outcomes
            .iter()
            .filter(|outcome| outcome.begun && changes(&outcome.name))
            .map(|outcome| outcome.name.clone());
        progress.stage = Stage::Finish(done.collect());
        let told: Vec<serde_json::Value> = outcomes.iter().map(|o| o.json()).collect();
        let outcome = serde_json::Value::Array(told).to_string();
        let variant = self.variant_of(sql, mask(&sql.guards, &progress.values));
        let value = |slot: &Slot| match slot {
            Slot::Parameter(index) => progress.values.get(*index).cloned().flatten(),
            Slot::Arguments => progress.arguments.clone(),
            Slot::Plan => Some(progress.plan.clone()),
            Slot::Outcome => Some(outcome.clone()),
            // A tool with effects has no pages.
            Slot::OneMore(_) | Slot::Key(_) => None,
        };
        call.parameters = variant.slots.iter().map(value).collect();
        call.statement = Arc::clone(&variant.statement);
        call.access = sql.access;
        call.expect_rows = sql.expect_rows;
        call.max_rows = sql.max_rows;
    }

    /// What the caller of a tool that is one effect is told.
    pub fn told(&self, outcomes: Vec<crate::effects::Outcome>) -> Outcome {
        let outcome = outcomes.into_iter().next();
        let told = outcome.map_or_else(|| Err("Nothing was done.".to_owned()), plan::told);
        told.unwrap_or_else(|text| self.failure(&text))
    }

    /// What the caller is told when effects could not even be tried.
    pub fn untried(&self, text: &str) -> Outcome {
        self.failure(text)
    }

    /// What the log is to say of a call that ended so.
    pub fn note(&self, outcome: &Outcome) -> Option<String> {
        self.sql()?.note.as_ref()?.fill(outcome)
    }

    /// A key that the tool's `log` names and this result lacks.
    pub fn note_lacks(&self, outcome: &Outcome) -> Option<&str> {
        self.sql()?.note.as_ref()?.missing(outcome)
    }

    /// The result of a call that [`Tool::bind`] made, from its last statement.
    pub fn finish(&self, call: &Call, answer: Result<Rows, DbError>) -> Outcome {
        let Kind::Sql(sql) = &self.kind else {
            return Outcome::error("This tool has no statement.");
        };
        outcome::finish(self, sql, call, answer).unwrap_or_else(|mut text| {
            if let Some(Stage::Finish(done)) = call.progress.as_ref().map(|p| &p.stage)
                && !done.is_empty()
            {
                text.push_str(&format!(
                    "\nThis was tried before the failure, and is not undone: {}.",
                    done.join(", ")
                ));
            }
            sql.failure.tell(&text)
        })
    }

    pub(crate) fn plan_variant<'t>(
        &'t self,
        sql: &Sql,
        planning: &'t Planning,
        mask: usize,
    ) -> &'t Variant {
        masks::slot(&planning.variants, mask)
            .get_or_init(|| self.build_plan(sql, planning, planning.form, mask))
    }

    pub(crate) fn build_plan(
        &self,
        sql: &Sql,
        planning: &Planning,
        form: Form,
        mask: usize,
    ) -> Variant {
        let plan = Plan {
            text: &self.source.text,
            template: &planning.template,
            form,
            render: Render::Value,
            keys: &[],
            resolve: &|name| resolve(name, &self.parameters, None, sql.raw_schema, false),
        };
        wrap::build(&plan, mask)
    }
}
