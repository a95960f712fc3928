//! Makes the statement that PostgreSQL runs out of a template: placeholders numbered, lines dropped, and the whole
//! wrapped so that PostgreSQL renders each row as JSON. Keeps a map back to the file, for error positions.
//!
//! Wrapped, never edited: a cast added to the author's select list would also change what ORDER BY sorts by, and lose
//! its index.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fragments::Template;
use super::statement::Form;
use crate::db::Statement;

/// A name that no column has: inside `row_to_json(x)` a column x would win over the row x.
const ROW: &str = "tine_q";
const VALUE: &str = "tine_v";

/// What column 0 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Render {
    /// The whole row as a JSON object.
    Row,
    /// The statement's only column, which is JSON already.
    Value,
}

/// What a `$n` is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The value of the parameter with this index.
    Parameter(usize),
    /// The value of the parameter with this index, and one: to see whether there is a next page.
    OneMore(usize),
    /// The cursor's value for the key with this index.
    Key(usize),
    /// All arguments as one JSON object.
    Arguments,
    /// What the plan yielded.
    Plan,
    /// What came of the effects.
    Outcome,
}

/// One statement of a tool: the author's, with some of its marked lines.
#[derive(Debug)]
pub struct Variant {
    pub statement: Arc<Statement>,
    pub(crate) slots: Vec<Slot>,
    /// Runs of the SQL that stand in the file: where in the SQL, and where in the file.
    runs: Vec<(Range<usize>, usize)>,
}

impl Variant {
    /// The byte of the tool file that PostgreSQL's 1-based character position is about; `None` if it is about text
    /// that wraps the author's.
    pub fn file_offset(&self, position: usize) -> Option<usize> {
        let (byte, _) = self
            .statement
            .sql
            .char_indices()
            .nth(position.checked_sub(1)?)?;
        let (run, file) = self.runs.iter().find(|(run, _)| run.contains(&byte))?;
        Some(file + (byte - run.start))
    }
}

/// What a template is made into.
pub(crate) struct Plan<'a> {
    /// The whole file's text, which the template's spans are about.
    pub text: &'a str,
    pub template: &'a Template,
    pub form: Form,
    pub render: Render,
    /// Output columns that follow column 0 as text.
    pub keys: &'a [&'a str],
    /// What a placeholder stands for, and its type's OID. Placeholders that it doesn't know stay as they are.
    pub resolve: &'a dyn Fn(&str) -> Option<(Slot, u32)>,
}

/// The variant in which the guards of `mask` hold.
pub(crate) fn build(plan: &Plan<'_>, mask: usize) -> Variant {
    let mut writer = Writer {
        sql: String::with_capacity(plan.template.span.len() + 160),
        slots: Vec::new(),
        types: Vec::new(),
        runs: Vec::new(),
    };
    let end = plan.template.span.end;
    let columns = match plan.render {
        Render::Row => String::new(),
        Render::Value => format!("({VALUE})"),
    };
    match plan.form {
        Form::Plain => writer.body(plan, mask, plan.template.span.start, end),
        Form::Query => {
            writer.select(plan);
            writer.sql.push_str(" FROM (");
            writer.body(plan, mask, plan.template.span.start, end);
            // The newline ends a comment that the author may have left at the end.
            let _ = write!(writer.sql, "\n) {ROW}{columns}");
        }
        Form::Returning => {
            let _ = write!(writer.sql, "WITH {ROW}{columns} AS (");
            writer.body(plan, mask, plan.template.span.start, end);
            writer.sql.push_str("\n) ");
            writer.select(plan);
            let _ = write!(writer.sql, " FROM {ROW}");
        }
        Form::With { main } => {
            writer.body(plan, mask, plan.template.span.start, main);
            let _ = write!(writer.sql, "\n, {ROW}{columns} AS (");
            writer.body(plan, mask, main, end);
            writer.sql.push_str("\n) ");
            writer.select(plan);
            let _ = write!(writer.sql, " FROM {ROW}");
        }
    }
    writer.finish()
}

struct Writer {
    sql: String,
    slots: Vec<Slot>,
    types: Vec<u32>,
    runs: Vec<(Range<usize>, usize)>,
}

impl Writer {
    fn select(&mut self, plan: &Plan<'_>) {
        let _ = match plan.render {
            Render::Row => write!(self.sql, "SELECT row_to_json({ROW})::text"),
            Render::Value => write!(self.sql, "SELECT {ROW}.{VALUE}::text"),
        };
        for key in plan.keys {
            let _ = write!(self.sql, ", {ROW}.\"{}\"::text", key.replace('"', "\"\""));
        }
    }

    /// The author's text between two bytes of the file.
    fn body(&mut self, plan: &Plan<'_>, mask: usize, from: usize, to: usize) {
        for piece in &plan.template.pieces {
            let kept = piece.guard.is_none_or(|guard| mask & (1 << guard) != 0);
            let span = piece.span.start.max(from)..piece.span.end.min(to);
            if !kept || span.is_empty() {
                continue;
            }
            let start = self.sql.len();
            match piece
                .placeholder
                .as_deref()
                .and_then(|name| (plan.resolve)(name))
            {
                Some((slot, oid)) => {
                    let number = self.number(slot, oid);
                    let _ = write!(self.sql, "${number}");
                }
                None => self
                    .sql
                    .push_str(plan.text.get(span.clone()).unwrap_or_default()),
            }
            self.runs.push((start..self.sql.len(), span.start));
        }
    }

