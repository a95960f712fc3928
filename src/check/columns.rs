//! Whether a statement's columns are what its shape and its pages need.

use std::collections::BTreeSet;

use postgres::types::Type;
use tine_worker::catalog::{Key, Shape, Sql, Tool};

use super::place;
use super::session::{Limits, Session};
use super::statement::first_line;
use crate::fault::Fault;

/// A column of the author's own select list.
pub struct Column {
    pub name: String,
    pub kind: Type,
    /// The table's column it comes from, as `pg_attribute` numbers them.
    from: Option<(u32, i16)>,
}

impl Column {
    pub fn of(column: &postgres::Column) -> Column {
        Column {
            name: column.name().to_owned(),
            kind: column.type_().clone(),
            from: column.table_oid().zip(column.column_id()),
        }
    }
}

/// Whether the statement's columns are what the shape needs.
pub fn shape_faults(tool: &Tool, sql: &Sql, columns: &[Column]) -> Vec<Fault> {
    let here = || place(tool, first_line(tool, &sql.span()));
    let mut faults = Vec::new();
    if !sql.yields_rows() {
        return faults;
    }
    match sql.shape {
        Shape::Document | Shape::Content => match columns {
            [one] if matches!(one.kind, Type::JSON | Type::JSONB) => {}
            [one] => {
                let message = format!(
                    "this shape needs one column of type json or jsonb, not {}",
                    one.kind.name()
                );
                faults.push(
                    Fault::error(here(), message)
                        .help("build it with json_build_object or to_json"),
                );
            }
            many => {
                let message = format!("this shape needs exactly one column, not {}", many.len());
                faults.push(
                    Fault::error(here(), message)
                        .help("build one json value, or use shape = \"rows\""),
                );
            }
        },
        Shape::Rows | Shape::Row => {
            let mut seen = BTreeSet::new();
            for column in columns {
                if column.name == "?column?" {
                    faults.push(
                        Fault::error(here(), "a column has no name").help("name it: ... AS total"),
                    );
                } else if !seen.insert(column.name.as_str()) {
                    let message = format!("two columns are named `{}`", column.name);
                    faults.push(
                        Fault::error(here(), message)
                            .help("each is a key of one JSON object: rename one"),
                    );
                }
            }
            for key in page_keys(sql) {
                if columns.iter().all(|column| column.name != key.column) {
                    let message = format!("the statement has no output column `{}`", key.column);
                    faults.push(Fault::error(place(tool, key.span.clone()), message));
                }
            }
        }
    }
    faults
}

fn page_keys(sql: &Sql) -> impl Iterator<Item = &Key> {
    sql.page.iter().flat_map(|page| &page.keys)
}

/// A NULL in a key ends the list early, because no row compares with it.
pub fn key_faults(
    tool: &Tool,
    sql: &Sql,
    columns: &[Column],
    session: &mut Session<'_>,
) -> Vec<Fault> {
    const NOT_NULL: &str =
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = $1 AND attnum = $2";
    let mut faults = Vec::new();
    for key in page_keys(sql) {
        let Some(column) = columns.iter().find(|column| column.name == key.column) else {
            continue;
        };
        let Some((table, number)) = column.from else {
            let message = format!(
                "`{}` is computed, so nothing promises that it is never NULL",
                key.column
            );
            let fault = Fault::warning(place(tool, key.span.clone()), message);
            faults.push(fault.help(
                "a row whose key is NULL, and all after it, would be missing from the next page",
            ));
            continue;
        };
        let row = session.step(Limits::READ, |transaction| {
            transaction.query_opt(NOT_NULL, &[&table, &number])
        });
        let not_null = matches!(&row, Ok(Some(row)) if row.try_get(0).unwrap_or(false));
        if !not_null {
            let message = format!("the page key `{}` may be NULL", key.column);
            let fault = Fault::error(place(tool, key.span.clone()), message);
            faults.push(
                fault.help("page by columns that are NOT NULL: rows after a NULL would be lost"),
            );
        }
    }
    faults
}
