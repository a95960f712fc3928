//! The machine before the move: PostgreSQL with passwords, the old service under uvicorn with its unit, its file of variables and its watchdog,
//! and Apache before it. Knows nothing of Tine.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use tine::demo::data::Size;
use tine::demo::load::{Load, load};

use crate::harness::database::connect;
use crate::harness::installed;
use crate::harness::systemd::Machine;
use crate::harness::{http, wait};

pub const ADMIN: &str = "postgres://postgres@127.0.0.1/swf";
/// Where clients on this host find the service, and where others do.
pub const DIRECT: &str = "127.0.0.1:8001";
pub const PROXY: &str = "127.0.0.1:80";
pub const PATH: &str = "/swf-monitor/mcp/";

/// The user of the old service, and of the testbed's agents.
pub const ACCOUNT: &str = "swf-monitor";

const POSTGRESQL: &str = r#"
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
cd "$STATE_DIRECTORY"
initdb --pgdata=data --username=postgres --no-sync >/dev/null
printf 'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 password\n' > data/pg_hba.conf
exec postgres -D data -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off
"#;

const LOGINS: &str = r"
ALTER ROLE bot PASSWORD '$ecret #1\x';
CREATE ROLE panda_reader LOGIN IN ROLE bot PASSWORD 'panda pass';
";

/// As such a service has it: comments, quotes, `export`, and what is nobody's business but its own.
const VARIABLES: &str = r#"# Monitor of the testbed
export SWF_MONITOR_HTTP_URL="http://monitor.example/swf-monitor"   # as browsers see it
export SWF_HOME=/opt/swf
SECRET_KEY='django-insecure-$(x)%"'
DEBUG=False
ALLOWED_HOSTS=monitor.example,localhost

DB_HOST=127.0.0.1
DB_PORT='5432'
DB_NAME=swf
DB_USER=bot
DB_PASSWORD='$ecret #1\x'
PANDA_DB_HOST=127.0.0.1
PANDA_DB_NAME=panda
PANDA_DB_USER="panda_reader"
PANDA_DB_PASSWORD='panda pass'
"#;

const UNITS: [(&str, &str); 4] = [
    (
        "swf-monitor-mcp.service",
        "[Unit]\nAfter=test-postgresql.service\n[Service]\nUser=swf-monitor\nWorkingDirectory=/opt/swf-monitor\n\
         ExecStart=/opt/swf-monitor/.venv/bin/python -m uvicorn original:application --host 127.0.0.1 --port 8001 --workers 2\n\
         Restart=always\n[Install]\nWantedBy=multi-user.target\n",
    ),
    (
        "apache2.service",
        "[Service]\nRuntimeDirectory=apache2\nExecStart=/usr/sbin/apache2 -DFOREGROUND -f /etc/apache2/apache2.conf\n\
         ExecReload=/usr/sbin/apache2 -f /etc/apache2/apache2.conf -k graceful\nKillMode=mixed\n",
    ),
    (
        "old-watchdog.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'curl -sf http://127.0.0.1:8001/swf-monitor/api/mcp-health/ || systemctl restart swf-monitor-mcp'\n",
    ),
    (
        "old-watchdog.timer",
        "[Timer]\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nAccuracySec=100ms\n[Install]\nWantedBy=timers.target\n",
    ),
];

const APACHE: &str = "ServerName localhost\nServerRoot /etc/apache2\nPidFile /run/apache2/pid\nDefaultRuntimeDir /run/apache2\n\
    Listen 127.0.0.1:80\nUser www-data\nGroup www-data\nErrorLog /run/apache2/errors\nInclude conf-available/swf-monitor.conf\n";

const PASS: &str = "ProxyPass \"/swf-monitor/mcp/\" \"http://127.0.0.1:8001/swf-monitor/mcp/\" timeout=60\n\
    RequestHeader set X-Forwarded-Proto https\n";

/// Everything of the machine that is older than Tine; it runs when this returns.
pub fn set_up(machine: &Machine) {
    database(machine);
    let (code, text) = machine.run("useradd", &["--system", ACCOUNT]);
    assert_eq!(code, Some(0), "{text}");
    service(machine);
    let modules = ["mpm_event", "authz_core", "proxy", "proxy_http", "headers"];
    let load = modules
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    machine.write("/etc/apache2/apache2.conf", load.concat() + APACHE);
    machine.write("/etc/apache2/conf-available/swf-monitor.conf", PASS);
    for (name, text) in UNITS {
        machine.write(&format!("/etc/systemd/system/{name}"), text);
    }
    machine.systemctl(&["daemon-reload"]);
    machine.systemctl(&["enable", "--now", "swf-monitor-mcp"]);
    machine.systemctl(&["start", "apache2"]);
    machine.inside(|| {
        let direct = DIRECT.parse().expect("an address");
        wait::until("the old service serves", || {
            let health = "GET /swf-monitor/api/mcp-health/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let opened = http::Connection::try_open(direct);
            opened.is_ok_and(|mut connection| {
                let sent = connection.try_send(health.as_bytes());
                sent.and_then(|()| connection.try_response())
                    .is_ok_and(|response| response.status == 200)
            })
        });
    });
    machine.systemctl(&["enable", "--now", "old-watchdog.timer"]);
}

fn database(machine: &Machine) {
    let status = machine
        .command("systemd-run")
        .args([
            "--unit=test-postgresql",
            "--quiet",
            "--property=User=postgres",
            "--property=StateDirectory=pg",
        ])
        .args(["sh", "-c", POSTGRESQL])
        .status()
        .expect("nsenter runs");
    assert!(status.success());
    machine.inside(|| {
        let server: postgres::Config = ADMIN.parse().expect("a URL");
        wait::until("PostgreSQL listens", || {
            let active = machine.run("systemctl", &["is-active", "test-postgresql"]);
            assert_eq!(
                active.0,
                Some(0),
                "{:?}",
                machine.journal("test-postgresql")
            );
            server
                .clone()
                .dbname("postgres")
                .connect(postgres::NoTls)
                .is_ok()
        });
        let age = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let demo = Load {
            server: &server,
            size: Size::Small,
            seed: 1,
            now: i64::try_from(age.as_micros()).expect("a time"),
            fresh: false,
        };
        load(&demo, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
        connect(ADMIN).batch_execute(LOGINS).expect("logins");
    });
}

fn service(machine: &Machine) {
    machine.write("/opt/swf-monitor/.env", VARIABLES);
    machine.write(
        "/opt/swf-monitor/original.py",
        include_str!("../clients/original.py"),
    );
    environment(machine, "original", "/opt/swf-monitor/.venv");
}

/// Copies a Python environment into the machine.
pub fn environment(machine: &Machine, name: &str, to: &str) {
    let to = machine.path(to);
    fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(installed::folder(name))
        .arg(to)
        .status();
    assert!(copied.expect("cp runs").success());
}
