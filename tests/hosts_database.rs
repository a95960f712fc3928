//! PostgreSQL on two hosts, a primary and its replica, and Tine on a third: writing tools find the primary, reading ones the replica,
//! and each what is left when one of them goes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use serde_json::{Value, json};
use tine::cluster::{Cluster, Options, SUPERUSER};

use crate::db_harness::{admin, allow};
use crate::harness::database::ROLE;
use crate::harness::mcp::{Era, Post};
use crate::harness::network::{Host, Network};
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

const WRITE_TOOL: &str = r#"/*+++
description = "Writes a line."
database = "main"
annotations = { read_only = false }
[params.words]
type = "text"
description = "What to write."
+++*/
INSERT INTO line (words) VALUES (:words) RETURNING words
"#;

const READ_TOOL: &str = r#"/*+++
description = "Reads the newest line, and says whom it asked."
database = "reads"
+++*/
SELECT host(inet_server_addr()) AS server, (SELECT words FROM line ORDER BY id DESC LIMIT 1) AS words
"#;

const WORKERS: usize = 2;
/// To each database, with four a worker.
const CONNECTIONS: usize = 4 * WORKERS;

fn options() -> Options {
    Options {
        tcp: true,
        settings: vec![("listen_addresses".into(), "*".into())],
        ..Options::temporary()
    }
}

fn primary(host: &Host) -> Cluster {
    let cluster = host
        .run(|| Cluster::start(options(), &mut |_| {}))
        .unwrap_or_else(|fault| panic!("{fault}"));
    allow(&cluster, "host all,replication all 10.77.0.0/24 trust");
    admin(&cluster)
        .batch_execute(&format!(
            "CREATE ROLE {ROLE} LOGIN;
             CREATE TABLE line (id bigint GENERATED ALWAYS AS IDENTITY, words text);
             GRANT SELECT, INSERT ON line TO {ROLE}"
        ))
        .expect("the test's own script");
    cluster
}

/// Newest major version first, as the cluster chooses it.
fn pg_basebackup() -> PathBuf {
    let folders = fs::read_dir("/usr/lib/postgresql").expect("Debian's PostgreSQL");
    let newest = folders
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a version");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin/pg_basebackup"))
}

/// A streaming replica of the primary, made as docs/several-hosts.md says.
fn replica(host: &Host, primary_host: &Host, primary: &Cluster) -> Cluster {
    let mut options = options();
    let upstream = format!(
        "host={} port={} user={SUPERUSER}",
        primary_host.address,
        primary.port()
    );
    fs::create_dir(&options.folder).expect("a folder of our own");
    let mut command = Command::new(pg_basebackup());
    if geteuid().is_root() {
        let user = User::from_name("postgres")
            .expect("passwd")
            .expect("PostgreSQL's account");
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        chown(&options.folder, Some(uid), Some(gid)).expect("its folder");
        command.uid(uid).gid(gid);
    }
    fs::set_permissions(&options.folder, fs::Permissions::from_mode(0o700)).expect("its mode");
    command
        .args([
            "--dbname",
            &upstream,
            "--checkpoint=fast",
            "--write-recovery-conf",
            "--pgdata",
        ])
        .arg(options.folder.join("data"))
        .current_dir("/");
    let output = host.run(|| command.output()).expect("pg_basebackup");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The cluster writes the file anew into which pg_basebackup put this.
    options.settings.push(("primary_conninfo".into(), upstream));
    host.run(|| Cluster::start(options, &mut |_| {}))
        .unwrap_or_else(|fault| panic!("{fault}"))
}

fn write(server: &Server, words: &str) -> (String, bool) {
    Post::call(Era::Modern, "write", json!({"words": words}))
        .send(server.address())
        .tool_text()
}

/// The answer's one row; the error's text otherwise.
fn read(server: &Server) -> Result<Value, String> {
    let (text, failed) = Post::call(Era::Modern, "read", json!({}))
        .send(server.address())
        .tool_text();
    if failed {
        return Err(text);
    }
    let rows: Value = serde_json::from_str(&text).map_err(|fault| fault.to_string())?;
    Ok(rows["items"][0].clone())
}

