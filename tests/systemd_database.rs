//! From inside the sandbox to PostgreSQL: over TCP with TLS, over a unix socket as the service's own user, with URL and tokens
//! from credentials.

use std::thread;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::harness::instance::Instance;
use crate::harness::mcp::{Era, Post};
use crate::harness::systemd::{self, Machine};
use crate::harness::wait;

const TOKEN: &str = "tine_token-of-this-test";

/// PostgreSQL as a service of the machine: peer authentication on its socket, TLS alone on TCP.
const POSTGRESQL: &str = r#"
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
cd "$STATE_DIRECTORY"
initdb --pgdata=data --username=postgres --auth=peer --no-sync >/dev/null
printf 'local all all peer\nhostssl all tine 127.0.0.1/32 trust\n' > data/pg_hba.conf
install -m 0600 /etc/test-postgresql/server.key /etc/test-postgresql/server.crt data/
exec postgres -D data -c listen_addresses=127.0.0.1 -c unix_socket_directories="$RUNTIME_DIRECTORY" \
  -c fsync=off -c ssl=on
"#;

fn start_postgresql(machine: &Machine) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    machine.write("/etc/test-postgresql/server.key", key.serialize_pem());
    machine.write("/etc/test-postgresql/server.crt", &certificate);
    machine.write("/etc/tine/ca.pem", &certificate);
    let properties = [
        "User=postgres",
        "StateDirectory=pg",
        "RuntimeDirectory=pg",
        "RuntimeDirectoryMode=0755",
    ];
    let mut command = machine.command("systemd-run");
    command.args(["--unit=test-postgresql", "--quiet"]);
    command.args(properties.map(|property| format!("--property={property}")));
    let status = command
        .args(["sh", "-c", POSTGRESQL])
        .status()
        .expect("nsenter runs");
    assert!(status.success());
    let create = "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; \
                  until runuser -u postgres -- psql -qh /run/pg -c 'CREATE ROLE tine LOGIN' postgres; do \
                  systemctl is-active --quiet test-postgresql || exit 1; sleep 0.05; done";
    let (code, text) = machine.run("timeout", &["60", "sh", "-c", create]);
    assert_eq!(
        code,
        Some(0),
        "{text} {:?}",
        machine.journal("test-postgresql")
    );
}

#[test]
fn calls_reach_postgresql_by_every_way_and_end_before_a_stop() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    start_postgresql(machine);
    let hash = tine::config::token::hex(&tine::config::token::hash(TOKEN));
    for (path, secret) in [
        (
            "/etc/credstore/tine.calls.database",
            "postgres://tine@/postgres?host=/run/pg",
        ),
        (
            "/etc/credstore/tine.calls.tokens",
            &format!("[tokens.bot]\nsha256 = \"{hash}\"\n"),
        ),
    ] {
        machine.write(path, secret);
        assert_eq!(machine.run("chmod", &["0600", path]).0, Some(0));
    }
    for (tool, database) in [("by_socket", "socket"), ("by_tcp", "tcp")] {
        let text = format!(
            "/*+++\ndescription = \"Who am I?\"\ndatabase = \"{database}\"\n+++*/\n\
             SELECT current_user AS name, coalesce(s.ssl, false) AS tls FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()\n"
        );
        machine.write(&format!("/etc/tine/calls/{tool}.sql"), text);
    }
    machine.write(
        "/etc/tine/calls/slow.sql",
        "/*+++\ndescription = \"Takes its time.\"\ndatabase = \"tcp\"\n+++*/\nSELECT true AS done FROM pg_sleep(1.5)\n",
    );
    let instance = Instance::new(
        machine,
        "calls",
        "toolsets = [\"calls\"]\ntokens_file = \"credential:tokens\"\n\
         [databases.socket]\nurl_file = \"credential:database\"\n\
         [databases.tcp]\nurl = \"postgres://tine@localhost/postgres?sslmode=verify-full\"\ntls_ca = \"ca.pem\"\n",
    );
    instance.start();
    let address = instance.address();
    let call = |tool: &str, token: &str| {
        let post = Post::call(Era::Modern, tool, json!({}));
        let post = post.header("Authorization", &format!("Bearer {token}"));
        machine.inside(|| post.send(address))
    };
    for (tool, tls) in [("by_socket", false), ("by_tcp", true)] {
        let result = call(tool, TOKEN).result();
        assert_eq!(
            result["structuredContent"]["items"][0],
            json!({"name": "tine", "tls": tls}),
            "{result}"
        );
    }
    assert_eq!(call("by_tcp", "another").status(), 401);
    thread::scope(|scope| {
        let slow = scope.spawn(|| call("slow", TOKEN));
        wait::until("the slow call runs", || instance.health()["inflight"] == 1);
        machine.systemctl(&["stop", &instance.service()]);
        let result = slow.join().expect("an answer").result();
        assert_eq!(
            result["isError"], false,
            "finished before the stop: {result}"
        );
    });
    // Root's file stays root's: what the service reads is a copy for itself.
    let seen = machine.run(
        "runuser",
        &[
            "-u",
            "tine",
            "--",
            "cat",
            "/etc/credstore/tine.calls.database",
        ],
    );
    assert_ne!(seen.0, Some(0), "{seen:?}");
}
