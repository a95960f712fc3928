//! What bounds a call on a real server: time, rows, bytes, prepared statements, the queue, connections.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use tine_worker::db::{Access, DbError, Job, Options};

use super::db_harness::{Loop, admin, job, pool_of, shared, single};

#[test]
fn limits_hold_for_one_call_only() {
    let mut it = single();
    let limits = "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), \
                  current_setting('plan_cache_mode'))";
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let wanted = |millis, custom_plan| Job {
            timeout: Duration::from_millis(millis),
            custom_plan,
            access,
            ..job(limits)
        };
        for (millis, custom_plan, expected) in [
            (8000, false, "8s 8s auto"),
            (250, true, "250ms 250ms force_custom_plan"),
            (250, false, "250ms 250ms auto"),
            (8000, false, "8s 8s auto"),
        ] {
            let rows = it.run(wanted(millis, custom_plan)).unwrap();
            assert_eq!(
                String::from_utf8(rows.json).unwrap(),
                expected,
                "{access:?}"
            );
        }
    }
}

#[test]
fn the_statement_timeout_is_the_servers_error() {
    let mut it = single();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let slow = Job {
            timeout: Duration::from_millis(50),
            access,
            ..job("SELECT pg_sleep(30)::text")
        };
        let error = it.error(slow);
        assert_eq!(error.sqlstate, "57014");
        assert!(
            error.message.contains("statement timeout"),
            "{}",
            error.message
        );
    }
    assert_eq!(it.text("SELECT 'alive'"), "alive");
    assert_eq!(it.status().connected, 1);
}

#[test]
fn a_large_result_is_cut_at_whole_rows_or_refused() {
    let mut it = single();
    let pid = it.text("SELECT pg_backend_pid()::text");
    let sql = "SELECT to_json(repeat('x', 998))::text FROM generate_series(1, 2000)";
    let rows = it
        .run(Job {
            max_rows: 5000,
            max_bytes: 100_000,
            ..job(sql)
        })
        .unwrap();
    assert!(rows.truncated && !rows.more);
    assert_eq!((rows.count, rows.json.len()), (99, 99 * 1001 - 1));
    let rows = it
        .run(Job {
            max_rows: 5000,
            max_bytes: 8 << 20,
            ..job(sql)
        })
        .unwrap();
    assert!(!rows.truncated && !rows.more);
    assert_eq!((rows.count, rows.json.len()), (2000, 2000 * 1001 - 1));
    // One row that is larger than any buffer of ours.
    let one = it
        .run(Job {
            max_bytes: 8 << 20,
            ..job("SELECT repeat('y', 5000000)")
        })
        .unwrap();
    assert_eq!(one.json.len(), 5_000_000);
    assert_eq!(it.text("SELECT pg_backend_pid()::text"), pid);

    let mut it = pool_of(Options {
        connections: 1,
        read_limit: 1 << 20,
        ..Options::default()
    });
    let pid = it.text("SELECT pg_backend_pid()::text");
    let endless = Job {
        max_rows: u32::MAX,
        ..job("SELECT repeat('x', 998) FROM ticket a, ticket b, ticket c")
    };
    assert_eq!(it.run(endless), Err(DbError::TooLarge));
    it.settle();
    assert_eq!(
        it.text("SELECT pg_backend_pid()::text"),
        pid,
        "many rows: cancelled, and the session goes on"
    );
    assert_eq!(
        it.run(job("SELECT repeat('y', 5000000)")),
        Err(DbError::TooLarge)
    );
    assert_ne!(
        it.text("SELECT pg_backend_pid()::text"),
        pid,
        "one huge row: not worth reading to its end"
    );
}

#[test]
fn prepared_statements_are_kept_within_their_bound() {
    let mut it = pool_of(Options {
        connections: 1,
        prepared: NonZeroUsize::new(3).unwrap(),
        ..Options::default()
    });
    for round in 0..2 {
        for number in 0..6 {
            assert_eq!(
                it.text(&format!("SELECT '{number}'")),
                number.to_string(),
                "round {round}"
            );
        }
    }
    // This statement itself takes one of the three places.
    assert_eq!(
        it.text("SELECT count(*)::text FROM pg_prepared_statements"),
        "3"
    );
    // A statement that fails to parse holds no place that has to be closed later.
    for number in 0..6 {
        assert_eq!(
            it.error(job(&format!("SELECT nonsense{number}"))).sqlstate,
            "42703"
        );
        assert_eq!(
            it.error(job(&format!("SELECT nonsense{number}"))).sqlstate,
            "42703"
        );
    }
    it.text("SELECT '5'");
    assert!(
        it.text("SELECT count(*)::text FROM pg_prepared_statements")
            .parse::<u32>()
            .unwrap()
            <= 3
    );
}

#[test]
fn jobs_wait_in_a_bounded_queue_and_leave_it_in_order() {
    let mut it = pool_of(Options {
        connections: 2,
        queue: 3,
        ..Options::default()
    });
    let sleep = |it: &mut Loop| it.submit(job("SELECT pg_sleep(0.3)::text"));
    let running = [sleep(&mut it), sleep(&mut it)];
    it.until("both run", |it| it.status().busy == 2);
    let brief = it.submit(Job {
        deadline: Instant::now() + Duration::from_millis(20),
        ..job("SELECT '0'")
    });
    let waiting = [it.submit(job("SELECT '1'")), it.submit(job("SELECT '2'"))];
    assert_eq!(it.status().queued, 3);
    let refused = it.submit(job("SELECT '3'"));
    assert_eq!(it.take(refused), Some(Err(DbError::Overloaded)));
    assert_eq!(it.wait(brief), Err(DbError::QueueTimeout));
    let late = it.submit(Job {
        deadline: Instant::now(),
        ..job("SELECT '4'")
    });
    assert_eq!(it.take(late), Some(Err(DbError::QueueTimeout)));
    for id in running.into_iter().chain(waiting) {
        assert!(it.wait(id).is_ok());
    }
    // Somebody who leaves the queue is heard of no more.
    let running = [sleep(&mut it), sleep(&mut it)];
    let gone = it.submit(job("SELECT '5'"));
    it.cancel(gone);
    for id in running {
        assert!(it.wait(id).is_ok());
    }
    assert!(it.take(gone).is_none());
    assert_eq!(it.status().connected, 2);
}

#[test]
fn connections_are_opened_on_demand_and_closed_when_idle() {
    let mut it = pool_of(Options {
        idle_timeout: Duration::from_secs(3),
        ..Options::default()
    });
    assert_eq!(it.status().connected, 0);
    for _ in 0..5 {
        it.text("SELECT '1'");
    }
    assert_eq!(it.status().connected, 1, "one after the other needs one");
    let mut holder = admin(shared());
    holder.execute("SELECT pg_advisory_lock(78)", &[]).unwrap();
    let held = "SELECT 'x' FROM pg_advisory_xact_lock_shared(78)";
    let ids: Vec<_> = (0..6).map(|_| it.submit(job(held))).collect();
    it.until("four are open", |it| it.status().connected == 4);
    drop(holder);
    for id in ids {
        it.wait(id).unwrap();
    }
    it.until("they are closed", |it| it.status().connected == 0);
    assert_eq!(it.text("SELECT '1'"), "1");
    it.pool.close();
    assert_eq!(it.status().connected, 0);
}
