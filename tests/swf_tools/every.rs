//! What holds of every tool alike: wrong types are named, nothing given is nothing asked for, both eras answer the same,
//! and reading writes nothing.

use super::*;
use crate::harness::wait;

/// An argument that each required parameter takes.
fn sample(parameter: &str) -> Value {
    match parameter {
        "name" => json!("agent-manager-amara"),
        "namespace" => json!("torre1"),
        "execution_id" => json!("nonesuch"),
        "username" => json!("amara"),
        "tag_type" => json!("p"),
        "tag_label" => json!("p1001"),
        "query" => json!("pythia"),
        "panda_queue" => json!("LAKESIDE_HPC"),
        "tf_filename" => json!("swf.run1001.000001_000.tf"),
        "log_id" | "slice_id" | "pandaid" => json!(1),
        "message" | "session_id" | "content" => json!("x"),
        "role" => json!("user"),
        "run_number" => json!(1001),
        other => panic!("what is a {other}?"),
    }
}

pub struct Listed {
    pub name: String,
    pub required: Value,
    pub properties: serde_json::Map<String, Value>,
}

/// Every tool that reads the databases, and asks nobody else.
fn reading(bench: &Bench) -> Vec<Listed> {
    listed(bench, |name| {
        !WRITES.contains(&name) && !ACTS.contains(&name)
    })
}

/// The tools that are statements and have such a name.
pub fn listed(bench: &Bench, which: impl Fn(&str) -> bool) -> Vec<Listed> {
    let result = Post::legacy("tools/list", Value::Null)
        .send(bench.server.address())
        .result();
    let tools = result["tools"].as_array().expect("tools").iter();
    tools
        .filter(|tool| which(tool["name"].as_str().expect("a name")))
        .filter(|tool| {
            let file = format!("{FOLDER}/{}.sql", tool["name"].as_str().expect("a name"));
            std::path::Path::new(&file).exists()
        })
        .map(|tool| {
            let schema = &tool["inputSchema"];
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let required = required.iter().map(|name| {
                let name = name.as_str().expect("a name");
                (name.to_owned(), sample(name))
            });
            Listed {
                name: tool["name"].as_str().expect("a name").to_owned(),
                required: Value::Object(required.collect()),
                properties: schema["properties"]
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
            }
        })
        .collect()
}

#[test]
fn a_value_of_the_wrong_type_is_named_by_every_tool() {
    let bench = Bench::start();
    let refusals = refuse_wrong_types(&bench, &reading(&bench));
    assert!(refusals > 400, "{refusals}");
}

/// Calls every tool with every kind of wrong value for every parameter; how many calls that were.
pub fn refuse_wrong_types(bench: &Bench, tools: &[Listed]) -> usize {
    let mut refusals = 0;
    for tool in tools {
        for (parameter, schema) in &tool.properties {
            let time = parameter.ends_with("_time");
            let wrong = match schema["type"].as_str().unwrap_or("any") {
                "string" if time => vec![json!("soon"), json!("2026-13-45"), json!(5), json!(true)],
                "string" => vec![
                    json!(5),
                    json!(1.5),
                    json!(["a"]),
                    json!({}),
                    json!(true),
                    json!("a\0b"),
                ],
                "integer" => vec![json!("x"), json!(1.5), json!([1]), json!({}), json!(1e20)],
                "number" => vec![json!("x"), json!([1]), json!({}), json!("1e999")],
                "boolean" => vec![json!("perhaps"), json!(2), json!([])],
                "any" => vec![
                    json!(5),
                    json!("x"),
                    json!([{}]),
                    json!(true),
                    json!({"a": "\0"}),
                ],
                other => panic!("{}.{parameter}: {other}", tool.name),
            };
            for value in wrong {
                let mut arguments = tool.required.clone();
                arguments[parameter] = value;
                let message = bench.refused(&tool.name, arguments.clone());
                assert!(
                    message.starts_with(&format!("{parameter}: ")) && !message.contains('\n'),
                    "{} {arguments}: {message}",
                    tool.name
                );
                refusals += 1;
            }
        }
        // All that is wrong is told at once.
        if tool.properties.len() > 1 {
            let typed = tool.properties.iter();
            let typed = typed.filter(|(_, schema)| schema["type"].is_string());
            let all: serde_json::Map<String, Value> =
                typed.map(|(name, _)| (name.clone(), json!([]))).collect();
            let message = bench.refused(&tool.name, Value::Object(all.clone()));
            assert_eq!(
                message.lines().count(),
                all.len(),
                "{}: {message}",
                tool.name
            );
        }
    }
    refusals
}

