//! What kind of statement a tool runs: whether it asks or changes, whether it yields rows, and where its main part
//! begins. Read from the tokens; PostgreSQL itself proves the details in `tine check`.

use std::ops::Range;

use super::lexer::{Kind, Token};

/// How the statement can be wrapped so that PostgreSQL renders its rows as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `SELECT`, `VALUES`, `TABLE`, or a `WITH` that changes nothing: fits into `FROM ( ... )`.
    Query,
    /// A change with `RETURNING`: fits into `WITH q AS ( ... )`.
    Returning,
    /// Begins with `WITH` and changes something, so it can only be at the top level: its main part, from this offset
    /// on, becomes one more `WITH` item.
    With { main: usize },
    /// Yields no rows: runs as it stands.
    Plain,
}

/// What the tokens tell of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub form: Form,
    /// Holds INSERT, UPDATE, DELETE or MERGE, or is a command that changes something.
    pub writes: bool,
    /// Its row count is that of rows changed: its main part is an INSERT, UPDATE, DELETE or MERGE.
    pub counts_changes: bool,
    /// A command that has no plan, such as CALL.
    pub is_command: bool,
    /// Where `:p IS NULL OR` (or a variation of it) stands: the placeholders' places.
    pub null_guards: Vec<Range<usize>>,
    /// Calls of `set_config` that don't end with `true`: what they set would hold for other calls, too.
    pub lasting_settings: Vec<Range<usize>>,
}

const QUERIES: [&str; 3] = ["select", "values", "table"];
const CHANGES: [&str; 4] = ["insert", "update", "delete", "merge"];
/// Commands without rows that may be worth a tool. Others could end the call's transaction or outlive it.
const COMMANDS: [&str; 4] = ["call", "truncate", "refresh", "notify"];

/// `None`: the first word is not one that a tool's statement can begin with.
pub(crate) fn shape(sql: &str, tokens: &[Token]) -> Option<Shape> {
    let code: Vec<&Token> = tokens
        .iter()
        .filter(|token| !matches!(token.kind, Kind::Comment | Kind::Fragment))
        .collect();
    let first = code.iter().find(|token| token.kind != Kind::Open)?;
    let is = |words: &[&str]| words.iter().any(|word| first.is_word(sql, word));
    let (form, writes) = if is(&QUERIES) {
        (Form::Query, false)
    } else if is(&["with"]) {
        with_form(sql, &code)
    } else if is(&CHANGES) {
        let form = if returns(sql, &code) {
            Form::Returning
        } else {
            Form::Plain
        };
        (form, true)
    } else if is(&COMMANDS) {
        (Form::Plain, true)
    } else {
        return None;
    };
    let main = match form {
        Form::With { main } => code.iter().find(|token| token.span.start == main),
        _ => Some(first),
    };
    // A plain statement that begins with WITH changes in its main part: see `with_form`.
    let counts_changes = (is(&["with"]) && form == Form::Plain)
        || main.is_some_and(|token| CHANGES.iter().any(|word| token.is_word(sql, word)));
    Some(Shape {
        form,
        writes,
        counts_changes,
        is_command: is(&COMMANDS),
        null_guards: null_guards(sql, &code),
        lasting_settings: lasting_settings(sql, &code),
    })
}

/// Whether `RETURNING` stands outside of all parentheses.
fn returns(sql: &str, code: &[&Token]) -> bool {
    let mut depth = 0i32;
    code.iter().any(|token| {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        depth == 0 && token.is_word(sql, "returning")
    })
}

fn with_form(sql: &str, code: &[&Token]) -> (Form, bool) {
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(sql, word));
    let mut depth = 0i32;
    let mut changing_item = false;
    for (index, token) in code.iter().enumerate() {
        let before = |back: usize| index.checked_sub(back).and_then(|at| code.get(at));
        let begins_main = depth == 0
            && index > 0
            && match token.kind {
                Kind::Open => before(1).is_some_and(|t| t.kind == Kind::Close),
                Kind::Word if is(token, &QUERIES) || is(token, &CHANGES) => {
                    before(1).is_some_and(|t| {
                        // Not reserved: each could name a WITH item or a column of its SEARCH or CYCLE clause.
                        !is(
                            t,
                            &["with", "recursive", "set", "by", "using", "to", "default"],
                        ) && t.text(sql) != ","
                    })
                }
                _ => false,
            };
        if begins_main {
            let rest = code.get(index..).unwrap_or_default();
            let changes = is(token, &CHANGES);
            let form = match (changes, changing_item) {
                (true, _) if !returns(sql, rest) => Form::Plain,
                (false, false) => Form::Query,
                _ => Form::With {
                    main: token.span.start,
                },
            };
            return (form, changes || changing_item);
        }
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Word if depth == 1 && is(token, &CHANGES) => {
                changing_item |= before(1).is_some_and(|t| t.kind == Kind::Open)
                    && before(2).is_some_and(|t| is(t, &["as", "materialized"]));
            }
            _ => {}
        }
    }
    // No main part: PostgreSQL will say so.
    (Form::Query, changing_item)
}

