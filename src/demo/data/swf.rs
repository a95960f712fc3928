//! The tables of the workflow database. Values are as in life: other scripts, quotes, NULLs, ties, agents that
//! stopped without saying so, errors.

use serde_json::json;

use super::Table;
use super::world::{self, USERS};
use crate::demo::copy::{DAY, HOUR, MINUTE, Micros, SECOND};
use crate::demo::random::Random;

pub const NAMESPACES: Table = Table::swf(
    "swf_namespace",
    "name, owner, description, metadata, created_at, updated_at",
    |world, random, rows| {
        for namespace in &world.namespaces {
            let created = world.now - 100 * DAY - random.age(200 * DAY, 1.0);
            let description = match random.below(4) {
                0 => String::new(),
                1 => format!("Tests of {}", namespace.owner),
                2 => "Fast monitoring — 100% of the frames".to_owned(),
                _ => "Data taking\nand processing".to_owned(),
            };
            rows.row(|row| {
                row.text(&namespace.name)
                    .text(namespace.owner)
                    .text(&description)
                    .null()
                    .time(created)
                    .time(created);
            })?;
        }
        Ok(())
    },
);

pub const AGENTS: Table = Table::swf(
    "swf_systemagent",
    "instance_name, agent_type, description, status, last_heartbeat, agent_url, created_at, updated_at, \
     current_stf_count, last_stf_processed, total_stf_processed, workflow_enabled, namespace, metadata, \
     hostname, operational_state, pid",
    |world, random, rows| {
        let mut last_beat = world.now;
        for agent in &world.agents {
            let alive = random.percent(55);
            let beat = match random.below(20) {
                0 => None,
                // Two agents of one host beat in the same microsecond.
                1 | 2 => Some(last_beat),
                _ if alive => Some(world.now - random.age(2 * MINUTE, 1.0)),
                _ => Some(world.now - 4 * MINUTE - random.age(20 * DAY, 3.0)),
            };
            last_beat = beat.unwrap_or(last_beat);
            // Whoever stops in order says so; a killed one goes on claiming that all is well.
            let (status, state) = match (alive, random.below(4)) {
                (true, 0) if agent.kind == "agent_manager" => ("ERROR", "READY"),
                (true, 0) => ("WARNING", "PROCESSING"),
                (true, _) => ("OK", "READY"),
                (false, 0) => ("EXITED", "EXITED"),
                (false, 1) => ("ERROR", "EXITED"),
                (false, 2) => ("OK", "PROCESSING"),
                (false, _) => ("OK", "READY"),
            };
            let created = world.now - 30 * DAY - random.age(60 * DAY, 1.0);
            let frames = random.between(0, 40_000);
            let metadata = match random.below(3) {
                0 => None,
                1 => Some(json!({"agents_running": alive, "supervisord_healthy": alive})),
                _ => Some(json!({
                    "version": format!("1.{}.0", random.below(9)),
                    "note": "läuft, \"fast\" 100%",
                    "load": [0.5, 1, null],
                })),
            };
            let host = random.pick(&["daq01", "daq02", "wf-node-7"]);
            rows.row(|row| {
                row.text(&agent.name)
                    .text(agent.kind)
                    .text(&format!("{} on {host}", agent.kind.replace('_', " ")))
                    .text(status)
                    .maybe_time(beat)
                    .null()
                    .time(created)
                    .time(beat.unwrap_or(created))
                    .plain(if alive { random.between(0, 4) } else { 0 })
                    .maybe_time((frames > 5_000).then(|| world.now - random.age(9 * DAY, 3.0)))
                    .plain(frames)
                    .plain(agent.kind != "agent_manager")
                    .maybe_text(world.namespace(agent.namespace))
                    .maybe_json(metadata.as_ref())
                    .text(host)
                    .text(state)
                    .maybe_plain((!random.percent(20)).then(|| random.between(900, 4_000_000)));
            })?;
        }
        Ok(())
    },
);

pub const DEFINITIONS: Table = Table::swf(
    "swf_workflow_definitions",
    "workflow_name, version, workflow_type, definition, parameter_values, created_by, created_at, updated_at",
    |world, random, rows| {
        for definition in world::DEFINITIONS {
            let created = world.now - 120 * DAY - random.age(100 * DAY, 1.0);
            rows.row(|row| {
                row.text(definition.name)
                    .text(definition.version)
                    .text(definition.kind)
                    .text("def run(parameters):\n    \\pass\n")
                    .json(&json!({"stf_interval": 2.0}))
                    .text(random.pick(USERS))
                    .time(created)
                    .time(created);
            })?;
        }
        Ok(())
    },
);

