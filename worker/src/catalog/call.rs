//! A call on its way: what is to run, what is needed to make a result of the answer, or why it can't be made. Plain
//! data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::arguments::Given;
use super::builtin::Builtin;
use super::cursor::Ownership;
use super::outcome::Outcome;
use super::plan::{Progress, Stage};
use crate::db::{Access, Job, Statement};
use crate::effects::Act;

/// Why a call can't be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The arguments are no JSON object, or name one thing twice: a JSON-RPC error (-32602) fits, too.
    pub malformed: bool,
    /// Everything that is wrong, for the model to act on.
    pub outcome: Outcome,
}

/// A call that is ready to run.
#[derive(Debug)]
pub enum Work {
    Sql(Call),
    Builtin(Builtin),
    /// Of a tool that is an effect and nothing else.
    Effect(Vec<Act>),
}

/// A SQL tool's call: the parts of a database job, and what is needed to make a result of its answer.
#[derive(Debug)]
pub struct Call {
    pub statement: Arc<Statement>,
    pub parameters: Vec<Option<String>>,
    pub access: Access,
    pub timeout: Duration,
    pub custom_plan: bool,
    pub max_rows: u32,
    pub max_bytes: usize,
    pub expect_rows: Option<u64>,
    pub notices: bool,
    /// Names that are no argument of the tool: ignored, as a server should; a person's typing error, perhaps.
    pub ignored: Vec<String>,
    pub(crate) database: Option<Arc<str>>,
    pub(crate) cursor_given: bool,
    pub(crate) ownership: Option<Ownership>,
    pub(crate) arguments: Option<Box<RawValue>>,
    /// Of a tool with effects.
    pub(crate) progress: Option<Box<Progress>>,
}

impl Call {
    /// The database that runs it; `None`: no database is configured.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The job to submit; the parameters move into it. `deadline`: when the caller stops waiting.
    pub fn job(&mut self, deadline: Instant) -> Job {
        Job {
            statement: Arc::clone(&self.statement),
            parameters: std::mem::take(&mut self.parameters),
            access: self.access,
            timeout: self.timeout,
            custom_plan: self.custom_plan,
            max_rows: self.max_rows,
            max_bytes: self.max_bytes,
            expect_rows: self.expect_rows,
            notices: self.notices,
            deadline,
        }
    }

    /// Whether its next statement is a plan.
    pub fn plans(&self) -> bool {
        self.progress
            .as_ref()
            .is_some_and(|progress| progress.stage == Stage::Plan)
    }

    pub(crate) fn given(&self) -> Given<'_> {
        Given::parse(self.arguments.as_deref()).unwrap_or_default()
    }
}
