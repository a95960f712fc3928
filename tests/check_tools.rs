//! `tine check`'s logic against a real PostgreSQL: what it proves, what it finds, and that it leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::Client;
use tine::check::{self, Options, Report};
use tine::fault::{Fault, Origin};
use tine_worker::catalog::{self, Catalog, LoadContext};
use tine_worker::files::Files;

use crate::harness::database::Database;

const SCHEMA: &str = "
    CREATE TABLE ticket (
        id int PRIMARY KEY, project text NOT NULL, status text NOT NULL, title text, created_at timestamptz NOT NULL,
        closed_at timestamptz);
    CREATE INDEX ON ticket (project, created_at DESC, id DESC);
    INSERT INTO ticket SELECT n, 'p' || n % 10, CASE n % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'wip' ELSE 'closed' END,
        'Ticket ' || n, timestamptz '2026-04-01 00:00Z' + n * interval '1 minute' FROM generate_series(1, 20000) n;
    ANALYZE ticket;";

const LIST: &str = r#"
title = "List tickets"
page = { key = ["created_at desc", "id desc"], size = 20, max = 100 }
[params.project]
type = "text"
[params.status]
type = "text"
enum = ["open", "wip", "closed"]
optional = true
[[example]]
args = { project = "p3", status = "open", limit = 5 }
expect = { min_rows = 5, max_rows = 5, columns = ["id", "title", "created_at"], contains = ["next_cursor"] }
[[example]]
args = { project = "p3", status = "opne" }
expect = { error = "status: must be one of open, wip, closed" }
"#;
const LIST_SQL: &str = "SELECT t.id, t.title, t.created_at FROM ticket t WHERE t.project = :project
  AND t.status = :status --? status
  AND (t.created_at, t.id) < (:cursor.created_at, :cursor.id) --? cursor
ORDER BY t.created_at DESC, t.id DESC LIMIT :limit";

const CLOSE: &str = r#"
annotations = { read_only = false }
shape = "row"
expect_rows = 1
not_found = "No ticket {id}."
[params.id]
type = "integer"
min = 1
max = 2000000000
[params.at]
from = "now"
[[example]]
args = { id = 7 }
expect = { columns = ["id", "status"], contains = ["closed"] }
[[example]]
args = { id = 1999999999 }
expect = { error = "touched 0 rows, not 1" }
"#;
const CLOSE_SQL: &str =
    "UPDATE ticket SET status = 'closed', closed_at = :at WHERE id = :id RETURNING id, status";

