//! One tool, checked and immutable, and the first step of a call: `bind` makes a database job of the arguments. What
//! follows is in `steps`. Runs nothing itself.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::arguments::{self, Caller, Complaints, Given, Malformed};
use super::builtin::Builtin;
use super::call::{Call, Refusal, Work};
use super::cursor::{self, Owner, Ownership, Rejected};
use super::effect::Effect;
use super::example::Example;
use super::failure::Failure;
use super::fault::Source;
use super::fragments::Template as SqlTemplate;
use super::kind::{JSONB, UNSPECIFIED};
use super::masks;
use super::note::Note;
use super::outcome::{self, Outcome, Shape};
use super::page::Page;
use super::parameter::{Origin, Parameter};
use super::plan::{self, Planning, Progress, Stage};
use super::statement::Form;
use super::template::Template;
use super::toolset::Era;
use super::values;
use super::wrap::{self, Plan, Render, Slot, Variant};
use crate::db::Access;

/// The hints of MCP's tool annotations. All four are always published: a client's default for a missing one differs
/// from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

/// A declared operation that a client can call.
pub struct Tool {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub annotations: Annotations,
    /// Which database runs it; `None`: the configuration's default.
    pub database: Option<Arc<str>>,
    /// The longest that its statement may run.
    pub timeout: Duration,
    /// Its place in `tools/list`; those without one follow by name.
    pub order: Option<i64>,
    /// What a client must be able to do for the tool to work (MCP 2026-07-28: -32021 otherwise).
    pub client_capabilities: Vec<String>,
    /// In the order of the file; those that a page adds come last.
    pub parameters: Vec<Parameter>,
    pub examples: Vec<Example>,
    pub source: Source,
    pub kind: Kind,
    pub(crate) legacy: Box<[u8]>,
    pub(crate) modern: Box<[u8]>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.name)
            .field("source", &self.source.file)
            .finish_non_exhaustive()
    }
}

pub enum Kind {
    Sql(Box<Sql>),
    Builtin(Builtin),
    /// One effect.
    Effect(Box<Acting>),
}

/// What makes a tool one that is an effect and nothing else.
pub struct Acting {
    pub(crate) effect: Effect,
    pub(crate) failure: Failure,
    pub(crate) zone: TimeZone,
}

/// What makes a tool a SQL tool.
pub struct Sql {
    pub shape: Shape,
    pub access: Access,
    pub page: Option<Page>,
    pub expect_rows: Option<u64>,
    /// Holds a filter that only a custom plan can run with an index.
    pub custom_plan: bool,
    /// Notices of the statement are progress for the caller.
    pub progress: bool,
    pub max_rows: u32,
    pub max_bytes: usize,
    /// A command such as CALL, which PostgreSQL can't explain.
    pub is_command: bool,
    pub(crate) form: Form,
    pub(crate) template: SqlTemplate,
    /// Which parameters each guard needs, as bits.
    pub(crate) guards: Vec<u64>,
    pub(crate) not_found: Option<Template>,
    pub(crate) empty: Option<Template>,
    pub(crate) failure: Failure,
    /// Where `:p IS NULL OR` stands: bytes of the file.
    pub null_guards: Vec<Range<usize>>,
    /// The author's own input schema; then all arguments are bound as one.
    pub(crate) raw_schema: bool,
    pub(crate) zone: TimeZone,
    /// A result with a value under this key is an error.
    pub(crate) error_key: Option<String>,
    /// What a call that went well leaves in the log.
    pub(crate) note: Option<Note>,
    /// What goes before, in a tool with effects: then the rest here is about `finish`.
    pub(crate) plan: Option<Box<Planning>>,
    /// By the mask of guards that hold; made on first use.
    pub(crate) variants: Box<[OnceLock<Variant>]>,
}

impl Tool {
    /// The tool's entry in `tools/list`.
    pub fn definition(&self, era: Era) -> &[u8] {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }

    pub fn sql(&self) -> Option<&Sql> {
        match &self.kind {
            Kind::Sql(sql) => Some(sql),
            Kind::Builtin(_) | Kind::Effect(_) => None,
        }
    }