/// The places of `set_config(..., x)` where x is another word than `true`.
fn lasting_settings(sql: &str, code: &[&Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (index, token) in code.iter().enumerate() {
        let arguments = code.get(index + 1..).unwrap_or_default();
        let opens = arguments.first().is_some_and(|t| t.kind == Kind::Open);
        if !token.is_word(sql, "set_config") || !opens {
            continue;
        }
        let mut depth = 0i32;
        let end = arguments.iter().position(|token| {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let last = end
            .and_then(|end| end.checked_sub(1))
            .and_then(|at| arguments.get(at));
        if !last.is_some_and(|token| token.is_word(sql, "true")) {
            found.push(token.span.clone());
        }
    }
    found
}

/// `:p IS [NOT] NULL` right beside an `OR`, with casts and parentheses around it. With a generic plan such a filter
/// can't use an index.
fn null_guards(sql: &str, code: &[&Token]) -> Vec<Range<usize>> {
    let word = |index: usize, word: &str| {
        code.get(index)
            .is_some_and(|token| token.is_word(sql, word))
    };
    let mut guards = Vec::new();
    for (index, token) in code.iter().enumerate() {
        if token.kind != Kind::Placeholder {
            continue;
        }
        let mut next = index + 1;
        while code.get(next).is_some_and(|t| t.kind == Kind::Cast) {
            next += 2;
        }
        while code.get(next).is_some_and(|t| t.kind == Kind::Close) {
            next += 1;
        }
        if !word(next, "is") {
            continue;
        }
        next += 1 + usize::from(word(next + 1, "not"));
        if !word(next, "null") {
            continue;
        }
        next += 1;
        while code.get(next).is_some_and(|t| t.kind == Kind::Close) {
            next += 1;
        }
        let mut before = index;
        while before > 0 && code.get(before - 1).is_some_and(|t| t.kind == Kind::Open) {
            before -= 1;
        }
        if word(next, "or") || (before > 0 && word(before - 1, "or")) {
            guards.push(token.span.clone());
        }
    }
    guards
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    fn of(sql: &str) -> Option<(Form, bool)> {
        shape(sql, &tokens(sql).unwrap()).map(|shape| (shape.form, shape.writes))
    }

    #[test]
    fn forms() {
        let main = |sql: &str, at: &str| Form::With {
            main: sql.rfind(at).unwrap(),
        };
        let table: &[(&str, Form, bool)] = &[
            ("SELECT 1", Form::Query, false),
            ("-- x\n /* insert */ select 'insert'", Form::Query, false),
            ("(SELECT 1) UNION (SELECT 2)", Form::Query, false),
            ("VALUES (1)", Form::Query, false),
            ("TABLE t", Form::Query, false),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Form::Query, false),
            (
                "WITH RECURSIVE a(n) AS NOT MATERIALIZED (SELECT 1) SELECT 1",
                Form::Query,
                false,
            ),
            (
                "WITH insert AS (SELECT 1), values(x) AS (SELECT 1) SELECT 1",
                Form::Query,
                false,
            ),
            ("INSERT INTO t VALUES (1)", Form::Plain, true),
            (
                "INSERT INTO t VALUES (1) RETURNING id",
                Form::Returning,
                true,
            ),
            ("INSERT INTO t SELECT (returning) FROM x", Form::Plain, true),
            (
                "INSERT INTO t SELECT 1 ON CONFLICT DO UPDATE SET a = 1 RETURNING *",
                Form::Returning,
                true,
            ),
            ("UPDATE t SET a = 1", Form::Plain, true),
            ("DELETE FROM t RETURNING *", Form::Returning, true),
            ("WITH a AS (SELECT 1) DELETE FROM t", Form::Plain, true),
            (
                "WITH a AS (UPDATE t SET x = 1) UPDATE t SET x = 2",
                Form::Plain,
                true,
            ),
            ("TRUNCATE t", Form::Plain, true),
            ("NOTIFY x", Form::Plain, true),
        ];
        for (sql, form, writes) in table {
            assert_eq!(of(sql), Some((*form, *writes)), "{sql}");
        }
        let split = [
            (
                "WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a",
                "SELECT",
            ),
            (
                "WITH a AS MATERIALIZED (DELETE FROM t RETURNING *), b AS (SELECT 1) (SELECT 1)",
                "(SELECT",
            ),
            (
                "WITH a AS (SELECT 1) UPDATE t SET x = 1 RETURNING *",
                "UPDATE",
            ),
            (
                "WITH RECURSIVE a AS (SELECT 1) SEARCH DEPTH FIRST BY x SET y INSERT INTO t SELECT 1 RETURNING 1",
                "INSERT",
            ),
        ];
        for (sql, at) in split {
            assert_eq!(of(sql), Some((main(sql, at), true)), "{sql}");
        }
    }

    #[test]
    fn only_a_change_in_the_main_part_is_counted() {
        let counts = |sql: &str| shape(sql, &tokens(sql).unwrap()).unwrap().counts_changes;
        for sql in [
            "-- x\nDELETE FROM t",
            "DELETE FROM t RETURNING id",
            "WITH a AS (SELECT 1) UPDATE t SET x = 1",
            "WITH a AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id FROM a RETURNING id",
        ] {
            assert!(counts(sql), "{sql}");
        }
        for sql in [
            "WITH a AS (DELETE FROM t RETURNING id) SELECT count(*) FROM a",
            "WITH a AS (DELETE FROM t RETURNING id) (SELECT id FROM a)",
            "SELECT f()",
            "CALL p()",
            "TRUNCATE t",
        ] {
            assert!(!counts(sql), "{sql}");
        }
    }

    #[test]
    fn settings_that_outlive_the_call_are_noticed() {
        let count = |sql: &str| {
            shape(sql, &tokens(sql).unwrap())
                .unwrap()
                .lasting_settings
                .len()
        };
        for sql in [
            "SELECT set_config('a.b', f(:x, true), false)",
            "SELECT pg_catalog.SET_CONFIG ('a.b', 'x', :local)",
            "SELECT set_config('a.b', 'x', is_local => 'f')",
        ] {
            assert_eq!(count(sql), 1, "{sql}");
        }
        for sql in [
            "SELECT set_config('a.b', (:x), true /* of this call */)",
            "SELECT set_config FROM t WHERE x = 'set_config(a, b, false)'",
        ] {
            assert_eq!(count(sql), 0, "{sql}");
        }
    }

    #[test]
    fn statements_that_could_end_or_outlive_the_transaction_are_refused() {
        for sql in [
            "COMMIT",
            "BEGIN",
            "SET x = 1",
            "COPY t TO STDOUT",
            "PREPARE x AS SELECT 1",
            "DO $$ $$",
            "\"select\"",
        ] {
            assert_eq!(of(sql), None, "{sql}");
        }
    }

    #[test]
    fn null_guards_are_noticed_in_their_usual_dress() {
        let count = |sql: &str| shape(sql, &tokens(sql).unwrap()).unwrap().null_guards.len();
        for sql in [
            "SELECT 1 WHERE (:p IS NULL OR a = :p)",
            "SELECT 1 WHERE :p::text IS NULL or a = :p",
            "SELECT 1 WHERE (a = :p OR :p IS NULL)",
            "SELECT 1 WHERE ((:p::int) is null) OR a = :p",
            "SELECT 1 WHERE (:p IS NOT NULL OR a > now())",
        ] {
            assert_eq!(count(sql), 1, "{sql}");
        }
        for sql in [
            "SELECT :p IS NULL",
            "SELECT 1 WHERE a = :p OR b IS NULL",
            "SELECT ':p IS NULL OR'",
            "SELECT :p",
        ] {
            assert_eq!(count(sql), 0, "{sql}");
        }
    }
}
