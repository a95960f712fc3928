//! The swf toolset over HTTP against generated data. What a tool must answer is computed here from the tables by plain
//! SQL and Rust, never by the tool's own statement. Each file tests the tools of one subject.

mod acting;
mod acting_kill;
mod acting_log;
mod acting_refusals;
mod acting_send;
mod acting_testbeds;
mod acting_types;
mod acting_workflows;
mod activity;
mod agents;
mod check;
mod clients;
mod error_edges;
mod errors;
mod every;
mod executions;
mod fault_edges;
mod faults;
mod harvester;
mod harvester_numbers;
mod heartbeats;
mod limits;
mod logs;
mod memory;
mod messages;
mod monitor;
mod own;
mod panda;
mod panda_edges;
mod pcs;
mod pcs_rows;
mod queue_edges;
mod queues;
mod runs;
mod state;
mod study;
mod study_failures;
mod study_logs;
mod study_rows;
mod study_sources;
mod table;
mod task_edges;
mod tasks;
mod testbed;
mod toolsets;
mod usage;
mod usage_edges;
mod variables;
mod walks;

use std::sync::OnceLock;

use postgres::Client;
use postgres::types::ToSql;
use serde_json::{Value, json};
use tine::cluster::SUPERUSER;
use tine::demo::load::LOGIN;
use tine::demo::{self, Demo, Options};

use crate::harness::database::connect;
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

/// The generated data, loaded once for all tests of this module. Its cluster ends with the test binary.
fn data() -> &'static Demo {
    static DATA: OnceLock<Demo> = OnceLock::new();
    DATA.get_or_init(|| {
        let demo = demo::prepare(&Options::default(), &mut |_| {})
            .unwrap_or_else(|fault| panic!("{fault}"));
        connect(&demo.cluster().url("swf", SUPERUSER))
            .batch_execute(&format!(
                "-- Nobody may fall silent between a tool's look and the test's.
                 UPDATE swf_systemagent SET last_heartbeat = last_heartbeat + interval '1 hour'
                 WHERE last_heartbeat > now() - interval '3 minutes';
                 -- Four managers that are alive: one reports an error, one has all it needs, one no agents, and one is busy.
                 UPDATE swf_systemagent a
                 SET last_heartbeat = now() + interval '1 hour', operational_state = 'READY', status = m.status, namespace = m.namespace
                 FROM (VALUES ('dmitri', 'ERROR', 'torre1'), ('grace', 'OK', 'ruhiges Labor'), ('haruka', 'OK', '空'),
                              ('ines', 'OK', (SELECT namespace FROM swf_workflow_executions
                                              WHERE status = 'running' AND namespace IS NOT NULL LIMIT 1))) m(name, status, namespace)
                 WHERE a.instance_name = 'agent-manager-' || m.name;
                 -- One that went silent without a word.
                 UPDATE swf_systemagent
                 SET last_heartbeat = now() - interval '10 minutes', operational_state = 'READY', status = 'OK'
                 WHERE instance_name = 'agent-manager-farid';
                 UPDATE swf_systemagent
                 SET namespace = 'ruhiges Labor', operational_state = 'READY', last_heartbeat = now() + interval '1 hour'
                 WHERE id IN (SELECT id FROM swf_systemagent WHERE agent_type = 'data_agent' ORDER BY id LIMIT 2);
                 -- Two runs at the edge of a week: one inside, one outside. And two at one moment.
                 UPDATE swf_runs r
                 SET start_time = now() - e.age, end_time = now() - e.age + interval '1 hour'
                 FROM  (VALUES (0, interval '167 hours 30 minutes'), (1, interval '168 hours 30 minutes'),
                              (2, interval '400 hours'), (3, interval '400 hours')) e(place, age)
                 WHERE r.run_id = (SELECT run_id FROM swf_runs ORDER BY start_time LIMIT 1 OFFSET e.place);
                 CREATE ROLE {READER} LOGIN IN ROLE {LOGIN};
                 -- What was changed here is counted now, not in the middle of a test.
                 SELECT pg_stat_force_next_flush()"
            ))
            .expect("update");
        demo
    })
}

/// Where the toolset's files are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/toolsets/swf");

/// A login that only one test's server uses.
const READER: &str = "reader_that_writes_nothing";

/// A server with the toolset, and eyes of our own on both databases.
struct Bench {
    server: Server,
    swf: Client,
    panda: Client,
}

impl Bench {
    fn start() -> Bench {
        Bench::start_as(LOGIN)
    }

