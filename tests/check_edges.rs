//! What `tine check` makes of statements at the edge: commands, changes that are not counted, long results, and calls
//! that leave something behind in their session.

use super::check_tools::{check, told};
use crate::harness::database::Database;

const EXAMPLE: &str = "[[example]]\nargs = {}\n";
const WRITES: &str = "annotations = { read_only = false }\n";

fn faults(database: &Database, front_matter: &str, sql: &str) -> Vec<String> {
    told(&check(database.owner(), &[("tool.sql", front_matter, sql)]))
}

#[test]
fn a_command_is_known_behind_its_comment_and_may_have_results() {
    let database = Database::with(
        "CREATE TABLE note (words text);
         CREATE PROCEDURE plain() LANGUAGE sql AS 'INSERT INTO note VALUES (1)';
         CREATE PROCEDURE told(INOUT n int, OUT m int) LANGUAGE plpgsql AS 'BEGIN m := n; END';",
    );
    let front = format!("{WRITES}{EXAMPLE}");
    for sql in [
        "-- why\nCALL plain()",
        "/* why */ CALL told(1, NULL)",
        "TRUNCATE note",
        "/* */ NOTIFY x",
    ] {
        assert_eq!(
            faults(&database, &front, sql),
            Vec::<String>::new(),
            "{sql}"
        );
    }
}

#[test]
fn only_a_change_that_is_counted_can_be_held_to_its_count() {
    let database = Database::with("CREATE TABLE note (id int)");
    let front = format!("{WRITES}expect_rows = 1\n");
    let hidden = "WITH gone AS (DELETE FROM note RETURNING id) SELECT count(*) AS n FROM gone";
    let found = faults(&database, &front, hidden);
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("error `expect_rows` counts")),
        "{found:?}"
    );
    let open = "WITH gone AS (SELECT 1 AS id) DELETE FROM note n USING gone g WHERE n.id = g.id RETURNING n.id";
    assert_eq!(faults(&database, &front, open), Vec::<String>::new());
}

#[test]
fn an_example_reads_no_further_than_a_call_would() {
    let database = Database::fresh();
    let sql = "SELECT 1 / (5000 - n) AS x FROM generate_series(1, 6000) AS n";
    let front = format!("{EXAMPLE}expect = {{ min_rows = 1000, max_rows = 1000 }}\n");
    assert_eq!(faults(&database, &front, sql), Vec::<String>::new());
}

#[test]
fn a_call_that_leaves_something_in_its_session_is_told() {
    let database = Database::fresh();
    for front in ["", WRITES] {
        // The second example would find the first one's lock, if it had not been given back.
        let sql = "SELECT pg_try_advisory_lock(7)::text AS x";
        let found = faults(&database, &format!("{front}{EXAMPLE}{EXAMPLE}"), sql);
        let expected = "leaves an advisory lock behind";
        let told = found.iter().filter(|fault| fault.contains(expected));
        assert_eq!((found.len(), told.count()), (2, 2), "{front}: {found:?}");
    }
    for sql in [
        "SELECT set_config('search_path', 'elsewhere', true) AS x",
        "SELECT pg_advisory_xact_lock(7)::text AS x",
        "SELECT pg_try_advisory_lock(7) AND pg_advisory_unlock(7) AS x",
    ] {
        assert_eq!(
            faults(&database, EXAMPLE, sql),
            Vec::<String>::new(),
            "{sql}"
        );
    }
    let lasting = "SELECT set_config('search_path', 'elsewhere', false) AS x";
    let found = faults(&database, EXAMPLE, lasting);
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("would stay for the calls of others")),
        "{found:?}"
    );
}

#[test]
fn what_a_tool_says_in_the_log_names_keys_of_its_result() {
    let database = Database::fresh();
    for (log, expected) in [
        ("done {a}, {b}", None),
        ("done {c}", Some("yields no `c`, which `log` names")),
        ("done {a", Some("a brace that names no key")),
    ] {
        let front_matter = format!("shape = \"row\"\nlog = \"{log}\"\n{EXAMPLE}");
        let sql = "SELECT 1 AS a, NULL::text AS b";
        let found = told(&check(
            database.owner(),
            &[("tool.sql", &front_matter, sql)],
        ));
        match expected {
            None => assert!(found.is_empty(), "{log}: {found:#?}"),
            Some(part) => assert!(found.iter().any(|f| f.contains(part)), "{log}: {found:#?}"),
        }
    }
    let list = format!("log = \"{{a}}\"\n{EXAMPLE}");
    let found = told(&check(
        database.owner(),
        &[("tool.sql", &list, "SELECT 1 AS a")],
    ));
    assert!(found.iter().any(|f| f.contains("`log` is for one row")));
}
