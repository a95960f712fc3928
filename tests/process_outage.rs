//! The database fails in every way that it can, under calls: each gets the right error in time, everything else goes on, and afterwards
//! all is as before: no connection is left over, no call is stuck.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tine::cluster::{Cluster, Options};

use crate::harness::database::{self, Database, ROLE, own_cluster};
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{Answer, ERAS, Era, Post};
use crate::harness::network::Network;
use crate::harness::process;
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

/// A chain that a test can wait for.
const SHORT: &str =
    "timeout_statement = \"1s\"\ntimeout_request = \"2s\"\ntimeout_graceful_shutdown = \"4s\"";
/// The last deadline of a call and a busy machine. Longer than this no answer may take.
const DEADLINE: Duration = Duration::from_secs(12);
const WORKERS: usize = 2;
const CONNECTIONS: usize = 2;

/// Under way for as long as the database lets it. Not the gate: a database that stops may end its holder first, and let the call through.
const SLEEP_TOOL: &str = "/*+++\ndescription = \"Takes its time.\"\n+++*/\nSELECT 'slept' AS done FROM (SELECT pg_sleep(60)) AS passed\n";

/// A server with every connection that it may have.
fn start(url: &str) -> Server {
    let server = Setup::at(url)
        .workers(WORKERS)
        .tool("sleep", SLEEP_TOOL)
        .option(SHORT)
        .option(&format!("db_connections = {CONNECTIONS}"))
        .start();
    until_well(&server);
    server
}

fn echo(era: Era) -> Post {
    Post::call(era, "echo", json!({"words": "well"}))
}

fn is_well(server: &Server) -> bool {
    let (text, is_error) = echo(Era::Modern).send(server.address()).tool_text();
    !is_error && text.contains("well")
}

/// Every worker has to find out for itself.
fn until_well(server: &Server) {
    wait::until("forty good answers in a row", || {
        (0..40).all(|_| is_well(server))
    });
}

/// Answers to calls in both eras at once, each on a connection of its own.
fn answers(server: &Server, calls: usize) -> Vec<Answer> {
    let address = server.address();
    let callers: Vec<_> = (0..calls)
        .map(|call| {
            thread::spawn(move || {
                let mut caller = Connection::open(address);
                caller.set_read_timeout(DEADLINE);
                echo(ERAS[call % 2]).send_on(&mut caller, address)
            })
        })
        .collect();
    let joined = callers.into_iter().map(|caller| caller.join());
    joined
        .map(|answer| answer.expect("an answer in time"))
        .collect()
}

/// What a caller is told, as a tool's error or as one of the protocol; panics if the call succeeded.
fn told(answer: &Answer) -> String {
    let message = answer.message();
    let text = match answer.status() {
        200 if message["result"]["isError"] == true => &message["result"]["content"][0]["text"],
        503 | 504 => &message["error"]["message"],
        _ => panic!("{} {message}", answer.status()),
    };
    text.as_str()
        .unwrap_or_else(|| panic!("{message}"))
        .to_owned()
}

/// What a fault does to the calls.
struct Expected<'a> {
    /// What the call that was under way is told.
    under_way: &'a [&'a str],
    /// Or it succeeds: a server that ends its sessions may end the one that holds the gate first.
    opens: bool,
    /// What the calls that come during the outage are told.
    coming: &'a [&'a str],
}

/// Ends an outage when it is dropped.
struct Mend<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Mend<F> {
    fn drop(&mut self) {
        if let Some(mend) = self.0.take() {
            mend();
        }
    }
}

/// One outage: `strike` begins it, `mend` ends it.
fn drill(
    server: &Server,
    database: &Database,
    expected: &Expected<'_>,
    strike: impl FnOnce(),
    mend: impl FnOnce(),
) {
    let address = server.address();
    let before: Vec<_> = server.worker_pids().into_iter().map(holds).collect();
    let mut watcher = database.admin();
    let mut caller = Connection::open(address);
    caller.set_read_timeout(DEADLINE);
    caller.send(&Post::call(Era::Modern, "sleep", json!({})).bytes(address));
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait::until("the call is under way", || {
        !watcher.query(asleep, &[]).expect("activity").is_empty()
    });
    strike();
    // Also when a check fails: what is frozen could not end.
    let mend = Mend(Some(mend));
    let under_way = Answer(caller.try_response().expect("an answer in time"));
    let opened = under_way.status() == 200 && under_way.message()["result"]["isError"] == false;
    if !(expected.opens && opened) {
        let text = told(&under_way);
        assert!(
            expected.under_way.iter().any(|part| text.contains(part)),
            "{text}"
        );
    }
    for answer in answers(server, 12) {
        let text = told(&answer);
        assert!(
            expected.coming.iter().any(|part| text.contains(part)),
            "{text}"
        );
    }
    assert_eq!(http::get(address, "/health").status, 200);
    assert_eq!(
        Post::legacy("tools/list", json!(null))
            .send(address)
            .status(),
        200
    );
    wait::until("the health check reports it", || {
        http::get(address, "/health/ready").status == 503
    });
    drop(mend);
    until_well(server);
    wait::until("the health check is content", || {
        http::get(address, "/health/ready").status == 200
    });
    wait::until(
        "no call in flight, no session more than there may be, none at work",
        || {
            let idle = server.workers().iter().all(|worker| worker.inflight == 0);
            idle && sessions(database)
                .is_some_and(|(all, busy)| all <= WORKERS * CONNECTIONS && busy == 0)
        },
    );
    let pids = server.worker_pids();
    wait::until("every worker holds what it held before", || {
        let now = pids.iter().map(|&pid| holds(pid));
        now.zip(&before)
            .all(|(now, before)| now.0 <= before.0 + CONNECTIONS && now.1 == before.1)
    });
}

