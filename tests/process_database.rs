//! The database from the server's point of view: busy, frozen, restarted, gone, and behind a pooler.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::unistd::{Uid, User};
use serde_json::{Value, json};
use tine::cluster::Cluster;
use tine_worker::db;
use tine_worker::files::Files;

use crate::check_tools::check;
use crate::harness::database::{Database, own_cluster};
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

fn echo(words: &str) -> Post {
    Post::call(Era::Modern, "echo", json!({"words": words}))
}

fn echoes(server: &Server) -> bool {
    let (text, is_error) = echo("still here").send(server.address()).tool_text();
    assert!(is_error || text.contains("still here"), "{text}");
    !is_error
}

#[test]
fn a_client_that_hangs_up_cancels_its_query() {
    for era in ERAS {
        let database = Database::fresh();
        let mut gate = database.close_gate();
        let server = Setup::new(&database).option(PATIENT).start();
        let mut caller = Connection::open(server.address());
        caller.send(&Post::call(era, "gate", json!({})).bytes(server.address()));
        gate.until_waiting(1);
        drop(caller);
        gate.until_waiting(0);
        wait::until("no call in flight", || {
            server.workers().iter().all(|worker| worker.inflight == 0)
        });
        assert!(echoes(&server));
        let cancelled = server.health()["totals"]["cancelled"].as_u64();
        assert_eq!(cancelled, Some(1), "{era:?}");
    }
}

#[test]
fn a_client_that_hangs_up_gives_its_place_in_the_queue_back() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("db_connections = 1")
        .start();
    let mut first = Connection::open(server.address());
    first.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    let mut second = Connection::open(server.address());
    second.send(&echo("never").bytes(server.address()));
    wait::until("both in flight", || server.workers()[0].inflight >= 2);
    drop(second);
    wait::until("only the first in flight", || {
        server.workers()[0].inflight == 1
    });
    gate.open();
    assert_eq!(first.response().status, 200);
}

#[test]
fn everything_but_calls_is_answered_while_all_database_connections_are_busy() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("db_connections = 2")
        .start();
    let mut callers: Vec<Connection> = (0..4).map(|_| Connection::open(server.address())).collect();
    for caller in &mut callers {
        caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    }
    gate.until_waiting(2);
    wait::until("all four calls are in flight", || {
        server.workers()[0].inflight >= 4
    });
    for _ in 0..10 {
        assert_eq!(server.health()["status"], "ok");
        let ready = http::get(server.address(), "/health/ready");
        assert_eq!(ready.status, 200, "{}", ready.text());
        assert_eq!(
            Post::legacy("tools/list", Value::Null)
                .send(server.address())
                .status(),
            200
        );
        assert_eq!(
            Post::modern("server/discover", Value::Null)
                .send(server.address())
                .status(),
            200
        );
    }
    assert_eq!(gate.waiting(), 2, "nothing was freed for it");
    gate.open();
    for caller in &mut callers {
        assert_eq!(caller.response().status, 200);
    }
}

#[test]
fn a_statement_that_runs_too_long_is_a_tool_error_and_frees_its_connection() {
    for era in ERAS {
        let database = Database::fresh();
        let mut gate = database.close_gate();
        let server = Setup::new(&database)
            .workers(1)
            .option("db_connections = 1")
            .option("timeout_statement = \"300ms\"")
            .start();
        let (text, is_error) = Post::call(era, "gate", json!({}))
            .send(server.address())
            .tool_text();
        assert!(is_error, "{text}");
        assert!(
            text.contains("too slow"),
            "says that it took too long: {text}"
        );
        assert_eq!(gate.waiting(), 0);
        assert!(echoes(&server));
    }
}

#[test]
fn connections_survive_a_restart_of_postgresql() {
    let mut cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = Setup::new(&database).start();
    let pids = server.worker_pids();
    for _ in 0..20 {
        assert!(echoes(&server));
    }
    cluster.restart().expect("restart");
    wait::until("the first good answer", || echoes(&server));
    // Every worker has to find out for itself; none of them may be lost for good.
    wait::until("fifty good answers in a row", || {
        (0..50).all(|_| echoes(&server))
    });
    assert_eq!(server.worker_pids(), pids, "no worker was replaced for it");
}

#[test]
fn while_the_database_is_down_calls_fail_at_once_and_the_rest_goes_on() {
    let mut cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = Setup::new(&database).start();
    assert!(echoes(&server));
    cluster.halt().expect("halt");
    for era in ERAS {
        for _ in 0..10 {
            let answer = Post::call(era, "echo", json!({"words": "x"})).send(server.address());
            let (text, is_error) = answer.tool_text();
            assert!(is_error, "{text}");
            assert!(text.contains("database"), "{text}");
        }
    }
    assert_eq!(
        Post::legacy("tools/list", Value::Null)
            .send(server.address())
            .status(),
        200
    );
    assert_eq!(http::get(server.address(), "/health").status, 200);
    wait::until("the health check reports it", || {
        http::get(server.address(), "/health/ready").status == 503
    });
    cluster.relaunch().expect("relaunch");
    wait::until("the first good answer", || echoes(&server));
    wait::until("the health check is content", || {
        http::get(server.address(), "/health/ready").status == 200
    });
}

#[test]
fn a_server_starts_without_its_database_and_finds_it_later() {
    let mut cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    cluster.halt().expect("halt");
    let server = Setup::new(&database).start();
    assert!(!echoes(&server));
    assert_eq!(http::get(server.address(), "/health/ready").status, 503);
    cluster.relaunch().expect("relaunch");
    wait::until("the first good answer", || echoes(&server));
}

