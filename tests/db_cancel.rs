//! Calls that end before their statement does: deadlines, clients that hang up, servers that are frozen.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tine::cluster::{Cluster, SUPERUSER};
use tine_worker::db::{Access, DbError, Event, Job, JobId, Options};

use super::db_harness::{Loop, admin, cluster, eventually, job, shared, writing};

/// A pool of one connection, not yet open.
fn closed(cluster: &Cluster) -> Loop {
    Loop::new(
        &cluster.url("postgres", SUPERUSER),
        Options {
            connections: 1,
            ..Options::default()
        },
    )
}

/// The same, already open: the deadlines of its calls are not about logging in.
fn single(cluster: &Cluster) -> Loop {
    let mut it = closed(cluster);
    it.text("SELECT '1'");
    it
}

fn brief(sql: &str) -> Job {
    Job {
        deadline: Instant::now() + Duration::from_millis(50),
        ..job(sql)
    }
}

/// How many statements with this mark the server runs now.
fn running(cluster: &Cluster, mark: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%' \
               AND pid <> pg_backend_pid()";
    admin(cluster).query_one(sql, &[&mark]).unwrap().get(0)
}

#[test]
fn a_deadline_cancels_the_statement_and_keeps_the_connection() {
    let mut it = single(shared());
    let pid = it.text("SELECT pg_backend_pid()::text");
    for access in [Access::ReadOnly, Access::ReadWrite] {
        assert_eq!(
            it.run(Job {
                access,
                ..brief("SELECT pg_sleep(60)::text AS deadline_mark")
            }),
            Err(DbError::Timeout)
        );
        it.settle();
        assert_eq!(running(shared(), "deadline_mark"), 0);
        assert_eq!(it.text("SELECT pg_backend_pid()::text"), pid);
    }
}

#[test]
fn a_client_that_hangs_up_ends_its_statement_and_nothing_else() {
    let mut it = single(shared());
    let pid = it.text("SELECT pg_backend_pid()::text");
    let id = it.submit(job("SELECT pg_sleep(60)::text AS hang_up_mark"));
    it.until("it runs", |_| running(shared(), "hang_up_mark") == 1);
    // The next job waits for the connection, and must not be hit by the cancel request of the one before.
    it.cancel(id);
    let next = it.submit(job("SELECT pg_sleep(0.2)::text"));
    assert!(it.wait(next).is_ok());
    assert!(it.told.is_empty(), "nobody is left to tell: {:?}", it.told);
    eventually("the server has stopped it", || {
        running(shared(), "hang_up_mark") == 0
    });
    assert_eq!(it.text("SELECT pg_backend_pid()::text"), pid);
    // To cancel what has ended already is nothing.
    it.cancel(id);
    it.cancel(JobId(u64::MAX));
    assert_eq!(it.text("SELECT '1'"), "1");
}

#[test]
fn a_late_cancel_never_hits_the_next_call() {
    let mut it = single(shared());
    for _ in 0..100 {
        // It ends at about the moment at which it is cancelled.
        let id = it.submit(job("SELECT pg_sleep(0.001)::text"));
        it.turn();
        it.cancel(id);
        let next = it.submit(job("SELECT pg_sleep(0.002)::text"));
        assert!(it.wait(next).is_ok());
    }
}