    /// Makes a job of a call's arguments, or says everything that is wrong with them.
    pub fn bind(&self, arguments: Option<&RawValue>, caller: &Caller<'_>) -> Result<Work, Refusal> {
        let given = Given::parse(arguments).map_err(|Malformed(text)| Refusal {
            malformed: true,
            outcome: self.failure(&text),
        })?;
        match &self.kind {
            Kind::Builtin(builtin) => Ok(Work::Builtin(*builtin)),
            Kind::Sql(sql) => {
                let call = self.bind_sql(sql, arguments, &given, caller);
                call.map(Work::Sql).map_err(|text| self.refuse(&text))
            }
            Kind::Effect(acting) => {
                let mut complaints = Complaints::default();
                let texts = arguments::values(
                    &self.parameters,
                    &given,
                    caller,
                    &acting.zone,
                    &mut complaints,
                );
                let act = match complaints.text() {
                    Some(text) => Err(text),
                    None => acting.effect.act(&plan::values(&self.parameters, texts)),
                };
                act.map(|act| Work::Effect(vec![act]))
                    .map_err(|text| self.refuse(&text))
            }
        }
    }

    fn refuse(&self, text: &str) -> Refusal {
        Refusal {
            malformed: false,
            outcome: self.failure(text),
        }
    }

    pub(super) fn failure(&self, text: &str) -> Outcome {
        match &self.kind {
            Kind::Sql(sql) => sql.failure.tell(text),
            Kind::Effect(acting) => acting.failure.tell(text),
            Kind::Builtin(_) => Outcome::error(text),
        }
    }

    fn bind_sql(
        &self,
        sql: &Sql,
        arguments: Option<&RawValue>,
        given: &Given<'_>,
        caller: &Caller<'_>,
    ) -> Result<Call, String> {
        let mut complaints = Complaints::default();
        let mut values =
            arguments::values(&self.parameters, given, caller, &sql.zone, &mut complaints);
        let all = if sql.raw_schema {
            Some(all_arguments(arguments, &mut complaints))
        } else {
            None
        };
        let ownership = sql.page.as_ref().map(|_| self.ownership(given));
        let mut keys = self.cursor_keys(sql, &values, ownership, &mut complaints);
        if let Some(text) = complaints.text() {
            return Err(text);
        }

        let progress = sql.plan.as_ref().map(|_| {
            Box::new(Progress {
                values: values.clone(),
                arguments: all.clone(),
                plan: String::new(),
                stage: Stage::Plan,
            })
        });
        let variant = match &sql.plan {
            Some(planning) => self.plan_variant(sql, planning, mask(&planning.guards, &values)),
            None => self.variant_of(sql, mask(&sql.guards, &values)),
        };
        let mut max_rows = if progress.is_some() { 1 } else { sql.max_rows };
        let mut parameters = Vec::with_capacity(variant.slots.len());
        for slot in &variant.slots {
            parameters.push(match slot {
                Slot::Parameter(index) => values.get_mut(*index).and_then(Option::take),
                Slot::OneMore(index) => {
                    let limit = values
                        .get(*index)
                        .cloned()
                        .flatten()
                        .and_then(|text| text.parse::<u32>().ok());
                    max_rows = limit.unwrap_or(max_rows);
                    limit.map(|limit| (u64::from(limit) + 1).to_string())
                }
                Slot::Key(index) => keys.get_mut(*index).map(std::mem::take),
                Slot::Arguments => all.clone(),
                Slot::Plan | Slot::Outcome => None,
            });
        }
        let keep = outcome::needs_arguments(sql.shape, sql.page.as_ref(), sql.not_found.as_ref());
        Ok(Call {
            statement: Arc::clone(&variant.statement),
            parameters,
            // A plan looks; what is to be written is written by `finish`.
            access: match &progress {
                Some(_) => Access::ReadOnly,
                None => sql.access,
            },
            timeout: self.timeout,
            custom_plan: sql.custom_plan,
            max_rows,
            max_bytes: sql.max_bytes,
            expect_rows: sql.expect_rows.filter(|_| progress.is_none()),
            notices: sql.progress,
            ignored: if sql.raw_schema {
                Vec::new()
            } else {
                given.unknown(&self.parameters)
            },
            database: self.database.clone(),
            cursor_given: !keys.is_empty(),
            ownership,
            progress,
            arguments: if keep {
                arguments.map(ToOwned::to_owned)
            } else {
                None
            },
        })
    }