/// Open descriptors and threads of a worker.
fn holds(pid: i32) -> (usize, usize) {
    (process::descriptors(pid).len(), process::threads(pid))
}

/// The servers' sessions, and those of them that do something.
fn sessions(database: &Database) -> Option<(usize, usize)> {
    let row = database
        .admin()
        .query_one(
            "SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity WHERE usename = $1",
            &[&ROLE],
        )
        .ok()?;
    let number = |column| usize::try_from(row.get::<_, i64>(column)).ok();
    Some((number(0)?, number(1)?))
}

const UNREACHABLE: &str = "can't be reached";
const LOST: &str = "connection was lost";
const SLOW: &str = "too slow";
const BUSY: &str = "all stayed busy";

#[test]
fn a_database_that_stops_and_comes_back() {
    let mut cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = start(&database.url);
    let pids = server.worker_pids();
    for _ in 0..3 {
        let expected = Expected {
            under_way: &[LOST],
            opens: true,
            coming: &[UNREACHABLE],
        };
        let cluster = std::cell::RefCell::new(&mut cluster);
        drill(
            &server,
            &database,
            &expected,
            || cluster.borrow_mut().halt().expect("halt"),
            || cluster.borrow_mut().relaunch().expect("relaunch"),
        );
    }
    assert_eq!(server.worker_pids(), pids, "no worker was replaced for it");
}

#[test]
fn a_database_that_freezes_and_goes_on() {
    let cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = start(&database.url);
    let expected = Expected {
        under_way: &[SLOW],
        opens: false,
        coming: &[SLOW, BUSY, LOST, UNREACHABLE],
    };
    drill(
        &server,
        &database,
        &expected,
        || cluster.pause().expect("pause"),
        || cluster.resume().expect("resume"),
    );
}

/// A path to the cluster through a host of a test's network: what arrives at the listener goes on to the socket.
fn forward(listener: TcpListener, socket: PathBuf) {
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, UnixStream::connect(&socket)) else {
                continue;
            };
            let there = (client.try_clone(), server.try_clone());
            let (Ok(mut client_reads), Ok(mut server_writes)) = there else {
                continue;
            };
            let (mut client, mut server) = (client, server);
            thread::spawn(move || {
                let _ = io::copy(&mut client_reads, &mut server_writes);
                let _ = server_writes.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = io::copy(&mut server, &mut client);
                let _ = TcpStream::shutdown(&client, std::net::Shutdown::Both);
            });
        }
    });
}

fn socket_of(cluster: &Cluster) -> PathBuf {
    let name = format!(".s.PGSQL.{}", cluster.port());
    Path::new(cluster.socket_folder()).join(name)
}

#[test]
fn a_database_whose_network_is_cut_and_joined() {
    let Some(network) = Network::new() else {
        return;
    };
    let cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let host = network.host(2);
    let address = SocketAddr::from((host.address, 5432));
    let listener = host
        .run(|| TcpListener::bind(address))
        .expect("a listener on the host");
    forward(listener, socket_of(&cluster));
    let name = database.url.rsplit('/').next().expect("a name");
    let url = format!("postgresql://{ROLE}@{address}/{name}?sslmode=disable");
    let expected = Expected {
        under_way: &[SLOW],
        opens: false,
        coming: &[SLOW, BUSY, LOST, UNREACHABLE],
    };
    network.run(|| {
        let server = start(&url);
        drill(
            &server,
            &database,
            &expected,
            || network.cut(&host),
            || network.join(&host),
        );
    });
}

#[test]
fn a_database_without_a_connection_to_spare() {
    let cluster = Cluster::start(
        Options {
            settings: [
                ("max_connections", "8"),
                ("superuser_reserved_connections", "4"),
                ("max_wal_senders", "0"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            ..database::options()
        },
        &mut |_| {},
    )
    .unwrap_or_else(|fault| panic!("{fault}"));
    database::connect(&cluster.url("postgres", tine::cluster::SUPERUSER))
        .batch_execute(&format!("CREATE ROLE {ROLE} LOGIN"))
        .expect("role");
    let database = Database::fresh_in(&cluster);
    // Four are left for everybody but the superuser, and others have them all before the server makes its first.
    let mut others: Vec<_> = (0..4).map(|_| database.owner()).collect();
    let server = Setup::at(&database.url)
        .workers(WORKERS)
        .option(SHORT)
        .option(&format!("db_connections = {CONNECTIONS}"))
        .start();
    for answer in answers(&server, 12) {
        assert!(told(&answer).contains(UNREACHABLE), "{}", told(&answer));
    }
    assert_eq!(http::get(server.address(), "/health").status, 200);
    let ready = http::get(server.address(), "/health/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("53300"), "says why: {}", ready.text());
    // One comes free: whoever gets it answers, and nobody is stuck for the others.
    others.pop();
    wait::until("a good answer", || is_well(&server));
    drop(others);
    until_well(&server);
    wait::until("no session more than there may be, none at work", || {
        sessions(&database).is_some_and(|(all, busy)| all <= WORKERS * CONNECTIONS && busy == 0)
    });
    assert!(server.workers().iter().all(|worker| worker.inflight == 0));
}