    /// The 1-based number of a slot: one that is used twice has one number.
    fn number(&mut self, slot: Slot, oid: u32) -> usize {
        if let Some(index) = self.slots.iter().position(|known| *known == slot) {
            return index + 1;
        }
        self.slots.push(slot);
        self.types.push(oid);
        self.slots.len()
    }

    fn finish(self) -> Variant {
        let mut digest = Sha256::new();
        digest.update(&self.sql);
        for oid in &self.types {
            digest.update(oid.to_be_bytes());
        }
        let mut name = String::from("tine_");
        for byte in digest.finalize().iter().take(8) {
            let _ = write!(name, "{byte:02x}");
        }
        Variant {
            statement: Arc::new(Statement {
                name,
                sql: self.sql,
                types: self.types,
            }),
            slots: self.slots,
            runs: self.runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Faults, Source};
    use super::super::{fragments, statement};
    use super::*;

    fn variant(sql: &str, render: Render, keys: &[&str], mask: usize) -> Variant {
        let mut faults = Faults::new(Source::new("t.sql".into(), sql.to_owned()));
        let (template, tokens) = fragments::parse(sql, 0..sql.len(), &mut faults).unwrap();
        let form = statement::shape(sql, &tokens).unwrap().form;
        let resolve = |name: &str| match name {
            "a" => Some((Slot::Parameter(0), 25)),
            "b" => Some((Slot::Parameter(1), 20)),
            "cursor.id" => Some((Slot::Key(0), 0)),
            _ => None,
        };
        build(
            &Plan {
                text: sql,
                template: &template,
                form,
                render,
                keys,
                resolve: &resolve,
            },
            mask,
        )
    }

    #[test]
    fn each_form_is_wrapped_in_its_way() {
        let sql = |sql: &str| variant(sql, Render::Row, &[], 0).statement.sql.clone();
        assert_eq!(
            sql("SELECT 1 -- x\n;"),
            "SELECT row_to_json(tine_q)::text FROM (SELECT 1 -- x\n) tine_q"
        );
        assert_eq!(sql("DELETE FROM t"), "DELETE FROM t");
        assert_eq!(
            sql("DELETE FROM t RETURNING *"),
            "WITH tine_q AS (DELETE FROM t RETURNING *\n) SELECT row_to_json(tine_q)::text FROM tine_q"
        );
        assert_eq!(
            sql("WITH a AS (DELETE FROM t RETURNING *)\nSELECT * FROM a"),
            "WITH a AS (DELETE FROM t RETURNING *)\n\n, tine_q AS (SELECT * FROM a\n) SELECT row_to_json(tine_q)::text FROM tine_q"
        );
        let value = variant("SELECT json_build_array()", Render::Value, &[], 0);
        assert_eq!(
            value.statement.sql,
            "SELECT tine_q.tine_v::text FROM (SELECT json_build_array()\n) tine_q(tine_v)"
        );
        let keys = variant("SELECT 1 AS id", Render::Row, &["id"], 0);
        assert_eq!(
            keys.statement.sql,
            "SELECT row_to_json(tine_q)::text, tine_q.\"id\"::text FROM (SELECT 1 AS id\n) tine_q"
        );
    }

    #[test]
    fn numbers_are_given_by_first_use_and_only_to_what_stays() {
        let sql = "SELECT :b::int, :a, ':a'\n, :b --? x\n, :cursor.id --? y\n, :b + :unknown";
        let all = variant(sql, Render::Row, &[], 3);
        assert!(
            all.statement
                .sql
                .contains("SELECT $1::int, $2, ':a'\n, $1 --? x\n, $3 --? y\n, $1 + :unknown")
        );
        assert_eq!(
            all.slots,
            [Slot::Parameter(1), Slot::Parameter(0), Slot::Key(0)]
        );
        assert_eq!(all.statement.types, [20, 25, 0]);
        let none = variant(sql, Render::Row, &[], 0);
        assert!(
            none.statement
                .sql
                .contains("SELECT $1::int, $2, ':a'\n\n\n, $1 + :unknown")
        );
        assert_eq!(none.statement.types, [20, 25]);
    }

    #[test]
    fn names_follow_the_text_and_the_types() {
        let one = variant("SELECT :a", Render::Row, &[], 0).statement;
        let two = variant("SELECT :b", Render::Row, &[], 0).statement;
        assert_eq!(one.sql, two.sql);
        assert_ne!(one.name, two.name);
        assert_eq!(
            one.name,
            variant("SELECT :a", Render::Row, &[], 0).statement.name
        );
        assert_eq!(one.name.len(), "tine_".len() + 16);
    }

    #[test]
    fn positions_lead_back_to_the_file() {
        let sql = "SELECT 'é', :a\n, 2 --? x\n, nope";
        let built = variant(sql, Render::Row, &[], 0);
        let at = |needle: &str| {
            let byte = built.statement.sql.find(needle).unwrap();
            let position = built.statement.sql[..byte].chars().count() + 1;
            built.file_offset(position)
        };
        assert_eq!(at("nope"), sql.find("nope"));
        assert_eq!(at("$1"), sql.find(":a"));
        assert_eq!(at("row_to_json"), None);
        assert_eq!(built.file_offset(0), None);
        assert_eq!(built.file_offset(9_999), None);
    }
}
