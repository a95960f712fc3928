//! Calls on a real server: results, errors, transactions.

use tine::cluster::SUPERUSER;
use tine_worker::db::{Access, DbError, Event, Job, Options};

use super::db_harness::{Loop, admin, job, pool, pool_of, shared, single, statement, writing};

#[test]
fn a_call_answers_over_a_unix_socket_and_over_tcp() {
    for url in [
        shared().url("postgres", SUPERUSER),
        shared().tcp_url("postgres", SUPERUSER),
    ] {
        let mut it = Loop::new(&url, Options::default());
        let sql = "SELECT to_json(t)::text, t.id::text FROM ticket t WHERE id > $1 ORDER BY t.id";
        let wanted = Job {
            statement: statement(sql, &[23]),
            parameters: vec![Some("7".to_string())],
            max_rows: 2,
            ..job("")
        };
        let rows = it.run(wanted).unwrap();
        let json = String::from_utf8(rows.json).unwrap();
        assert_eq!(
            json,
            r#"{"id":8,"title":"ticket 8"},{"id":9,"title":"ticket 9"}"#
        );
        assert_eq!((rows.count, rows.more, rows.truncated), (2, true, false));
        assert_eq!(rows.keys, [Some("9".to_string())]);
        let status = it.status();
        assert_eq!((status.connected, status.busy, status.queued), (1, 0, 0));
        assert!(status.last_proof.is_some() && status.last_error.is_none());
    }
}