pub const EXECUTIONS: Table = Table::swf(
    "swf_workflow_executions",
    "execution_id, parameter_values, performance_metrics, status, start_time, end_time, executed_by, \
     workflow_definition_id, namespace",
    |world, random, rows| {
        for execution in &world.executions {
            let parameters = json!({
                "stf_count": random.between(1, 500),
                "stf_interval": random.between(1, 40) as f64 / 4.0,
                "realtime": random.percent(80),
                "namespace": world.namespace(execution.namespace),
                "note": random.pick(&["", "nächster Lauf", "\"beam\" at 100%", "第二"]),
            });
            let metrics = execution.end.map(|end| {
                json!({
                    "seconds": (end - execution.start) as f64 / SECOND as f64,
                    "frames": {"sent": random.below(500), "lost": random.below(3)},
                })
            });
            rows.row(|row| {
                row.text(&execution.id)
                    .json(&parameters)
                    .maybe_json(metrics.as_ref())
                    .text(execution.status)
                    .time(execution.start)
                    .maybe_time(execution.end)
                    .text(execution.user)
                    .plain(execution.definition + 1)
                    .maybe_text(world.namespace(execution.namespace));
            })?;
        }
        Ok(())
    },
);

pub const MESSAGES: Table = Table::swf(
    "swf_workflow_messages",
    "message_id, message_type, sender_agent, sender_type, message_content, sent_at, is_successful, queue_name, \
     namespace, execution_id, run_id",
    |world, random, rows| {
        let mut last = world.now;
        for index in 0..world.counts.messages {
            let execution = &world.executions[random.index(world.executions.len())];
            let agent = &world.agents[random.index(world.agents.len())];
            let kind = random.weighted(MESSAGE_TYPES);
            let run = world.runs[execution.run].number;
            let content = content(random, kind, run, index);
            let sent = match random.percent(4) {
                true => last.max(execution.start),
                false => execution.start + random.age(HOUR.min(world.now - execution.start), 1.0),
            };
            last = sent;
            let attached = !random.percent(10);
            let named = match random.below(40) {
                0 => "test-run".to_owned(),
                1 => String::new(),
                _ => run.to_string(),
            };
            rows.row(|row| {
                row.plain(random.uuid())
                    .text(kind)
                    .maybe_text((!random.percent(5)).then_some(agent.name.as_str()))
                    .text(agent.kind)
                    .text(&content)
                    .time(sent)
                    .plain(kind != "error")
                    .text("/topic/epictopic")
                    .maybe_text(world.namespace(execution.namespace))
                    .maybe_text(attached.then_some(execution.id.as_str()))
                    .maybe_text(attached.then_some(&*named));
            })?;
        }
        Ok(())
    },
);

const MESSAGE_TYPES: &[(&str, u64)] = &[
    ("run_imminent", 10),
    ("start_run", 10),
    ("stf_gen", 30),
    ("stf_ready", 30),
    ("end_run", 10),
    ("run_workflow_failed", 2),
    ("error", 8),
];

/// What a message says, as JSON: mostly an object of its type's usual form, sometimes whatever its sender thought of.
fn content(random: &mut Random, kind: &str, run: i64, index: usize) -> String {
    const ODD_ERRORS: &[&str] = &[
        r#"{"reason": "läuft nicht", "code": 7}"#,
        r#"{"error": {"code": 5, "hint": null}}"#,
        r#"{"error": null}"#,
        r#""Broker weg: 100%""#,
        r#"[1, "two"]"#,
        "null",
        "{}",
    ];
    const ODD_RUNS: &[&str] = &[
        r#"{"run_id": ""}"#,
        r#"{"run_id": null}"#,
        r#"{"run_id": 0}"#,
        "{}",
    ];
    const ODD: &[&str] = &[
        "null",
        "{}",
        "[]",
        "0",
        r#""""#,
        "false",
        "true",
        r#""plain text, 'quoted'\nand \"broken\"""#,
        r#"[1, 2.5, null, true, {"é": "東京"}]"#,
    ];
    match (kind, random.below(10)) {
        ("error" | "run_workflow_failed", 0..=2) => random.pick(ODD_ERRORS).to_owned(),
        ("error" | "run_workflow_failed", _) => {
            json!({"error": "worker died: \"signal 9\"", "run_id": null}).to_string()
        }
        ("run_imminent", 0) => random.pick(ODD_RUNS).to_owned(),
        ("run_imminent", 1..=3) => json!({"run_id": run.to_string(), "tick": 0.5}).to_string(),
        ("run_imminent", _) => json!({"run_id": run, "beam": "10x275"}).to_string(),
        (_, 0) => random.pick(ODD).to_owned(),
        (_, 1) => json!({"run_id": run, "comment": "Überlänge 東京 ".repeat(20), "rate": 0.000_01})
            .to_string(),
        _ => json!({"run_id": run, "filename": format!("swf.{index:06}.stf")}).to_string(),
    }
}

