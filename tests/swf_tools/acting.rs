//! What the tests of the tools that act have in common: data of their own, the real broker, and eyes for messages and errors.

use std::path::Path;
use std::sync::{Mutex, OnceLock};

use postgres::Client;
use serde_json::Value;
use tine::demo::{self, Demo, Options};

use super::{Bench, FOLDER};
use crate::harness::broker::{LOGIN, PASSCODE, broker};
use crate::harness::database::connect;
use crate::harness::mcp::Era;
use crate::harness::setup::Setup;

pub const TESTBED: &str = "[testbed]\nnamespace = \"bench-é\"\n[workflow]\nname = \"fast\"\nconfig = \"fast.toml\"\nrealtime = false\n\
                       [parameters]\nzeta = 1\nstf_interval = 1.0\nalpha = \"x\"\n";

/// Of two who listen to a queue each message reaches one, so whoever listens to this one has it alone.
pub static CONTROL: Mutex<()> = Mutex::new(());

/// Data of their own, because these tools write.
pub fn data() -> &'static Demo {
    static DATA: OnceLock<Demo> = OnceLock::new();
    DATA.get_or_init(|| {
        demo::prepare(&Options::default(), &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"))
    })
}

/// With the real broker, and a testbed.toml if there is a text for it.
pub fn bench(testbed: Option<&str>, more: &str) -> Bench {
    bench_at(&format!("stomp://{}", broker().plain), testbed, more)
}

pub fn bench_at(url: &str, testbed: Option<&str>, more: &str) -> Bench {
    // Nobody listens there.
    let setup = Setup::bare().variable("PANDA_BASE_URL", "http://127.0.0.1:1");
    bench_of(setup, url, testbed, Path::new("/bin/kill"), more)
}

/// With this program for `kill`.
pub fn bench_of(setup: Setup, url: &str, testbed: Option<&str>, kill: &Path, more: &str) -> Bench {
    let cluster = data().cluster();
    let home = setup.path("home");
    let folder = home.join("swf-testbed/workflows");
    std::fs::create_dir_all(&folder).expect("a folder");
    if let Some(text) = testbed {
        std::fs::write(folder.join("testbed.toml"), text).expect("a file");
    }
    let server = setup
        .workers(1)
        .variable("TEST_PASSCODE", PASSCODE)
        .variable("SWF_HOME", &home.display().to_string())
        .variable("DISPLAY_TIMEZONE", "UTC")
        .database("swf", &cluster.url("swf", "bot"))
        .database("panda", &cluster.url("panda", "bot"))
        .table(&format!("[programs.kill]\npath = {:?}", kill.display().to_string()))
        .table(&format!(
            "[brokers.activemq]\nurl = \"{url}\"\nlogin = \"{LOGIN}\"\npasscode_env = \"TEST_PASSCODE\"\n{more}"
        ))
        .toolset(FOLDER)
        .start();
    Bench {
        server,
        swf: connect(&cluster.url("swf", tine::cluster::SUPERUSER)),
        panda: connect(&cluster.url("panda", tine::cluster::SUPERUSER)),
    }
}

/// A body with its time taken out, which must be one of today without a zone.
pub fn timeless(body: &str) -> String {
    let (before, rest) = body.split_once("\"timestamp\": \"").expect("a time");
    let (time, after) = rest.split_once('"').expect("its end");
    let parsed: jiff::civil::DateTime = time
        .parse()
        .unwrap_or_else(|fault| panic!("{time}: {fault}"));
    let now = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime();
    assert!((now - parsed).get_hours().abs() < 1, "{time}");
    assert!(time.len() == 26 || time.len() == 19, "{time}");
    format!("{before}\"timestamp\": \"T\"{after}")
}

pub fn error(bench: &Bench, tool: &str, arguments: Value) -> Value {
    let (text, is_error) = bench.raw(Era::Legacy, tool, &arguments);
    assert!(is_error, "{tool} {arguments}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// With the log in the service's own table, under this name of the server.
pub fn bench_with_log(url: &str, name: &str) -> Bench {
    let logs = data().cluster().url("swf", tine::cluster::SUPERUSER);
    let log = format!(
        "[databases.logs]\nurl = \"{logs}\"\n[log]\ndatabase = \"logs\"\ntable = \"swf_applog\"\n\
         app_name = \"swf-monitor\"\ninstance_name = \"{name}\""
    );
    bench_at(url, None, &log)
}

/// Adds an agent: name, type, namespace, operational state, and its last heartbeat as SQL has it.
pub fn add_agent(swf: &mut Client, agent: [&str; 4], heartbeat: &str) {
    let [name, kind, namespace, state] = agent;
    let sql = format!(
        "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
             current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state)
         VALUES ($1, $2, '', 'OK', {heartbeat}, now(), now(), 0, 0, true, nullif($3, ''), $4)"
    );
    swf.execute(&sql, &[&name, &kind, &namespace, &state])
        .expect("an agent");
}

/// Removes agents whose names begin so.
pub fn remove_agents(swf: &mut Client, start: &str) {
    let sql = "DELETE FROM swf_systemagent WHERE starts_with(instance_name, $1)";
    swf.execute(sql, &[&start]).expect("agents");
}