    /// The server logs in with this role.
    fn start_as(role: &str) -> Bench {
        Bench::with(Setup::bare(), role, "swf", "panda")
    }

    /// With these databases of the cluster.
    fn with(setup: Setup, role: &str, swf: &str, panda: &str) -> Bench {
        let cluster = data().cluster();
        let server = setup
            .workers(1)
            .variable(
                "SWF_MONITOR_HTTP_URL",
                "http://monitor.example/swf-monitor/",
            )
            .database("swf", &cluster.url(swf, role))
            .database("panda", &cluster.url(panda, role))
            .table("[programs.kill]\npath = \"/bin/kill\"\n[brokers.activemq]\nurl = \"stomp://127.0.0.1:1\"")
            .toolset(FOLDER)
            .start();
        Bench {
            server,
            swf: connect(&cluster.url(swf, SUPERUSER)),
            panda: connect(&cluster.url(panda, SUPERUSER)),
        }
    }

    /// The tool's one text, and whether it is a tool error.
    fn raw(&self, era: Era, tool: &str, arguments: &Value) -> (String, bool) {
        let answer = Post::call(era, tool, arguments.clone()).send(self.server.address());
        let (text, is_error) = answer.tool_text();
        if !is_error {
            let value: Value = serde_json::from_str(&text)
                .unwrap_or_else(|fault| panic!("{tool} {arguments}: {fault}: {text}"));
            // Nothing but the object itself: the bots cut long texts.
            assert_eq!(text, value.to_string(), "{tool} {arguments} is not compact");
            assert_eq!(answer.result()["structuredContent"], value);
        }
        (text, is_error)
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        let (text, is_error) = self.raw(Era::Legacy, tool, &arguments);
        assert!(!is_error, "{tool} {arguments}: {text}");
        serde_json::from_str(&text).expect("checked above")
    }

    /// The tool's answer, and what `look` saw in the tables at that time. Windows move with the clock: this looks again
    /// until nothing crossed the edge of one meanwhile.
    fn call_while<T: PartialEq>(
        &mut self,
        tool: &str,
        arguments: &Value,
        look: impl Fn(&mut Bench) -> T,
    ) -> (Value, T) {
        loop {
            let before = look(self);
            let answer = self.call(tool, arguments.clone());
            if look(self) == before {
                return (answer, before);
            }
        }
    }

    /// What the tool error says that must come: its text is an object with the words under `error`.
    fn refused(&self, tool: &str, arguments: Value) -> String {
        let (text, is_error) = self.raw(Era::Legacy, tool, &arguments);
        assert!(is_error, "{tool} {arguments} was not refused: {text}");
        let mut value: Value =
            serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        if WRITES.contains(&tool) {
            assert_eq!(value["success"], false, "{text}");
            value.as_object_mut().expect("an object").remove("success");
        }
        assert_eq!(keys(&value), ["error"], "{text}");
        value["error"].as_str().expect("words").to_owned()
    }
}

fn texts(client: &mut Client, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<String> {
    let rows = client.query(query, parameters);
    let rows = rows.unwrap_or_else(|fault| panic!("{query}: {fault}"));
    rows.iter().map(|row| row.get(0)).collect()
}

fn number(client: &mut Client, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> i64 {
    let row = client.query_one(query, parameters);
    row.unwrap_or_else(|fault| panic!("{query}: {fault}"))
        .get(0)
}

/// The names of the tools that there are files for.
fn tool_files() -> Vec<String> {
    let files = std::fs::read_dir(FOLDER).expect("the folder");
    files
        .map(|file| file.expect("a file").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !name.starts_with('_'))
        .collect()
}

/// One text from a table, which must be there.
fn text(client: &mut Client, query: &str) -> String {
    texts(client, query, &[]).remove(0)
}

/// A time column as microseconds since 1970.
fn micros(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000)::bigint")
}

/// As the service prints a moment: six digits of a second or none.
fn moment(micros: Option<i64>, zone: &str) -> Value {
    let Some(micros) = micros else {
        return Value::Null;
    };
    let time = jiff::Timestamp::from_microsecond(micros).expect("a time");
    let form = if micros % 1_000_000 == 0 {
        "%Y-%m-%dT%H:%M:%S"
    } else {
        "%Y-%m-%dT%H:%M:%S%.6f"
    };
    Value::String(format!("{}{zone}", time.strftime(form)))
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// One field of every item, as text; null is "".
fn column<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item[field].as_str().unwrap_or(""))
        .collect()
}

