//! Every tool called by the official Python and TypeScript clients: what they see, and what of it the broker, the PanDA monitor, a process and the
//! tables got. With data and a broker of its own, because these calls write and send.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Map;

use super::*;
use crate::harness::broker::{self, Broker, PASSCODE};
use crate::harness::installed;

const LOG: &str = "all went well\nuntil it did not\n";

/// A PanDA monitor that knows some pilots and one log. Ends with the test binary.
pub struct Monitor {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    pub fn start() -> Monitor {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let monitor = Monitor {
            address: listener.local_addr().expect("an address"),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&monitor.asked);
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut lines = BufReader::new(client.try_clone().expect("a socket")).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                let head = lines.map_while(Result::ok);
                head.take_while(|line| !line.is_empty()).for_each(drop);
                let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let (kind, body) = if target.starts_with("/harvester/getworkerstats/?") {
                    let pilots = json!([
                        {"computingsite": "A", "status": "running", "resourcetype": "SCORE", "nworkers": 5},
                        {"computingsite": "B", "status": "running", "resourcetype": "MCORE", "nworkers": 2},
                    ]);
                    ("application/json", pilots.to_string())
                } else {
                    ("text/plain", LOG.to_owned())
                };
                asked.lock().expect("no panic").push(target);
                let _ = write!(
                    client,
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        monitor
    }

    /// The path of each request since the last look.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
            .iter()
            .map(|target| target.split('?').next().unwrap_or_default().to_owned())
            .collect()
    }
}

/// The server, and everything around it that tools act on.
struct World {
    bench: Bench,
    broker: Broker,
    monitor: Monitor,
    /// A job with a log.
    job: i64,
    _data: Demo,
}

impl World {
    fn start() -> World {
        let data = demo::prepare(&Options::default(), &mut |_| {})
            .unwrap_or_else(|fault| panic!("{fault}"));
        let (broker, monitor) = (broker::own(), Monitor::start());
        let cluster = data.cluster();
        let server = Setup::bare()
            .workers(1)
            .variable("TEST_PASSCODE", PASSCODE)
            .variable("PANDA_BASE_URL", &format!("http://{}", monitor.address))
            .database("swf", &cluster.url("swf", LOGIN))
            .database("panda", &cluster.url("panda", LOGIN))
            .table("[programs.kill]\npath = \"/bin/kill\"\n[http]\nprivate = [\"127.0.0.1\"]")
            .table(&format!(
                "[brokers.activemq]\nurl = \"stomp://{}\"\nlogin = \"{}\"\npasscode_env = \"TEST_PASSCODE\"",
                broker.plain,
                broker::LOGIN
            ))
            .toolset(FOLDER)
            .start();
        let mut bench = Bench {
            server,
            swf: connect(&cluster.url("swf", SUPERUSER)),
            panda: connect(&cluster.url("panda", SUPERUSER)),
        };
        let job = number(
            &mut bench.panda,
            "SELECT max(pandaid) FROM doma_panda.jobsarchived4 WHERE piloterrorcode = 1305",
            &[],
        );
        World {
            bench,
            broker,
            monitor,
            job,
            _data: data,
        }
    }