#[test]
fn a_frozen_database_costs_a_call_its_deadline_and_no_more() {
    let cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = Setup::new(&database)
        .workers(1)
        .option("timeout_statement = \"500ms\"")
        .option("timeout_request = \"2s\"")
        .start();
    assert!(echoes(&server));
    cluster.pause().expect("pause");
    let answer = echo("x").send(server.address());
    let message = answer.message();
    let told = message.get("error").is_some() || message["result"]["isError"] == json!(true);
    assert!(told, "{} {message}", answer.status());
    assert_eq!(http::get(server.address(), "/health").status, 200);
    wait::until("the health check reports it", || {
        http::get(server.address(), "/health/ready").status == 503
    });
    cluster.resume().expect("resume");
    wait::until("the first good answer", || echoes(&server));
}

/// Sessions ended one by one, by the administrator: a call on a dead session is either run on a new one or told the truth.
#[test]
fn sessions_that_are_terminated_are_replaced() {
    let database = Database::fresh();
    let server = Setup::new(&database).workers(2).start();
    let mut admin = database.admin();
    for _ in 0..10 {
        assert!(echoes(&server));
        admin
            .execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'bot'",
                &[],
            )
            .expect("terminate");
        wait::until("a good answer", || echoes(&server));
    }
}

/// pgbouncer with fewer sessions than the server has connections, each transaction on any of them.
struct Pgbouncer {
    child: Child,
    folder: std::path::PathBuf,
    url: String,
}

impl Pgbouncer {
    fn start(cluster: &Cluster, database: &str) -> Pgbouncer {
        let folder = std::env::temp_dir().join(format!("tine-pgbouncer-{}", std::process::id()));
        fs::create_dir(&folder).expect("folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("mode");
        let config = folder.join("pgbouncer.ini");
        fs::write(
            &config,
            format!(
                "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
                 unix_socket_dir = {folder}\nunix_socket_mode = 0777\nauth_type = any\npool_mode = transaction\n\
                 default_pool_size = 3\nmax_client_conn = 200\nlogfile = {folder}/log\n\
                 ignore_startup_parameters = extra_float_digits\n",
                cluster.socket_folder().display(),
                cluster.port(),
                folder = folder.display(),
            )
            // `auth_type = any` logs in as the user that the database entry names.
            .replace("port=", "user=bot port="),
        )
        .expect("configuration");
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if Uid::current().is_root() {
            // It refuses to be root, as the cluster does.
            let account = User::from_name("postgres")
                .expect("users")
                .expect("the account of the Debian package");
            for path in [&folder, &config] {
                chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).expect("owner");
            }
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer");
        let url = format!(
            "host={} port=6432 user=bot dbname={database}",
            folder.display()
        );
        let pooler = Pgbouncer { child, folder, url };
        wait::until("pgbouncer lets us in", || {
            postgres::Client::connect(&pooler.url, postgres::NoTls).is_ok()
        });
        pooler
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "{}",
                fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn it_works_behind_pgbouncer_in_transaction_mode() {
    let cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let name = database.url.rsplit('/').next().expect("a name");
    database
        .owner()
        .batch_execute(
            "CREATE TABLE note(id int GENERATED ALWAYS AS IDENTITY, words text NOT NULL)",
        )
        .expect("table");
    let pooler = Pgbouncer::start(&cluster, name);
    let server = Setup::bare()
        .database("main", &pooler.url)
        .table("pooler = \"transaction\"")
        .tool("echo", "/*+++\ndescription = \"Echo.\"\n[params.words]\ntype = \"text\"\ndescription = \"Any.\"\n+++*/\nSELECT :words AS words\n")
        .tool(
            "write",
            "/*+++\ndescription = \"Writes.\"\nannotations = { read_only = false }\nexpect_rows = 1\n\
             [params.words]\ntype = \"text\"\ndescription = \"Any.\"\n+++*/\n\
             INSERT INTO note(words) VALUES (:words) RETURNING id\n",
        )
        .start();
    let address = server.address();
    let clients: Vec<_> = (0..8)
        .map(|client| {
            thread::spawn(move || {
                for round in 0..25 {
                    let words = format!("{client}-{round}");
                    let (text, is_error) = echo(&words).send(address).tool_text();
                    assert!(!is_error && text.contains(&words), "{words}: {text}");
                    let written =
                        Post::call(Era::Legacy, "write", json!({"words": words})).send(address);
                    let (text, is_error) = written.tool_text();
                    assert!(!is_error, "{text}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("every call is answered");
    }
    let row = database
        .owner()
        .query_one("SELECT count(*), count(DISTINCT words) FROM note", &[])
        .expect("rows");
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (200, 200),
        "every write happened once"
    );

    // A check goes the same way, although no session is its own.
    let settings =
        db::Settings::parse("main", &pooler.url, &db::Options::default(), &Files::disk());
    let client = settings
        .expect("a URL")
        .connect_blocking("tine check")
        .expect("a session");
    let front = "annotations = { read_only = false }\n[[example]]\nargs = {}";
    let insert = "INSERT INTO note(words) VALUES ('never') RETURNING id";
    let report = check(
        client,
        &[("a.sql", front, insert), ("b.sql", "", "SELECT nope")],
    );
    assert!(report.tools[0].proven && report.tools[0].examples[0].passed);
    assert!(!report.tools[1].proven);
}