/// Reads without a pause while `meanwhile` runs; returns the errors, and what `meanwhile` returned.
fn reading<T>(server: &Server, meanwhile: impl FnOnce() -> T) -> (Vec<String>, T) {
    const CLIENTS: usize = 4;
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let go_on = || {
        let goal = answered.load(Ordering::Relaxed) + 50;
        wait::until("reads go on", || answered.load(Ordering::Relaxed) > goal);
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut errors = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        match read(server) {
                            Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Err(text) => errors.push(text),
                        }
                    }
                    errors
                })
            })
            .collect();
        go_on();
        let result = meanwhile();
        go_on();
        stop.store(true, Ordering::Relaxed);
        let errors = clients
            .into_iter()
            .flat_map(|client| client.join().expect("no panic"));
        (errors.collect(), result)
    })
}

#[test]
fn reads_and_writes_find_their_server_and_what_is_left_of_it() {
    let Some(network) = Network::new() else {
        return;
    };
    let (one, two, three) = (network.host(21), network.host(22), network.host(11));
    let mut first = primary(&one);
    let mut second = replica(&two, &one, &first);
    let [first_at, second_at] = [(&one, &first), (&two, &second)]
        .map(|(host, cluster)| format!("{}:{}", host.address, cluster.port()));
    let url = |hosts: &str, rest: &str| {
        format!("postgresql://{ROLE}@{hosts}/postgres?connect_timeout=2{rest}")
    };
    let setup = Setup::bare()
        .workers(WORKERS)
        // So that a call on a dead connection ends soon, after a new one had time for both hosts.
        .option("timeout_statement = \"2s\"\ntimeout_request = \"5s\"")
        .database(
            "main",
            &url(
                &format!("{first_at},{second_at}"),
                "&target_session_attrs=read-write",
            ),
        )
        .database("reads", &url(&format!("{second_at},{first_at}"), ""))
        .tool("write", WRITE_TOOL)
        .tool("read", READ_TOOL);
    let server = three.run(|| setup.start());
    let asked = || read(&server).map(|row| row["server"].as_str().unwrap_or_default().to_owned());
    let (on_first, on_second) = (Ok(one.address.to_string()), Ok(two.address.to_string()));
    three.run(|| {
        let (text, failed) = write(&server, "to the primary");
        assert!(!failed, "{text}");
        wait::until("the replica has it", || {
            read(&server).is_ok_and(|row| row["words"] == "to the primary")
        });
        assert_eq!(asked(), on_second);

        // The replica goes: reads are answered by the primary, and only what was running is lost: one call a connection.
        let (errors, ()) = reading(&server, || second.halt().expect("the replica stops"));
        assert!(errors.len() <= CONNECTIONS, "{errors:?}");
        assert_eq!(asked(), on_first);
    });
    two.run(|| second.relaunch()).expect("the replica starts");
    three.run(|| {
        wait::until("the replica streams", || {
            let sql = "SELECT count(*) FROM pg_stat_replication";
            let streams = admin(&first).query_one(sql, &[]);
            streams.is_ok_and(|row| row.get::<_, i64>(0) == 1)
        });
        // New workers open new connections, and those try the replica first.
        server.signal(Signal::SIGHUP);
        wait::until("all reads are back at the replica", || {
            (0..20).all(|_| asked() == on_second)
        });

        // Its cable is pulled: a call fails on each connection that nobody knows to be dead, and then no more.
        let (errors, ()) = reading(&server, || {
            network.cut(&two);
            wait::until("reads are back at the primary", || asked() == on_first);
        });
        assert!(errors.len() <= CONNECTIONS, "{errors:?}");
        network.join(&two);
        server.signal(Signal::SIGHUP);
        wait::until("all reads are back at the replica", || {
            (0..20).all(|_| asked() == on_second)
        });

        // The primary goes: reads come back to the replica, writes say that they were not done.
        let (errors, ()) = reading(&server, || first.halt().expect("the primary stops"));
        assert!(errors.len() <= CONNECTIONS, "{errors:?}");
        assert_eq!(asked(), on_second);
        let (text, failed) = write(&server, "to nobody");
        assert!(failed && text.contains("Nothing was run"), "{text}");
        assert!(
            server
                .log()
                .contains("it is a standby (target_session_attrs=read-write)")
        );

        // The replica becomes the primary: writes come back by themselves.
        admin(&second)
            .execute("SELECT pg_promote()", &[])
            .expect("its promotion");
        wait::until("writes are done", || {
            !write(&server, "to the new primary").1
        });
        assert_eq!(read(&server).expect("a row")["words"], "to the new primary");
    });
    drop(server);
    // Their folders are made by the cluster's account.
    for cluster in [first, second] {
        cluster.stop().expect("it stops");
    }
}