    /// What this client will act on: a living agent manager, two running executions, and an agent that is this process.
    fn prepare(&mut self, who: &str, victim: &Child) {
        let host = nix::unistd::gethostname().expect("a name");
        let host = host.into_string().expect("text");
        let pid = victim.id();
        self.bench
            .swf
            .batch_execute(&format!(
                "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
                     current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state, pid, hostname)
                 SELECT name, type, '', 'OK', now() + interval '1 hour', now(), now(), 0, 0, true, space, 'READY', {pid}, '{host}'
                 FROM (VALUES ('agent-manager-{who}', 'agent_manager', 'of {who}'), ('victim-{who}', 'data', 'elsewhere')) v (name, type, space);
                 INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id, namespace)
                 SELECT id, '{{}}', 'running', now(), 'u', (SELECT min(id) FROM swf_workflow_definitions), 'of {who}'
                 FROM unnest(ARRAY['end-{who}', 'stop-{who}']) id"
            ))
            .expect("things to act on");
    }

    /// A call of every tool that there is, in the order of the list.
    fn calls(&self, who: &str) -> Map<String, Value> {
        let result = Post::legacy("tools/list", Value::Null)
            .send(self.bench.server.address())
            .result();
        let tools = result["tools"].as_array().expect("tools").iter();
        tools
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .map(|tool| {
                let arguments = self.arguments(&tool, who);
                (tool, arguments)
            })
            .collect()
    }

    /// Arguments with which the tool does what it is there for.
    fn arguments(&self, tool: &str, who: &str) -> Value {
        match tool {
            "panda_get_queue" => json!({"panda_queue": "LAKESIDE_HPC"}),
            "panda_study_job" => json!({"pandaid": self.job}),
            "pcs_get_tag" => json!({"tag_label": "p1001"}),
            "pcs_list_tags" => json!({"tag_type": "p"}),
            "pcs_search_tags" => json!({"query": "pythia"}),
            "swf_end_execution" => json!({"execution_id": format!("end-{who}")}),
            "swf_get_agent" => json!({"name": "agent-manager-amara"}),
            "swf_get_log_entry" => json!({"log_id": 1}),
            "swf_get_namespace" => json!({"namespace": "torre1"}),
            "swf_get_stf_file" => json!({"stf_filename": "swf.run1001.000001.stf"}),
            "swf_get_run" => json!({"run_number": 1001}),
            "swf_get_tf_slice" => {
                json!({"tf_filename": "swf.run1001.000001_000.tf", "slice_id": 1})
            }
            "swf_get_workflow_execution" | "swf_get_workflow_monitor" | "swf_stop_workflow" => {
                json!({"execution_id": format!("stop-{who}")})
            }
            "swf_kill_agent" => json!({"name": format!("victim-{who}")}),
            "swf_record_ai_memory" => {
                json!({"username": who, "session_id": "s", "role": "user", "content": "grüße"})
            }
            "swf_send_message" => json!({"message": "grüße", "username": who}),
            "swf_check_agent_manager"
            | "swf_get_ai_memory"
            | "swf_get_system_state"
            | "swf_get_testbed_status"
            | "swf_start_user_testbed"
            | "swf_stop_user_testbed" => json!({"username": who}),
            _ => json!({}),
        }
    }
}

/// What the client got: for each tool whether it is an error, the text, and the structured content.
fn told(mut command: Command, script: &[u8], url: &str, calls: &Map<String, Value>) -> Value {
    command.args([url, &Value::Object(calls.clone()).to_string()]);
    let output = installed::run(&command, script);
    let told = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}{words}", output.status);
    serde_json::from_str(told.trim()).expect("JSON")
}

/// All numbers as JavaScript has them: there 6.0 is 6.
fn doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(doubles).collect(),
        Value::Object(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key, doubles(value)));
            Value::Object(entries.collect())
        }
        other => other,
    }
}

/// The texts that the client got, checked for what holds of every tool.
fn answers(world: &World, calls: &Map<String, Value>, seen: &Value) -> Map<String, Value> {
    let seen = seen.as_object().expect("an object");
    assert_eq!(seen.len(), calls.len());
    let mut answers = Map::new();
    for (tool, arguments) in calls {
        let (text, structured) = (&seen[tool][1], &seen[tool][2]);
        let text = text.as_str().expect("text");
        assert_eq!(seen[tool][0], false, "{tool} {arguments}: {text}");
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            assert_eq!(tool, "get_server_instructions", "{text}");
            answers.insert(tool.clone(), json!(text));
            continue;
        };
        assert_eq!(
            doubles(structured.clone()),
            doubles(value.clone()),
            "{tool}"
        );
        // A tool that acts would do it again.
        if !WRITES.contains(&tool.as_str()) {
            let own = world.bench.call(tool, arguments.clone());
            assert_eq!(keys(&value), keys(&own), "{tool}");
        }
        answers.insert(tool.clone(), value);
    }
    answers
}

/// What a message says, without the time in it.
fn said(listener: &mut broker::Listener) -> Value {
    let mut message: Value = serde_json::from_str(&listener.message().1).expect("JSON");
    let time = message.as_object_mut().expect("an object");
    assert!(time.remove("timestamp").is_some());
    message
}

