//! A database connection as a check uses it: every step in a transaction of its own that is rolled back, read only
//! unless a writing tool's example needs otherwise. Knows statements, not tools.

use std::error::Error;
use std::time::Duration;

use postgres::types::private::BytesMut;
use postgres::types::{Format, IsNull, Kind, ToSql, Type};
use postgres::{Client, Statement, Transaction};
use tine_worker::db::{Access, DbError, Rows, ServerError};

/// What a step may do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub access: Access,
    /// `plan_cache_mode` of the step; `None`: the server's.
    pub plan: Option<&'static str>,
}

impl Limits {
    pub const READ: Limits = Limits {
        access: Access::ReadOnly,
        plan: None,
    };
}

pub struct Session<'c> {
    client: &'c mut Client,
    timeout: Duration,
}

impl<'c> Session<'c> {
    pub fn new(client: &'c mut Client, timeout: Duration) -> Session<'c> {
        Session { client, timeout }
    }

    /// Runs a step and undoes it.
    pub fn step<T>(
        &mut self,
        limits: Limits,
        step: impl FnOnce(&mut Transaction<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T, DbError> {
        let begin = self
            .client
            .build_transaction()
            .read_only(limits.access == Access::ReadOnly);
        let mut transaction = begin.start().map_err(error)?;
        let timeout = self.timeout.as_millis();
        let mut settings =
            format!("SET LOCAL statement_timeout = {timeout}; SET LOCAL lock_timeout = {timeout}");
        if let Some(plan) = limits.plan {
            settings.push_str(&format!("; SET LOCAL plan_cache_mode = {plan}"));
        }
        transaction.batch_execute(&settings).map_err(error)?;
        let outcome = step(&mut transaction).map_err(error);
        transaction.rollback().map_err(error)?;
        outcome
    }

    /// Gives back the advisory locks that outlived their transaction, and tells whether there were any.
    pub fn forget_locks(&mut self) -> Result<bool, DbError> {
        const HELD: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
        self.step(Limits::READ, |transaction| {
            let held = transaction.query_one(HELD, &[])?.try_get(0)?;
            if held {
                transaction.execute("SELECT pg_advisory_unlock_all()", &[])?;
            }
            Ok(held)
        })
    }

    /// Prepares a statement as a worker would.
    pub fn prepare(
        &mut self,
        statement: &tine_worker::db::Statement,
    ) -> Result<Statement, DbError> {
        let types: Vec<Type> = statement.types.iter().map(|oid| type_of(*oid)).collect();
        self.step(Limits::READ, |transaction| {
            transaction.prepare_typed(&statement.sql, &types)
        })
    }

    /// Runs a statement as a worker would, keeps no more than `max_rows` and `max_bytes`, and undoes it. What comes of a
    /// statement that `yields_rows` not is its count alone.
    pub fn run(
        &mut self,
        statement: &tine_worker::db::Statement,
        values: &[Option<String>],
        limits: Limits,
        yields_rows: bool,
        (max_rows, max_bytes): (usize, usize),
    ) -> Result<Rows, DbError> {
        let types: Vec<Type> = statement.types.iter().map(|oid| type_of(*oid)).collect();
        self.step(limits, |transaction| {
            let prepared = transaction.prepare_typed(&statement.sql, &types)?;
            let values: Vec<Option<Text<'_>>> = values
                .iter()
                .map(|value| value.as_deref().map(Text))
                .collect();
            let values: Vec<&(dyn ToSql + Sync)> = values
                .iter()
                .map(|value| value as &(dyn ToSql + Sync))
                .collect();
            if !yields_rows {
                let affected = transaction.execute(&prepared, &values)?;
                return Ok(Rows {
                    affected,
                    ..Rows::default()
                });
            }
            // As a worker does: a reading statement goes no further than the row that shows that there are more.
            let found = match i32::try_from(max_rows.saturating_add(1)) {
                Ok(most) if limits.access == Access::ReadOnly => {
                    let portal = transaction.bind(&prepared, &values)?;
                    transaction.query_portal(&portal, most)?
                }
                _ => transaction.query(&prepared, &values)?,
            };
            let mut rows = Rows {
                affected: found.len() as u64,
                more: found.len() > max_rows,
                ..Rows::default()
            };
            for row in found.iter().take(max_rows) {
                let json = row
                    .try_get::<_, Option<String>>(0)?
                    .unwrap_or_else(|| "null".to_owned());
                if rows.json.len() + json.len() > max_bytes {
                    rows.truncated = true;
                    break;
                }
                if rows.count > 0 {
                    rows.json.push(b',');
                }
                rows.json.extend_from_slice(json.as_bytes());
                rows.count += 1;
                rows.keys = (1..row.len())
                    .map(|column| row.try_get(column))
                    .collect::<Result<_, _>>()?;
            }
            Ok(rows)
        })
    }
}

fn type_of(oid: u32) -> Type {
    // 0 is for the server to infer, which the client's list of types doesn't know.
    let unspecified = || Type::new("unspecified".to_owned(), oid, Kind::Simple, String::new());
    Type::from_oid(oid).unwrap_or_else(unspecified)
}

/// A value in PostgreSQL's text format, of whatever type.
#[derive(Debug)]
struct Text<'a>(&'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(kind, out)
    }
}

/// The client's error as the worker knows errors.
fn error(error: postgres::Error) -> DbError {
    let Some(server) = error.as_db_error() else {
        return DbError::Lost(error.to_string());
    };
    let text = |value: Option<&str>| value.map(str::to_owned);
    let position = match server.position() {
        Some(postgres::error::ErrorPosition::Original(position)) => usize::try_from(*position).ok(),
        _ => None,
    };
    DbError::Server(Box::new(ServerError {
        sqlstate: server.code().code().to_owned(),
        message: server.message().to_owned(),
        detail: text(server.detail()),
        hint: text(server.hint()),
        position,
        schema: text(server.schema()),
        table: text(server.table()),
        column: text(server.column()),
        constraint: text(server.constraint()),
    }))
}