fn folder(tools: &[(&str, &str, &str)]) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let root = std::env::temp_dir().join(format!("tine-check-{}-{number}", std::process::id()));
    let folder = root.join("tickets");
    fs::create_dir_all(&folder).unwrap();
    for (name, front_matter, sql) in tools {
        let text = format!("/*+++\ndescription = \"Test.\"\n{front_matter}\n+++*/\n{sql}\n");
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

pub fn check(client: Client, tools: &[(&str, &str, &str)]) -> Report {
    let folder = folder(tools);
    let context = LoadContext {
        databases: vec!["main".to_owned()],
        ..LoadContext::default()
    };
    let (catalog, faults) = Catalog::load(std::slice::from_ref(&folder), &context, &Files::disk());
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    let faults = faults.into_iter().map(fault).collect();
    let mut databases = BTreeMap::from([("main".to_owned(), Ok(client))]);
    check::run(&catalog, faults, &mut databases, &Options::default())
}

pub fn fault(fault: catalog::Fault) -> Fault {
    let origin = Origin::File {
        path: fault.source.file.to_path_buf(),
        text: fault.source.text,
        span: fault.span,
    };
    Fault {
        help: fault.help,
        ..Fault::error(origin, fault.message)
    }
}

/// `file:line:column severity message` of every fault.
pub fn told(report: &Report) -> Vec<String> {
    let json = report.to_json();
    let faults = json["faults"].as_array().unwrap().iter();
    faults
        .map(|fault| {
            let file = fault["file"]
                .as_str()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            let message = fault["message"].as_str().unwrap();
            format!(
                "{file}:{}:{} {} {message}",
                fault["line"],
                fault["column"],
                fault["severity"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn good_tools_are_proven_and_their_examples_leave_nothing_behind() {
    let database = Database::with(SCHEMA);
    let report = check(
        database.owner(),
        &[
            ("list.sql", LIST, LIST_SQL),
            ("close.sql", CLOSE, CLOSE_SQL),
        ],
    );
    assert_eq!(told(&report), Vec::<String>::new());
    assert!(!report.failed());
    let [close, list] = report.tools.as_slice() else {
        panic!("two tools")
    };
    assert!(close.proven && list.proven);
    // None, status, cursor, both.
    assert_eq!((close.statements, list.statements), (1, 4));
    assert!(
        close
            .examples
            .iter()
            .chain(&list.examples)
            .all(|example| example.passed)
    );
    let columns: Vec<(&str, &str)> = list
        .columns
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.as_str()))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", "int4"),
            ("title", "text"),
            ("created_at", "timestamptz")
        ]
    );
    let parameters: Vec<(&str, &str)> = list
        .parameters
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.as_str()))
        .collect();
    assert_eq!(
        parameters,
        [
            ("project", "text"),
            ("status", "text"),
            ("cursor.created_at", "timestamptz"),
            ("cursor.id", "int4"),
            ("limit", "int8")
        ]
    );
    let row = database
        .owner()
        .query_one(
            "SELECT status, closed_at IS NULL FROM ticket WHERE id = 7",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get::<_, &str>(0), row.get::<_, bool>(1)),
        ("wip", true),
        "the example was rolled back"
    );
    let shown = report.to_string();
    assert!(
        shown.contains("list   4 statements proven, 2 of 2 examples passed"),
        "{shown}"
    );
    assert!(
        shown.contains("tools/list of (all)    2 tools, "),
        "{shown}"
    );
    assert!(shown.contains("0 errors, 0 warnings"), "{shown}");
    assert_eq!(report.to_json()["ok"], true);
    assert_eq!(report.sizes[0].tools, 2);
    assert!(report.sizes[0].tokens() * 4 >= report.sizes[0].bytes);
}

#[test]
fn faults_are_found_where_they_stand() {
    let database = Database::with(SCHEMA);
    let params = "[params.p]\ntype = \"text\"\noptional = true";
    let page = "page = { key = [\"closed_at\"] }";
    let table: &[(&str, &str, &str)] = &[
        (
            "",
            "SELECT id,\n  é, titel FROM ticket",
            "tool.sql:6:3 error column \"é\" does not exist",
        ),
        (
            "",
            "SELECT 1 AS a FROM tickets",
            "tool.sql:5:20 error relation \"tickets\" does not exist",
        ),
        (
            "",
            "SELEC 1",
            "tool.sql:5:1 error a tool can't run such a statement",
        ),
        (
            "",
            "SELECT 1 AS a FRM ticket",
            "tool.sql:5:15 error syntax error at or near \"FRM\"",
        ),
        (
            params,
            "SELECT 1 AS a\n, titel --? p\n",
            "tool.sql:8:3 error column \"titel\" does not exist (SQLSTATE 42703), with the lines marked --? p",
        ),
        (
            params,
            "SELECT 1 AS a\nFROM ticket --? p\nWHERE title = 'x'",
            "error column \"title\" does not exist (SQLSTATE 42703), without any of the marked lines",
        ),
        (
            "[params.p]\ntype = \"uuid\"",
            "SELECT 1 AS a FROM ticket WHERE id = :p",
            "error operator does not exist: integer = uuid",
        ),
        ("", "SELECT 1, 2", "error a column has no name"),
        (
            "",
            "SELECT id, id FROM ticket",
            "error two columns are named `id`",
        ),
        (
            "shape = \"document\"",
            "SELECT 1 AS a",
            "error this shape needs one column of type json or jsonb, not int4",
        ),
        (
            "shape = \"content\"",
            "SELECT '[]'::json AS a, 2 AS b",
            "error this shape needs exactly one column, not 2",
        ),
        (
            "",
            "SELECT id FROM ticket WHERE id = 1 FOR UPDATE",
            "error the tool is read-only, but its statement does: a lock on rows",
        ),
        (
            page,
            "SELECT closed_at FROM ticket WHERE closed_at > :cursor.closed_at LIMIT :limit",
            "error the page key `closed_at` may be NULL",
        ),
        (
            page,
            "SELECT id FROM ticket WHERE closed_at > :cursor.closed_at LIMIT :limit",
            "error the statement has no output column `closed_at`",
        ),
        (
            page,
            "SELECT id AS x, now() AS closed_at FROM ticket WHERE now() > :cursor.closed_at LIMIT :limit",
            "warning `closed_at` is computed",
        ),
        (
            "",
            "SELECT title FROM ticket WHERE title = 'x'",
            "warning the statement reads all of public.ticket, about 20000 rows",
        ),
        (
            params,
            "SELECT id FROM ticket WHERE (:p IS NULL OR title = :p)",
            "tool.sql:7:30 warning this filter needs a new plan",
        ),
    ];
    for (front_matter, sql, expected) in table {
        let report = check(database.owner(), &[("tool.sql", front_matter, sql)]);
        let found = told(&report);
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{sql}: {found:#?}"
        );
        assert_eq!(
            report.failed(),
            found.iter().any(|fault| fault.contains(" error ")),
            "{sql}"
        );
    }
}