fn every_tool_is_called(who: &str, command: Command, script: &[u8]) {
    // Of its own: a server keeps the PanDA monitor's answers for the next who asks.
    let mut world = World::start();
    let mut victim = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep");
    world.prepare(who, &victim);
    let mut control = world.broker.listen("/queue/workflow_control");
    let mut manager = world.broker.listen(&format!("/queue/agent_control.{who}"));
    let mut stream = world.broker.listen("/topic/epictopic");
    let calls = world.calls(who);
    assert_eq!(calls.len(), 45);
    let url = format!("http://{}/mcp", world.bench.server.address());
    let seen = told(command, script, &url, &calls);
    assert_eq!(
        world.monitor.asked(),
        ["/filebrowser/", "/harvester/getworkerstats/"],
        "{who}"
    );
    let answers = answers(&world, &calls, &seen);
    world.monitor.asked();

    assert_eq!(
        answers["get_server_instructions"],
        Post::legacy(
            "initialize",
            json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
        )
        .send(world.bench.server.address())
        .result()["instructions"]
    );
    let mut listed = column(&answers["swf_list_available_tools"], "name");
    listed.sort_unstable();
    let mut called: Vec<&str> = calls.keys().map(String::as_str).collect();
    called.sort_unstable();
    assert_eq!(listed, called);
    assert_eq!(
        answers["panda_study_job"]["log_analysis"]["log_excerpt"],
        LOG.trim_end()
    );
    assert_eq!(
        answers["panda_harvester_workers"]["by_site"],
        json!({"A": 5, "B": 2})
    );

    for tool in WRITES {
        assert_eq!(answers[tool]["success"], true, "{tool}");
    }
    // The list's order is that of the calls.
    let order: Vec<&str> = called_first(&calls, ["swf_start_workflow", "swf_stop_workflow"]);
    for tool in order {
        let message = said(&mut control);
        if tool == "swf_start_workflow" {
            assert_eq!(message["msg_type"], "run_workflow");
        } else {
            assert_eq!(
                message,
                json!({"msg_type": "stop_workflow", "execution_id": format!("stop-{who}"), "namespace": format!("of {who}"), "source": "mcp"})
            );
        }
    }
    let order = called_first(&calls, ["swf_start_user_testbed", "swf_stop_user_testbed"]);
    for tool in order {
        let command = tool
            .trim_start_matches("swf_")
            .replace("user_testbed", "testbed");
        assert_eq!(
            said(&mut manager),
            json!({"command": command, "source": "mcp"})
        );
    }
    assert_eq!(
        said(&mut stream),
        json!({"msg_type": "announcement", "sender": format!("{who}-personal-agent"), "namespace": null, "message": "grüße",
               "source": "mcp_send_message"})
    );
    assert_eq!(victim.wait().expect("its end").signal(), Some(9), "{who}");
    for (what, query) in [
        (
            "EXITED",
            format!("SELECT status FROM swf_systemagent WHERE instance_name = 'victim-{who}'"),
        ),
        (
            "terminated",
            format!("SELECT status FROM swf_workflow_executions WHERE execution_id = 'end-{who}'"),
        ),
        (
            "grüße",
            format!("SELECT content FROM swf_ai_memory WHERE username = '{who}'"),
        ),
    ] {
        assert_eq!(texts(&mut world.bench.swf, &query, &[]), [what], "{query}");
    }
}

/// These tools in the order in which they were called.
fn called_first<'a>(calls: &Map<String, Value>, mut tools: [&'a str; 2]) -> Vec<&'a str> {
    tools.sort_by_key(|tool| calls.keys().position(|name| name == tool));
    tools.to_vec()
}

#[test]
fn official_clients_call_every_tool() {
    let mut python = Command::new(installed::folder("mcp2").join("bin/python"));
    python.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/every.py"
    ));
    every_tool_is_called("python", python, b"");
    let mut typescript = installed::node();
    typescript.args(["--input-type=module", "-"]);
    let script = include_bytes!("../clients/every.mjs");
    every_tool_is_called("typescript", typescript, script);
}
