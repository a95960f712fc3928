//! Behind pgbouncer in transaction mode: what the database layer promises holds there too.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tine::cluster::{Cluster, SUPERUSER};
use tine_worker::db::{Access, DbError, Job, JobId, Options};

use super::db_harness::{Loop, admin, cluster, job, statement, writing};
use crate::harness::pooler::Pooler;

fn pool(pooler: &Pooler, options: Options) -> Loop {
    Loop::new(&pooler.url("postgres", SUPERUSER), options)
}

fn fixture() -> Cluster {
    let cluster = cluster(&[]);
    admin(&cluster)
        .batch_execute("CREATE TABLE pooled(id int); CREATE TABLE untouched(id int)")
        .unwrap();
    cluster
}

/// Everything that a call promises, behind a pooler.
fn behaves(it: &mut Loop) {
    let echo = |value: &str| Job {
        statement: statement("SELECT to_json($1)::text", &[25]),
        parameters: vec![Some(value.to_string())],
        ..job("")
    };
    for _ in 0..3 {
        assert_eq!(it.run(echo("x")).unwrap().json, b"\"x\"");
    }
    assert_eq!(
        it.error(job("INSERT INTO untouched VALUES (1) RETURNING '1'"))
            .sqlstate,
        "25006"
    );
    assert_eq!(it.error(job("SELECT 1/0")).sqlstate, "22012");
    assert!(
        it.run(writing("INSERT INTO pooled VALUES (1) RETURNING '1'"))
            .is_ok()
    );
    let guarded = Job {
        expect_rows: Some(7),
        ..writing("DELETE FROM pooled")
    };
    assert!(matches!(
        it.run(guarded),
        Err(DbError::ExpectRows {
            expected: 7,
            affected: 1..
        })
    ));
    let limits = Job {
        timeout: Duration::from_millis(700),
        custom_plan: true,
        ..job(
            "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('plan_cache_mode'), \
               current_setting('transaction_read_only'), current_setting('TimeZone'))",
        )
    };
    assert_eq!(
        it.run(limits).unwrap().json,
        b"700ms force_custom_plan on UTC"
    );
    let slow = Job {
        timeout: Duration::from_millis(50),
        ..job("SELECT pg_sleep(60)::text")
    };
    assert_eq!(it.error(slow).sqlstate, "57014");
    let late = Job {
        deadline: Instant::now() + Duration::from_millis(50),
        ..job("SELECT pg_sleep(60)::text")
    };
    assert_eq!(it.run(late), Err(DbError::Timeout));
    it.settle();
    assert_eq!(it.text("SELECT count(*)::text FROM untouched"), "0");
    assert_eq!(it.text("SELECT 'alive'"), "alive");
}

#[test]
fn a_pooler_is_recognised_by_its_refusal_of_parameters() {
    let cluster = fixture();
    let pooler = Pooler::start(&cluster, "default_pool_size = 2\nmax_client_conn = 50");
    for known in [false, true] {
        let mut it = pool(
            &pooler,
            Options {
                pooler: known,
                ..Options::default()
            },
        );
        behaves(&mut it);
        assert_eq!(it.probe(), Ok(()));
    }
    // Four clients over two sessions of the server: they share them, and stay apart.
    let mut it = pool(&pooler, Options::default());
    let ids: Vec<JobId> = (0..40)
        .map(|number| {
            let access = if number % 2 == 0 {
                Access::ReadOnly
            } else {
                Access::ReadWrite
            };
            let sql = "SELECT concat_ws(' ', pg_sleep(0.005), $1, pg_backend_pid())";
            it.submit(Job {
                statement: statement(sql, &[25]),
                parameters: vec![Some(number.to_string())],
                access,
                ..job("")
            })
        })
        .collect();
    let mut sessions = HashSet::new();
    for (number, id) in ids.into_iter().enumerate() {
        let text = String::from_utf8(it.wait(id).unwrap().json).unwrap();
        let mut words = text.split_whitespace();
        assert_eq!(words.next(), Some(number.to_string().as_str()));
        sessions.insert(words.next().unwrap().to_string());
    }
    assert_eq!(it.status().connected, 4);
    assert_eq!(sessions.len(), 2);
}

#[test]
fn a_pooler_that_drops_our_parameters_cannot_make_a_read_a_write() {
    let cluster = fixture();
    let ignored = "default_pool_size = 2\nignore_startup_parameters = \
                   jit,default_transaction_read_only,statement_timeout,lock_timeout,idle_in_transaction_session_timeout";
    let pooler = Pooler::start(&cluster, ignored);
    behaves(&mut pool(&pooler, Options::default()));
}

#[test]
fn a_name_that_another_session_knows_turns_names_off() {
    // A direct connection whose session lies about its statements: what a pooler without any sign of it looks like.
    let cluster = fixture();
    let mut it = Loop::new(
        &cluster.url("postgres", SUPERUSER),
        Options {
            connections: 1,
            ..Options::default()
        },
    );
    admin(&cluster)
        .batch_execute(
            "CREATE FUNCTION forget() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 'x'; END $$",
        )
        .unwrap();
    let counted = "SELECT count(*)::text FROM pg_prepared_statements";
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let mut it = Loop::new(
            &cluster.url("postgres", SUPERUSER),
            Options {
                connections: 1,
                ..Options::default()
            },
        );
        assert_eq!(it.text("SELECT '1'"), "1");
        it.text("SELECT forget()");
        let rows = it
            .run(Job {
                access,
                ..job("SELECT '1'")
            })
            .unwrap();
        assert_eq!(rows.json, b"1");
        it.text(counted);
        assert_eq!(it.text(counted), "0", "no statement has a name any more");
    }
    // The other way round: the name is taken.
    let taken = statement("SELECT 'taken'", &[]);
    admin(&cluster)
        .batch_execute(&format!(
            "CREATE FUNCTION take() RETURNS text LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE 'PREPARE {} AS SELECT ''taken'''; RETURN 'x'; END $$",
            taken.name
        ))
        .unwrap();
    it.text("SELECT take()");
    assert_eq!(it.text("SELECT 'taken'"), "taken");
    assert_eq!(it.text("SELECT 'other'"), "other");
}