    /// All arguments but the page's own, in the form in which they were given: a relative time stays the same from
    /// page to page, although it means another moment.
    fn ownership(&self, given: &Given<'_>) -> Ownership {
        let mut owner = Owner::new(&self.name);
        for parameter in self
            .parameters
            .iter()
            .filter(|p| p.origin == Origin::Argument)
        {
            if let Some(raw) = arguments::present(parameter, given) {
                owner.add(&parameter.name);
                owner.add(raw);
            }
        }
        owner.finish()
    }

    fn cursor_keys(
        &self,
        sql: &Sql,
        values: &[Option<String>],
        ownership: Option<Ownership>,
        complaints: &mut Complaints,
    ) -> Vec<String> {
        let (Some(page), Some(ownership)) = (&sql.page, ownership) else {
            return Vec::new();
        };
        let index = self
            .parameters
            .iter()
            .position(|p| p.origin == Origin::Cursor);
        let Some(text) = index
            .and_then(|index| values.get(index))
            .and_then(Option::as_deref)
        else {
            return Vec::new();
        };
        cursor::decode(text, page.keys.len(), ownership).unwrap_or_else(|rejected| {
            complaints.add(
                "cursor",
                match rejected {
                    Rejected::Unreadable => "is not one that this tool gave out; leave it out to start again",
                    Rejected::Foreign => {
                        "belongs to other arguments; repeat those of the first page, or leave cursor out to start again"
                    }
                },
            );
            Vec::new()
        })
    }

    pub(crate) fn variant_of<'t>(&'t self, sql: &'t Sql, mask: usize) -> &'t Variant {
        masks::slot(&sql.variants, mask).get_or_init(|| self.build(sql, sql.form, mask))
    }

    pub(crate) fn build(&self, sql: &Sql, form: Form, mask: usize) -> Variant {
        let keys = sql.page.iter().flat_map(|page| &page.keys);
        let keys: Vec<&str> = keys.map(|key| key.column.as_str()).collect();
        let plan = Plan {
            text: &self.source.text,
            template: &sql.template,
            form,
            render: match sql.shape {
                Shape::Rows | Shape::Row => Render::Row,
                Shape::Document | Shape::Content => Render::Value,
            },
            keys: &keys,
            resolve: &|name| {
                resolve(
                    name,
                    &self.parameters,
                    sql.page.as_ref(),
                    sql.raw_schema,
                    sql.plan.is_some(),
                )
            },
        };
        wrap::build(&plan, mask)
    }
}

/// Which guards hold, as bits.
pub(super) fn mask(guards: &[u64], values: &[Option<String>]) -> usize {
    let mut present = 0u64;
    for (index, value) in values.iter().enumerate() {
        present |= u64::from(value.is_some()) << index;
    }
    let mut mask = 0;
    for (index, needed) in guards.iter().enumerate() {
        mask |= usize::from(present & needed == *needed) << index;
    }
    mask
}

/// The text of `:arguments`.
fn all_arguments(arguments: Option<&RawValue>, complaints: &mut Complaints) -> String {
    let raw = arguments.map_or("{}", RawValue::get);
    let raw = if raw == "null" { "{}" } else { raw };
    if let Err(complaint) = values::check_escapes(raw) {
        let complaint: Cow<'static, str> = complaint;
        complaints.add("arguments", &complaint);
    }
    raw.to_owned()
}

/// What a placeholder is bound to, and as what type. `finishes`: it stands in a `finish`.
pub(crate) fn resolve(
    name: &str,
    parameters: &[Parameter],
    page: Option<&Page>,
    raw_schema: bool,
    finishes: bool,
) -> Option<(Slot, u32)> {
    const INT8: u32 = 20;
    const JSON: u32 = 114;
    match name {
        "plan" if finishes => return Some((Slot::Plan, JSON)),
        "outcome" if finishes => return Some((Slot::Outcome, JSON)),
        _ => {}
    }
    if raw_schema && name == "arguments" {
        return Some((Slot::Arguments, JSONB));
    }
    if let Some(column) = name.strip_prefix("cursor.") {
        let index = page?.keys.iter().position(|key| key.column == column)?;
        return Some((Slot::Key(index), UNSPECIFIED));
    }
    let index = parameters
        .iter()
        .position(|parameter| parameter.name == name)?;
    let parameter = parameters.get(index)?;
    match parameter.origin {
        Origin::Limit => Some((Slot::OneMore(index), INT8)),
        Origin::Cursor => None,
        _ => Some((Slot::Parameter(index), parameter.oid())),
    }
}