/// A change that neither words nor plan show is refused by the read-only transaction, as it would be when served.
#[test]
fn a_change_inside_a_function_fails_its_example() {
    let script = "CREATE TABLE log (id int);
                  CREATE FUNCTION f() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO log VALUES (1) RETURNING id';";
    let database = Database::with(script);
    let example = "[[example]]\nargs = {}";
    let report = check(
        database.owner(),
        &[("tool.sql", example, "SELECT f() AS one")],
    );
    let found = told(&report);
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("fails: The tool is declared read-only")),
        "{found:#?}"
    );
    let logged: i64 = database
        .owner()
        .query_one("SELECT count(*) FROM log", &[])
        .unwrap()
        .get(0);
    assert_eq!(logged, 0);
}

#[test]
fn examples_that_do_not_hold_are_told() {
    let database = Database::with(SCHEMA);
    let sql = "SELECT id, status FROM ticket WHERE id <= :n ORDER BY id";
    let table = [
        (
            "args = { n = 3 }\nexpect = { min_rows = 4 }",
            "yields 3 rows",
        ),
        (
            "args = { n = 3 }\nexpect = { max_rows = 2 }",
            "yields 3 rows",
        ),
        (
            "args = { n = 3 }\nexpect = { columns = [\"id\", \"state\"] }",
            "yields the columns id, status",
        ),
        (
            "args = { n = 3 }\nexpect = { error = \"no\" }",
            "should fail, and does not",
        ),
        (
            "args = { n = \"x\" }\nexpect = { error = \"no\" }",
            "fails with another error than expected: n: must be an integer",
        ),
        (
            "args = { n = 3 }\nexpect = { contains = [\"nothing like it\"] }",
            "yields nothing that contains `nothing like it`",
        ),
        ("args = {}", "fails: n: is required"),
    ];
    for (example, expected) in table {
        let front_matter = format!("[params.n]\ntype = \"integer\"\n[[example]]\n{example}");
        let report = check(database.owner(), &[("tool.sql", &front_matter, sql)]);
        let found = told(&report);
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{example}: {found:#?}"
        );
        assert!(report.failed() && !report.tools[0].examples[0].passed);
    }
}

#[test]
fn without_a_database_everything_else_is_still_checked() {
    let folder = folder(&[
        ("list.sql", LIST, LIST_SQL),
        ("bad.sql", "x = 1", "SELECT 1 AS a"),
    ]);
    let context = LoadContext {
        databases: vec!["main".to_owned()],
        ..LoadContext::default()
    };
    let (catalog, faults) = Catalog::load(std::slice::from_ref(&folder), &context, &Files::disk());
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    let mut databases = BTreeMap::from([("main".to_owned(), Err("connection refused".to_owned()))]);
    let faults = faults.into_iter().map(fault).collect();
    let report = check::run(&catalog, faults, &mut databases, &Options::default());
    let found = told(&report);
    assert!(
        found.iter().any(|fault| fault.contains("unknown key `x`")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|fault| fault.contains(
            "database `main` can't be reached, so 1 tools are not proven: connection refused"
        )),
        "{found:#?}"
    );
    assert!(!report.tools[0].proven);
    assert!(report.to_string().contains("no statement proven"));
}