/// Passes everything between a pool and the shared server on, but holds back cancel requests until the gate opens.
fn slow_for_cancels(gate: Receiver<()>) -> u16 {
    const CANCEL: [u8; 4] = 80_877_102_u32.to_be_bytes();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server_port = shared().port();
    thread::spawn(move || {
        let gate = Arc::new(Mutex::new(gate));
        for client in listener.incoming() {
            let (mut client, gate) = (client.unwrap(), Arc::clone(&gate));
            thread::spawn(move || {
                let mut start = [0; 8];
                client.read_exact(&mut start).unwrap();
                if start[4..] == CANCEL {
                    let _ = gate.lock().unwrap().recv();
                }
                let mut server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                server.write_all(&start).unwrap();
                let (mut from_server, mut to_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = io::copy(&mut from_server, &mut to_client);
                    let _ = to_client.shutdown(Shutdown::Both);
                });
                let _ = io::copy(&mut client, &mut server);
                let _ = server.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

#[test]
fn a_cancel_that_comes_late_finds_the_connection_unused() {
    let (open_gate, gate) = mpsc::channel();
    let port = slow_for_cancels(gate);
    let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let mut it = Loop::new(
        &url,
        Options {
            connections: 1,
            ..Options::default()
        },
    );
    let pid = it.text("SELECT pg_backend_pid()::text");
    let mut holder = admin(shared());
    holder.execute("SELECT pg_advisory_lock(77)", &[]).unwrap();
    let id = it.submit(job(
        "SELECT 'x' AS late_mark FROM pg_advisory_xact_lock_shared(77)",
    ));
    it.until("it runs", |_| running(shared(), "late_mark") == 1);
    it.cancel(id);
    drop(holder);
    let next = it.submit(job("SELECT pg_sleep(0.5)::text || pg_backend_pid()"));
    // The first statement ends by itself, its cancel request is still on its way.
    it.until("it has ended", |_| running(shared(), "late_mark") == 0);
    for _ in 0..5 {
        it.turn();
    }
    open_gate.send(()).unwrap();
    let rows = it.wait(next).unwrap();
    assert_eq!(
        String::from_utf8(rows.json).unwrap(),
        pid,
        "on the same connection, after it"
    );
}

#[test]
fn a_cancelled_write_is_undone() {
    admin(shared())
        .batch_execute("CREATE TABLE half_done(id int)")
        .unwrap();
    let mut it = single(shared());
    let slow = "WITH x AS (INSERT INTO half_done VALUES (1) RETURNING id) SELECT pg_sleep(60)::text FROM x";
    let job = Job {
        access: Access::ReadWrite,
        expect_rows: Some(1),
        ..brief(slow)
    };
    assert_eq!(it.run(job), Err(DbError::Timeout));
    it.settle();
    assert_eq!(it.text("SELECT count(*)::text FROM half_done"), "0");
}

#[test]
fn a_write_that_was_committed_is_not_called_a_timeout() {
    // It cannot be cancelled while it holds off interrupts, so it ends well although its deadline has passed.
    admin(shared())
        .batch_execute(
            "CREATE TABLE stubborn(id int);
             CREATE FUNCTION stubborn() RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(60); RETURN 'x'; EXCEPTION WHEN query_canceled THEN
                INSERT INTO stubborn VALUES (1); RETURN 'committed'; END $$",
        )
        .unwrap();
    let mut it = single(shared());
    let result = it.run(Job {
        access: Access::ReadWrite,
        ..brief("SELECT stubborn()")
    });
    assert_eq!(result.unwrap().json, b"committed");
    it.settle();
    assert_eq!(it.text("SELECT count(*)::text FROM stubborn"), "1");
}

#[test]
fn a_frozen_server_costs_nobody_more_than_the_deadline() {
    let cluster = cluster(&[]);
    let mut it = Loop::new(
        &cluster.tcp_url("postgres", SUPERUSER),
        Options {
            connections: 2,
            connect_timeout: Duration::from_millis(500),
            ..Options::default()
        },
    );
    let ids: Vec<JobId> = (0..2)
        .map(|_| it.submit(job("SELECT pg_sleep(0.05)::text")))
        .collect();
    for id in ids {
        it.wait(id).unwrap();
    }
    assert_eq!(it.status().connected, 2);
    cluster.pause().unwrap();
    let read = it.submit(brief("SELECT '1'"));
    let write = it.submit(Job {
        access: Access::ReadWrite,
        ..brief("SELECT '1'")
    });
    assert_eq!(it.wait(read), Err(DbError::Timeout));
    assert!(
        matches!(it.wait(write), Err(DbError::Lost(_))),
        "a write may have happened"
    );
    it.until("the connections are given up", |it| {
        it.status().connected == 0
    });
    let Err(DbError::Unavailable(reason)) = it.run(job("SELECT '1'")) else {
        panic!("it cannot connect")
    };
    assert!(reason.contains("no answer within"), "{reason}");
    cluster.resume().unwrap();
    let mut last = None;
    it.until("it recovers", |it| {
        last = Some(it.run(job("SELECT '1'")));
        matches!(last, Some(Ok(_)))
    });
}

#[test]
fn a_probe_is_answered_whatever_the_connections_do() {
    let cluster = cluster(&[]);
    let mut it = closed(&cluster);
    assert_eq!(it.probe(), Ok(()), "a connection of its own");
    assert_eq!(it.status().connected, 1, "which stays");
    let proof = it.status().last_proof.unwrap();
    assert_eq!(it.probe(), Ok(()), "fresh enough");
    if proof.elapsed() < Duration::from_millis(500) {
        assert_eq!(it.status().last_proof, Some(proof));
    }

    it.text("SELECT '1'");
    let age = |it: &mut Loop| {
        let proof = it.status().last_proof.unwrap();
        it.until("the proof is old", |_| {
            proof.elapsed() > Duration::from_millis(600)
        });
        proof
    };
    let proof = age(&mut it);
    assert_eq!(it.probe(), Ok(()), "the idle connection");
    assert!(it.status().last_proof.unwrap() > proof);

    let id = it.submit(job("SELECT pg_sleep(60)::text"));
    let proof = age(&mut it);
    assert_eq!(it.status().busy, 1);
    assert_eq!(it.probe(), Ok(()), "all are busy");
    assert_eq!(it.status().connected, 1, "no room for one more");
    assert!(it.status().last_proof.unwrap() > proof);
    it.cancel(id);
    it.settle();

    // Idle connection, frozen server; then no connection, frozen server.
    age(&mut it);
    cluster.pause().unwrap();
    assert_eq!(it.probe(), Err(DbError::Timeout));
    it.until("the connection is given up", |it| {
        it.status().connected == 0
    });
    assert_eq!(it.probe(), Err(DbError::Timeout));
    cluster.resume().unwrap();
    it.until("it recovers", |it| it.probe().is_ok());
    assert!(
        !it.told.iter().any(|event| matches!(event, Event::Done(..))),
        "{:?}",
        it.told
    );
    cluster.stop().unwrap();
    age(&mut it);
    assert!(it.probe().is_err());
}

#[test]
fn a_call_that_floods_the_loop_lets_others_through() {
    let url = shared().url("postgres", SUPERUSER);
    let mut it = Loop::new(
        &url,
        Options {
            connections: 2,
            ..Options::default()
        },
    );
    let flood = Job {
        max_rows: u32::MAX,
        timeout: Duration::from_secs(60),
        deadline: Instant::now() + Duration::from_secs(60),
        ..job("SELECT repeat('x', 60) FROM ticket a, ticket b")
    };
    let flood = it.submit(flood);
    assert_eq!(it.run(job("SELECT '1'")).unwrap().json, b"1");
    let rows = it.wait(flood);
    assert!(matches!(rows, Ok(ref rows) if rows.truncated) || rows == Err(DbError::TooLarge));
    assert_eq!(it.run(writing("SELECT '1'")).unwrap().json, b"1");
}