const LEVELS: &[((i32, &str), u64)] = &[
    ((10, "DEBUG"), 10),
    ((20, "INFO"), 70),
    ((30, "WARNING"), 12),
    ((40, "ERROR"), 7),
    ((50, "CRITICAL"), 1),
];

const LOG_MESSAGES: &[&str] = &[
    "Heartbeat sent",
    "Frame file registered",
    "Processing reached 100% of the slices",
    "Prüfsumme stimmt nicht überein",
    "Queue is empty_waiting",
    "Traceback (most recent call last):\n  File \"agent.py\", line 12\nKeyError: 'run_id'",
    "C:\\data\\frames is not mounted",
    "接続が切れました",
];

pub const LOGS: Table = Table::swf(
    "swf_applog",
    "app_name, instance_name, timestamp, level, levelname, message, module, funcname, lineno, process, thread, \
     extra_data",
    |world, random, rows| {
        let mut last = world.now - 30 * DAY;
        for index in 0..world.counts.logs {
            let mut at: Micros = world.now
                - world::spread(index, world.counts.logs, 30 * DAY, 2.0)
                - random.age(2 * MINUTE, 1.0);
            if random.percent(3) {
                at = last;
            } else if random.percent(5) {
                at -= at % SECOND;
            }
            last = at;
            let agent = &world.agents[random.early_index(world.agents.len())];
            let (level, name) = random.weighted(LEVELS);
            let extra = match random.below(3) {
                0 => None,
                1 => Some(json!({"namespace": world.namespace(agent.namespace)})),
                _ => {
                    let execution = &world.executions[random.index(world.executions.len())];
                    Some(json!({
                        "execution_id": execution.id,
                        "namespace": world.namespace(execution.namespace),
                    }))
                }
            };
            rows.row(|row| {
                row.text(&format!(
                    "swf-{}",
                    agent.kind.to_lowercase().replace('_', "-")
                ))
                .text(&agent.name)
                .time(at)
                .plain(level)
                .text(name)
                .text(&format!("{} ({index})", random.pick(LOG_MESSAGES)))
                .text(random.pick(&["agent", "base_agent", "processing"]))
                .text(random.pick(&["run", "send_heartbeat", "on_message"]))
                .plain(random.between(1, 900))
                .plain(random.between(900, 90_000))
                .plain(139_000_000_000_000 + random.below(1 << 40) as i64)
                .maybe_json(extra.as_ref());
            })?;
        }
        Ok(())
    },
);

pub const MEMORIES: Table = Table::swf(
    "swf_ai_memory",
    "username, session_id, role, content, created_at, namespace, project_path",
    |world, random, rows| {
        let turns = world.counts.memories;
        let mut user = USERS[0];
        for index in 0..turns {
            if index % 12 == 0 {
                user = random.skewed(USERS);
            }
            let at = world.now - world::spread(index, turns, 60 * DAY, 2.0);
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            let content = match random.below(4) {
                0 => "How many jobs failed since yesterday?".to_owned(),
                1 => "Die \"letzte\" Ausführung ist zu 100% fertig ✅".to_owned(),
                2 => format!(
                    "There are {} running agents.\n- all is well",
                    random.below(90)
                ),
                _ => "工作流程结束了吗？".to_owned(),
            };
            rows.row(|row| {
                row.text(user)
                    .text(&format!("session-{}", index / 12))
                    .text(role)
                    .text(&content)
                    .time(at)
                    .maybe_text(random.pick(&[
                        None,
                        Some("post-17"),
                        Some(""),
                        Some("プロジェクト"),
                    ]))
                    .maybe_text(random.pick(&[None, Some("/home/user/project"), Some("root-3")]));
            })?;
        }
        Ok(())
    },
);