/// What every list of the service has around its items.
fn check_list(list: &Value, limit: usize, title: &str, url: &str) {
    assert_eq!(
        keys(list),
        ["items", "total_count", "has_more", "monitor_urls"]
    );
    let items = list["items"].as_array().expect("items").len();
    let total = usize::try_from(list["total_count"].as_u64().expect("a count")).expect("a count");
    assert_eq!(items, total.min(limit), "{url}");
    assert_eq!(list["has_more"], json!(total > limit));
    check_url(list, title, url);
}

fn check_url(answer: &Value, title: &str, url: &str) {
    let expected =
        json!([{"title": title, "url": format!("http://monitor.example/swf-monitor{url}")}]);
    assert_eq!(answer["monitor_urls"], expected);
    assert_eq!(keys(&answer["monitor_urls"][0]), ["title", "url"]);
}

const WRITES: [&str; 8] = [
    "swf_record_ai_memory",
    "swf_end_execution",
    "swf_kill_agent",
    "swf_send_message",
    "swf_start_user_testbed",
    "swf_start_workflow",
    "swf_stop_user_testbed",
    "swf_stop_workflow",
];
const DESTROYS: [&str; 4] = [
    "swf_end_execution",
    "swf_kill_agent",
    "swf_stop_user_testbed",
    "swf_stop_workflow",
];
const ACTS: [&str; 8] = [
    "panda_harvester_workers",
    "panda_study_job",
    "swf_kill_agent",
    "swf_send_message",
    "swf_start_user_testbed",
    "swf_start_workflow",
    "swf_stop_user_testbed",
    "swf_stop_workflow",
];

#[test]
fn the_list_has_the_tools_and_each_speaks_for_itself() {
    let bench = Bench::start();
    for (method, era) in [("tools/list", Era::Legacy), ("tools/list", Era::Modern)] {
        let post = match era {
            Era::Legacy => Post::legacy(method, Value::Null),
            Era::Modern => Post::modern(method, Value::Null),
        };
        let result = post.send(bench.server.address()).result();
        let tools = result["tools"].as_array().expect("tools");
        assert_eq!(tools.len(), tool_files().len());
        for tool in tools {
            let name = tool["name"].as_str().expect("name");
            assert!(
                tool["description"].as_str().expect("description").len() > 60,
                "{name}"
            );
            let annotations = &tool["annotations"];
            assert_eq!(
                annotations["readOnlyHint"],
                json!(!WRITES.contains(&name)),
                "{name}"
            );
            assert_eq!(
                annotations["destructiveHint"],
                json!(DESTROYS.contains(&name)),
                "{name}"
            );
            assert_eq!(
                annotations["openWorldHint"],
                json!(ACTS.contains(&name)),
                "{name}"
            );
            let properties = tool["inputSchema"]["properties"].as_object();
            for (parameter, schema) in properties.into_iter().flatten() {
                let own = ["monitor_url", "zone", "testbed", "host", "token_user"];
                assert!(
                    !own.contains(&parameter.as_str()),
                    "{name} shows what the server knows: {parameter}"
                );
                assert!(schema["description"].is_string(), "{name}.{parameter}");
            }
        }
    }
}

#[test]
fn server_instructions_and_tool_list_come_from_the_server() {
    let bench = Bench::start();
    let answer = Post::legacy(
        "initialize",
        json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
    )
    .send(bench.server.address())
    .result();
    assert_eq!(answer["serverInfo"]["name"], "swf-testbed");
    let instructions = answer["instructions"].as_str().expect("instructions");
    let (text, is_error) = Post::call(Era::Legacy, "get_server_instructions", json!({}))
        .send(bench.server.address())
        .tool_text();
    assert_eq!((text.as_str(), is_error), (instructions, false));

    let listed = bench.call("swf_list_available_tools", json!({}));
    let item = listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|item| item["name"] == "swf_get_ai_memory")
        .expect("the tool");
    assert_eq!(keys(item), ["name", "description", "parameters"]);
    assert_eq!(
        item["parameters"],
        json!(["username", "turns", "namespace"])
    );
}

#[test]
fn both_eras_get_the_same_answer() {
    let bench = Bench::start();
    let arguments =
        json!({"start_time": "2000-01-01", "end_time": "2000-01-02", "status": "läuft"});
    let [legacy, modern] =
        ERAS.map(|era| bench.raw(era, "swf_list_workflow_executions", &arguments));
    assert_eq!(legacy, modern);
    assert!(!legacy.1, "{}", legacy.0);
}
