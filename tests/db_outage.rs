//! Servers that are full, go away and come back.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::NoTls;
use tine::cluster::{Cluster, SUPERUSER};
use tine_worker::db::{Access, DbError, Job, JobId, Options};

use super::db_harness::{Loop, admin, cluster, eventually, job, shared, writing};

fn pool(cluster: &Cluster) -> Loop {
    Loop::new(&cluster.url("postgres", SUPERUSER), Options::default())
}

/// A job that holds its connection until it is told to stop or the server goes.
fn sleeper() -> Job {
    Job {
        timeout: Duration::from_secs(60),
        deadline: Instant::now() + Duration::from_secs(60),
        ..job("SELECT pg_sleep(60)::text")
    }
}

#[test]
fn a_restarted_server_is_found_again() {
    let mut cluster = cluster(&[]);
    let mut it = pool(&cluster);
    it.text("SELECT '1'");
    let running = [
        it.submit(sleeper()),
        it.submit(Job {
            access: Access::ReadWrite,
            ..sleeper()
        }),
    ];
    it.until("both run", |it| it.status().busy == 2);
    cluster.halt().unwrap();
    for id in running {
        let Err(DbError::Lost(reason)) = it.wait(id) else {
            panic!("the call was lost with its server")
        };
        assert!(!reason.is_empty());
    }
    it.until("idle connections are noticed too", |it| {
        it.status().connected == 0
    });
    // Down: a clear answer at once, again and again, and no connection is tried for each of them.
    for _ in 0..50 {
        let Err(DbError::Unavailable(reason)) = it.run(job("SELECT '1'")) else {
            panic!("nobody answers")
        };
        assert!(reason.contains(".s.PGSQL."), "{reason}");
    }
    assert!(it.status().last_error.is_some());
    cluster.relaunch().unwrap();
    it.until("it is found", |it| it.run(job("SELECT '1'")).is_ok());
    assert!(it.status().last_error.is_none());
}

#[test]
fn an_idle_connection_that_was_ended_is_replaced_without_notice() {
    let mut it = pool(shared());
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let pid = it.text("SELECT pg_backend_pid()::text");
        let ended: bool = admin(shared())
            .query_one(&format!("SELECT pg_terminate_backend({pid}, 5000)"), &[])
            .unwrap()
            .get(0);
        assert!(ended);
        it.until("it is noticed", |it| it.status().connected == 0);
        assert!(
            it.status()
                .last_error
                .unwrap()
                .contains("terminating connection")
        );
        assert!(
            it.run(Job {
                access,
                ..job("SELECT '1'")
            })
            .is_ok()
        );
    }
}

#[test]
fn a_killed_backend_takes_its_call_along() {
    // Its own cluster: a crash restarts every session of a server.
    let cluster = cluster(&[("restart_after_crash", "on")]);
    let mut it = pool(&cluster);
    let pid: i32 = it.text("SELECT pg_backend_pid()::text").parse().unwrap();
    let id = it.submit(sleeper());
    it.until("it runs", |it| it.status().busy == 1);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert!(matches!(it.wait(id), Err(DbError::Lost(_))));
    it.until("the server has recovered", |it| {
        it.run(job("SELECT '1'")).is_ok()
    });
}

#[test]
fn a_full_server_leaves_the_pool_what_it_has() {
    let cluster = cluster(&[
        ("max_connections", "5"),
        ("superuser_reserved_connections", "0"),
        ("max_wal_senders", "0"),
    ]);
    admin(&cluster)
        .batch_execute("CREATE ROLE bot LOGIN")
        .unwrap();
    let url = cluster.url("postgres", "bot");
    let mut others: Vec<_> = (0..4)
        .map(|_| postgres::Client::connect(&url, NoTls).unwrap())
        .collect();
    eventually("the administrator's session is gone", || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        others[0].query_one(sql, &[]).unwrap().get::<_, i64>(0) == 4
    });
    let mut it = Loop::new(&url, Options::default());
    // One place is left: all jobs go through it.
    let ids: Vec<JobId> = (0..6)
        .map(|_| it.submit(job("SELECT pg_sleep(0.02)::text")))
        .collect();
    for id in ids {
        assert!(it.wait(id).is_ok());
    }
    assert_eq!(it.status().connected, 1);
    assert!(it.status().last_error.unwrap().contains("53300"));
    // And none at all: a clear answer.
    let mut second = Loop::new(&url, Options::default());
    let Err(DbError::Unavailable(reason)) = second.run(job("SELECT '1'")) else {
        panic!("there is no room")
    };
    assert!(reason.contains("53300"), "{reason}");
    others.clear();
    second.until("there is room again", |it| {
        it.run(job("SELECT '1'")).is_ok()
    });
}

#[test]
fn a_server_that_starts_up_is_waited_for_by_trying() {
    // Accepts and answers like a server in recovery: FATAL 57P03, then closes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = listener.accept().unwrap();
        let mut startup = [0; 1024];
        assert!(client.read(&mut startup).unwrap() > 8);
        let body = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
        let mut message = vec![b'E'];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend(body);
        client.write_all(&message).unwrap();
    });
    let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let mut it = Loop::new(&url, Options::default());
    let Err(DbError::Unavailable(reason)) = it.run(job("SELECT '1'")) else {
        panic!("it is starting up")
    };
    assert!(
        reason.contains("starting up") && reason.contains("57P03"),
        "{reason}"
    );
    server.join().unwrap();
}

#[test]
fn a_peer_that_is_no_postgresql_is_refused() {
    use std::io::{Read, Write};
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"S and more in the clear",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            client.read_exact(&mut request).unwrap();
            client.write_all(answer).unwrap();
        });
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require");
        let mut it = Loop::new(
            &url,
            Options {
                connect_timeout: Duration::from_secs(2),
                ..Options::default()
            },
        );
        let result = it.run(job("SELECT '1'"));
        assert!(matches!(result, Err(DbError::Unavailable(_))), "{result:?}");
        server.join().unwrap();
    }
}

#[test]
fn jobs_of_a_healthy_pool_survive_each_other() {
    // Errors, cancels, writes and reads in one crowd: every job hears exactly once.
    let mut it = pool(shared());
    admin(shared())
        .batch_execute("CREATE TABLE crowd(id int)")
        .unwrap();
    let mut waiting = Vec::new();
    for round in 0..60 {
        let kind = round % 4;
        let id = it.submit(match kind {
            0 => job("SELECT '1'"),
            1 => job("SELECT 1/0"),
            2 => writing("INSERT INTO crowd VALUES (1) RETURNING '1'"),
            _ => job("SELECT pg_sleep(0.01)::text"),
        });
        if round % 8 == 3 {
            it.cancel(id);
        } else {
            waiting.push((kind, id));
        }
        it.turn();
    }
    for (kind, id) in waiting {
        let result = it.wait(id);
        assert_eq!(result.is_err(), kind == 1, "{result:?}");
    }
    it.settle();
    assert!(it.told.is_empty(), "{:?}", it.told);
    assert_eq!(it.text("SELECT count(*)::text FROM crowd"), "15");
}
