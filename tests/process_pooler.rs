//! A server with a real pgbouncer between it and PostgreSQL, under load: what happens to the pooler, or to the server behind it, costs at
//! most the calls that were running, and nothing is done twice.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use tine::cluster::{Cluster, Options};

use crate::harness::database::{self, Database};
use crate::harness::http::Connection;
use crate::harness::mcp::{ERAS, Post};
use crate::harness::pooler::Pooler;
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

const CLIENTS: usize = 6;

const WRITE_TOOL: &str = r#"/*+++
description = "Writes a line."
annotations = { read_only = false }
[params.words]
type = "text"
description = "What to write."
+++*/
INSERT INTO line (words) VALUES (:words) RETURNING words
"#;

/// PostgreSQL, a pooler with fewer sessions than the server has connections, and the server.
struct Line {
    server: Server,
    pooler: Pooler,
    database: Database,
    cluster: Cluster,
}

fn line(setup: impl FnOnce(Setup) -> Setup) -> Line {
    let options = Options {
        tcp: true,
        ..database::options()
    };
    let cluster = database::cluster_with(options);
    let database = Database::fresh_in(&cluster);
    database
        .owner()
        .batch_execute("CREATE TABLE line (words text)")
        .expect("the test's own script");
    let pooler = Pooler::start(&cluster, "default_pool_size = 5\nserver_login_retry = 0.1");
    let url = pooler.url(&database.name, database::ROLE);
    let server = setup(Setup::at(&url).tool("write", WRITE_TOOL)).start();
    Line {
        server,
        pooler,
        database,
        cluster,
    }
}

/// What became of the writes.
#[derive(Default)]
struct Written {
    confirmed: [AtomicUsize; CLIENTS],
    words: Mutex<Vec<String>>,
    errors: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Written {
    /// One client: every third call writes words that nobody else writes, the others read.
    fn call(&self, client: usize, server: &Server) {
        let mut connection = Connection::open(server.address());
        for call in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let words = format!("{client} {call}");
            let tool = if call % 3 == 0 { "write" } else { "echo" };
            let post = Post::call(ERAS[call % 2], tool, json!({"words": words}));
            let answer = post.send_on(&mut connection, server.address());
            let (text, failed) = answer.tool_text();
            if failed {
                self.errors.lock().expect("no panic").push(text);
            } else {
                assert!(text.contains(&words), "{text}");
                self.confirmed[client].fetch_add(1, Ordering::Relaxed);
                if tool == "write" {
                    self.words.lock().expect("no panic").push(words);
                }
            }
            if answer.0.closes() {
                connection = Connection::open(server.address());
            }
        }
    }

    fn errors(&self) -> Vec<String> {
        std::mem::take(&mut *self.errors.lock().expect("no panic"))
    }

    /// Waits until every client has been told so many further results.
    fn until_all_go_on(&self, results: usize) {
        let count = |client: usize| self.confirmed[client].load(Ordering::Relaxed);
        let goals: Vec<usize> = (0..CLIENTS).map(|client| count(client) + results).collect();
        wait::until("every client is served", || {
            (0..CLIENTS).all(|client| count(client) >= goals[client])
        });
    }

    /// Nothing that was confirmed is missing, and nothing is there twice.
    fn check(&self, database: &Database) {
        let rows = database
            .owner()
            .query("SELECT words FROM line", &[])
            .expect("the lines");
        let there: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(there.len(), rows.len(), "something was written twice");
        let words = self.words.lock().expect("no panic");
        assert!(words.len() > CLIENTS);
        for words in words.iter() {
            assert!(there.contains(words), "{words} was confirmed");
        }
    }
}

/// Ends the clients when the test's own part is over, or has failed.
struct Stop<'a>(&'a Written);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Calls from all clients while `meanwhile` runs.
fn under_load(server: &Server, meanwhile: impl FnOnce(&Written)) -> Written {
    let written = Written::default();
    thread::scope(|scope| {
        let _stop = Stop(&written);
        for client in 0..CLIENTS {
            let written = &written;
            scope.spawn(move || written.call(client, server));
        }
        written.until_all_go_on(20);
        meanwhile(&written);
    });
    written
}

#[test]
fn a_pooler_that_dies_under_load_costs_what_was_running() {
    let mut line = line(|setup| setup.option("limit_max_requests = 100"));
    let written = under_load(&line.server, |written| {
        assert_eq!(written.errors(), [""; 0]);
        for _ in 0..2 {
            line.pooler.kill();
            wait::until("calls are told", || {
                !written.errors.lock().expect("no panic").is_empty()
            });
            line.pooler.relaunch();
            written.until_all_go_on(20);
            for text in written.errors() {
                let known = ["Nothing was run", "connection was lost"];
                assert!(known.iter().any(|words| text.contains(words)), "{text}");
            }
        }
        written.until_all_go_on(20);
        assert_eq!(
            written.errors(),
            [""; 0],
            "it is over with the pooler's return"
        );
    });
    written.check(&line.database);
}

/// How to restart PostgreSQL and have nobody notice: the pooler holds the calls meanwhile, within their deadlines.
#[test]
fn postgresql_restarts_behind_a_paused_pooler_and_no_call_fails() {
    let mut line = line(|setup| setup);
    let written = under_load(&line.server, |written| {
        line.pooler.order("PAUSE");
        line.cluster.restart().expect("PostgreSQL restarts");
        line.pooler.order("RESUME");
        written.until_all_go_on(20);
        assert_eq!(written.errors(), [""; 0]);
    });
    written.check(&line.database);
}