#[test]
fn the_session_is_what_a_call_expects() {
    let mut it = pool();
    let table = [
        ("default_transaction_read_only", "on"),
        ("client_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, MDY"),
        ("application_name", "tine"),
        ("statement_timeout", "8s"),
        ("lock_timeout", "8s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("jit", "off"),
    ];
    for (name, value) in table {
        assert_eq!(
            it.text(&format!("SELECT current_setting('{name}')")),
            value,
            "{name}"
        );
    }
    let mut it = pool_of(Options {
        time_zone: "Europe/Berlin".into(),
        ..Options::default()
    });
    assert_eq!(
        it.text("SELECT current_setting('TimeZone')"),
        "Europe/Berlin"
    );
}

#[test]
fn parameters_are_text_and_null_is_null() {
    let mut it = pool();
    let echo = |value: Option<&str>| Job {
        statement: statement("SELECT to_json($1)::text", &[25]),
        parameters: vec![value.map(str::to_string)],
        ..job("")
    };
    assert_eq!(it.run(echo(Some("naïve \"quote\" \\ '; DROP"))).unwrap().json, br#""na"#.iter().copied()
        .chain("ïve \\\"quote\\\" \\\\ '; DROP\"".bytes()).collect::<Vec<_>>());
    assert_eq!(it.run(echo(None)).unwrap().json, b"null");
    assert_eq!(it.error(echo(Some("zero\0byte"))).sqlstate, "22021");
    // The connection has survived all of it.
    assert_eq!(it.status().connected, 1);
}

#[test]
fn an_error_has_its_fields_and_the_connection_goes_on() {
    let mut it = single();
    let pid = it.text("SELECT pg_backend_pid()::text");
    let error = it.error(job("SELECT nonsense FROM ticket"));
    assert_eq!(
        (error.sqlstate.as_str(), error.position),
        ("42703", Some(8))
    );
    assert!(error.message.contains("nonsense"));
    assert_eq!(it.error(job("SELECT 1/0")).sqlstate, "22012");
    let stacked = it.error(job("SELECT 1; SELECT 2"));
    assert_eq!(stacked.sqlstate, "42601", "{}", stacked.message);

    admin(shared())
        .batch_execute(
            "CREATE TABLE guarded(id int CONSTRAINT positive CHECK (id > 0), name text UNIQUE)",
        )
        .unwrap();
    let error = it.error(writing("INSERT INTO guarded VALUES (-1) RETURNING '1'"));
    assert_eq!(error.sqlstate, "23514");
    assert_eq!(error.schema.as_deref(), Some("public"));
    assert_eq!(error.table.as_deref(), Some("guarded"));
    assert_eq!(error.constraint.as_deref(), Some("positive"));
    assert!(error.detail.is_some());
    assert_eq!(it.text("SELECT pg_backend_pid()::text"), pid);
}

#[test]
fn a_reading_job_cannot_write() {
    let mut it = single();
    admin(shared())
        .batch_execute("CREATE TABLE untouched(id int); CREATE SEQUENCE untouched_seq")
        .unwrap();
    for sql in [
        "INSERT INTO untouched VALUES (1) RETURNING '1'",
        "WITH x AS (INSERT INTO untouched VALUES (1) RETURNING id) SELECT id::text FROM x",
        "SELECT nextval('untouched_seq')::text",
    ] {
        assert_eq!(it.error(job(sql)).sqlstate, "25006", "{sql}");
    }
    // Lifting it inside a call is refused, or costs the session, so that no later call profits.
    let error = it.error(job(
        "SELECT set_config('transaction_read_only', 'off', true)",
    ));
    assert_eq!(error.sqlstate, "25001");
    let pid = it.text("SELECT pg_backend_pid()::text");
    it.text("SELECT set_config('default_transaction_read_only', 'off', false)");
    assert_ne!(it.text("SELECT pg_backend_pid()::text"), pid);
    assert_eq!(
        it.error(job("INSERT INTO untouched VALUES (1) RETURNING '1'"))
            .sqlstate,
        "25006"
    );
    assert_eq!(it.text("SELECT count(*)::text FROM untouched"), "0");
}

#[test]
fn a_writing_job_commits_or_leaves_nothing() {
    let mut it = single();
    admin(shared())
        .batch_execute("CREATE TABLE written(id int)")
        .unwrap();
    let rows = it
        .run(writing(
            "INSERT INTO written VALUES (1), (2) RETURNING id::text",
        ))
        .unwrap();
    assert_eq!(
        (rows.json.as_slice(), rows.count, rows.affected),
        (&b"1,2"[..], 2, 2)
    );
    assert_eq!(
        it.error(writing(
            "INSERT INTO written VALUES (3), (1/0) RETURNING id::text"
        ))
        .sqlstate,
        "22012"
    );
    assert_eq!(it.text("SELECT count(*)::text FROM written"), "2");

    let guarded = |sql: &str, expected| Job {
        expect_rows: Some(expected),
        ..writing(sql)
    };
    let rows = it
        .run(guarded(
            "INSERT INTO written VALUES (3) RETURNING id::text",
            1,
        ))
        .unwrap();
    assert_eq!(rows.affected, 1);
    let result = it.run(guarded("DELETE FROM written", 1));
    assert_eq!(
        result,
        Err(DbError::ExpectRows {
            expected: 1,
            affected: 3
        })
    );
    assert_eq!(
        it.error(guarded("DELETE FROM written WHERE 1/0 = 1", 1))
            .sqlstate,
        "22012"
    );
    assert_eq!(it.text("SELECT count(*)::text FROM written"), "3");
    // A bound on rows does not stop a writing statement half way.
    let all = Job {
        max_rows: 1,
        ..writing("DELETE FROM written RETURNING id::text")
    };
    let rows = it.run(all).unwrap();
    assert_eq!((rows.count, rows.more, rows.affected), (1, true, 3));
    assert_eq!(it.text("SELECT count(*)::text FROM written"), "0");
    assert_eq!(it.status().connected, 1);
}

#[test]
fn notices_arrive_before_the_result_when_asked_for() {
    admin(shared())
        .batch_execute(
            "CREATE FUNCTION chatty() RETURNS text LANGUAGE plpgsql AS \
             $$ BEGIN RAISE NOTICE 'half way' USING DETAIL = '50'; RAISE WARNING 'careful'; RETURN 'done'; END $$",
        )
        .unwrap();
    let mut it = single();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let id = it.submit(Job {
            notices: true,
            access,
            ..job("SELECT chatty()")
        });
        assert_eq!(it.wait(id).unwrap().json, b"done");
        let told = std::mem::take(&mut it.told);
        let [Event::Notice(first, half), Event::Notice(second, careful)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((*first, *second), (id, id));
        assert_eq!(
            (half.severity.as_str(), half.message.as_str()),
            ("NOTICE", "half way")
        );
        assert_eq!(
            (half.sqlstate.as_str(), half.detail.as_deref()),
            ("00000", Some("50"))
        );
        assert_eq!(
            (careful.severity.as_str(), careful.message.as_str()),
            ("WARNING", "careful")
        );
    }
    it.text("SELECT chatty()");
    assert!(it.told.is_empty(), "{:?}", it.told);
}

#[test]
fn a_changed_table_under_a_prepared_statement_goes_unnoticed() {
    let mut admin = admin(shared());
    admin
        .batch_execute(
            "CREATE TABLE changing(id int, note text); INSERT INTO changing VALUES (1, 'a')",
        )
        .unwrap();
    let mut it = single();
    let sql = "SELECT to_json(c)::text, c.id FROM changing c";
    for access in [Access::ReadOnly, Access::ReadWrite] {
        assert!(it.run(Job { access, ..job(sql) }).is_ok());
        admin.batch_execute("ALTER TABLE changing ALTER COLUMN id TYPE bigint; ALTER TABLE changing ADD more int").unwrap();
        let rows = it.run(Job { access, ..job(sql) }).unwrap();
        assert_eq!(rows.json, br#"{"id":1,"note":"a","more":null}"#);
        admin
            .batch_execute(
                "ALTER TABLE changing ALTER COLUMN id TYPE int; ALTER TABLE changing DROP more",
            )
            .unwrap();
    }
    admin.batch_execute("DROP TABLE changing").unwrap();
    assert_eq!(it.error(job(sql)).sqlstate, "42P01");
}

#[test]
fn what_a_call_cannot_carry_costs_the_connection_and_says_so() {
    let mut it = single();
    let pid = it.text("SELECT pg_backend_pid()::text");
    for sql in ["COPY ticket TO STDOUT", "COPY ticket FROM STDIN"] {
        let error = it.error(Job {
            access: Access::ReadWrite,
            ..job(sql)
        });
        assert!(error.message.contains("COPY"), "{}", error.message);
    }
    let error = it.error(job("SELECT 'zero\0byte'"));
    assert!(
        error.message.contains("cannot be sent"),
        "{}",
        error.message
    );
    assert_ne!(it.text("SELECT pg_backend_pid()::text"), pid);
    assert_eq!(it.text(""), "");
}