/// The text of an answer, and whether it is an error. The moment of an answer, and the span that a namespace was counted for, move
/// with the clock.
fn answer(bench: &Bench, era: Era, tool: &str, arguments: &Value) -> (Value, bool) {
    let (text, is_error) = bench.raw(era, tool, arguments);
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    for moving in ["time_range", "timestamp"] {
        value
            .as_object_mut()
            .expect("an object")
            .shift_remove(moving);
    }
    (value, is_error)
}

#[test]
fn null_empty_and_unknown_arguments_are_no_arguments_in_both_eras() {
    let bench = Bench::start();
    for tool in reading(&bench) {
        let mut nulls = tool.required.clone();
        let mut empty = tool.required.clone();
        empty["of_no_meaning"] = json!([{}]);
        for (parameter, schema) in &tool.properties {
            if !tool.required[parameter].is_null() {
                continue;
            }
            nulls[parameter] = Value::Null;
            let means_something = tool.name == "swf_list_agents" && parameter == "status";
            if schema["type"] == "string" && !means_something {
                empty[parameter] = json!("");
            }
        }
        let what = format!("{} answers all of them alike", tool.name);
        // Windows move: two answers may fall on two sides of an edge.
        wait::until(&what, || {
            let plain = answer(&bench, Era::Legacy, &tool.name, &tool.required);
            [
                (Era::Legacy, &nulls),
                (Era::Legacy, &empty),
                (Era::Modern, &nulls),
            ]
            .into_iter()
            .all(|(era, arguments)| answer(&bench, era, &tool.name, arguments) == plain)
        });
    }
}

/// Rows inserted, updated and deleted since the databases were made, as they count themselves. The memory that other tests
/// write is left out.
fn changes(swf: &mut Client, panda: &mut Client) -> [i64; 2] {
    let count = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE relname <> 'swf_ai_memory'";
    [number(swf, count, &[]), number(panda, count, &[])]
}

#[test]
fn reading_writes_nothing() {
    let mut bench = Bench::start_as(READER);
    let before = changes(&mut bench.swf, &mut bench.panda);
    assert!(before.iter().all(|&rows| rows > 1_000), "{before:?}");
    let mut called = 0;
    for tool in reading(&bench) {
        // What is found, and what is not.
        for arguments in [tool.required.clone(), all_given(&tool)] {
            bench.raw(Era::Legacy, &tool.name, &arguments);
            called += 1;
        }
    }
    assert!(called > 60);
    let Bench {
        server,
        mut swf,
        mut panda,
    } = bench;
    drop(server);
    // A session counts what it did for all to see when it ends, if not before.
    wait::until("the server's sessions have ended", || {
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{READER}'");
        number(&mut swf, &sessions, &[]) == 0
    });
    assert_eq!(changes(&mut swf, &mut panda), before);
}

/// A call with an argument for every parameter.
fn all_given(tool: &Listed) -> Value {
    let mut arguments = tool.required.clone();
    for (parameter, schema) in &tool.properties {
        if !arguments[parameter].is_null() {
            continue;
        }
        arguments[parameter] = match schema["type"].as_str() {
            Some("integer") => json!(3),
            Some("boolean") => json!(true),
            _ if parameter == "start_time" => json!("2000-01-01"),
            _ if parameter == "end_time" => json!("now"),
            _ => schema["enum"]
                .get(0)
                .cloned()
                .unwrap_or_else(|| json!("100% 'é' \"日\" \\")),
        };
    }
    arguments
}
