//! Tools with effects: what their files may say, and the way of a call from plan to finish. Performs nothing.

use std::sync::Arc;

use serde_json::json;

use super::super::*;
use super::{Folder, bind, faults, text, tool};
use crate::db::{Access, Rows};
use crate::effects::{self, Request};
use crate::files::Files;

const SEND: &str = "annotations = { read_only = false }\nshape = \"document\"\nerror_key = \"error\"\n[params.id]\ntype = \"integer\"\n\
    [effects.send]\nkind = \"stomp\"\nbroker = \"mq\"\ndestination = \":to\"\ndestinations = [\"/queue/a.*\"]\nbody = \":body\"\n";
const TWO: &str = "SELECT plan(:id) -- first;\n; SELECT report(:plan, :outcome) ;";

fn rows(json: &str) -> Rows {
    Rows {
        json: json.as_bytes().to_vec(),
        count: 1,
        ..Rows::default()
    }
}

fn planned(tool: &Arc<Tool>, plan: &str) -> (Call, Step) {
    let mut call = bind(tool, &json!({"id": 7})).unwrap();
    assert!(call.plans());
    assert_eq!(call.access, Access::ReadOnly, "a plan only looks");
    let step = tool.answered(&mut call, Ok(rows(plan)));
    (call, step)
}

#[test]
fn a_call_goes_from_plan_over_effects_to_finish() {
    let tool = tool("way", SEND, TWO);
    let plan = r#"{"own": 1, "effects": [{"effect": "send", "values": {"to": "/queue/a.b", "body": {"z": 1, "a": "é"}}}]}"#;
    let (mut call, step) = planned(&tool, plan);
    let Step::Act(acts) = step else {
        panic!("{step:?}")
    };
    let Request::Stomp(message) = &acts[0].request else {
        panic!("{acts:?}")
    };
    assert_eq!(message.destination, "/queue/a.b");
    assert_eq!(message.body, r#"{"z":1,"a":"é"}"#);
    assert!(acts[0].changes());
    let outcome = effects::Outcome {
        name: "send".to_owned(),
        ok: true,
        begun: true,
        error: None,
        took: std::time::Duration::ZERO,
        fields: serde_json::Map::new(),
    };
    tool.acted(&mut call, &[outcome]);
    assert!(!call.plans());
    assert_eq!(call.access, Access::ReadWrite);
    assert!(
        call.statement.sql.contains("report($1, $2)"),
        "{}",
        call.statement.sql
    );
    assert_eq!(call.statement.types, [114, 114]);
    let outcome = r#"[{"effect":"send","ok":true,"error":null}]"#;
    assert_eq!(
        call.parameters,
        [Some(plan.to_owned()), Some(outcome.to_owned())]
    );
    let Step::Done(done) = tool.answered(&mut call, Ok(rows("{\"error\": null}"))) else {
        panic!("not done")
    };
    assert!(!done.is_error);
    let Step::Done(done) = tool.answered(&mut call, Ok(Rows::default())) else {
        panic!("not done")
    };
    assert!(
        done.is_error && text(&done).contains("is not undone: send"),
        "{done:?}"
    );
}

#[test]
fn a_plans_result_is_the_result_and_a_wrong_plan_an_error() {
    let tool = tool("plans", SEND, TWO);
    for (plan, is_error, part) in [
        (
            r#"{"result": {"b": 1,  "a": 1.50}}"#,
            false,
            r#"{"b":1,"a":1.50}"#,
        ),
        (r#"{"result": {"error": "no"}}"#, true, r#"{"error":"no"}"#),
        (
            r#"{"result": 1, "effects": []}"#,
            true,
            "one of `result` and `effects`",
        ),
        ("[1]", true, "is no object"),
        (
            r#"{"effects": [{"effect": "sned"}]}"#,
            true,
            "an effect `sned`",
        ),
        (
            r#"{"effects": [{"effect": "send", "values": {"x": 1}}]}"#,
            true,
            "a value `x`",
        ),
        (
            r#"{"effects": [{"effect": "send", "values": {"to": "/queue/b", "body": 1}}]}"#,
            true,
            "not a destination",
        ),
        (
            r#"{"effects": [{"effect": "send", "values": {"body": 1}}]}"#,
            true,
            "needs a destination",
        ),
    ] {
        let (_, step) = planned(&tool, plan);
        let Step::Done(outcome) = step else {
            panic!("{plan}: {step:?}")
        };
        assert_eq!(outcome.is_error, is_error, "{plan}");
        assert!(text(&outcome).contains(part), "{plan}: {}", text(&outcome));
    }
    let (_, step) = planned(&tool, r#"{"effects": []}"#);
    assert!(matches!(step, Step::Act(acts) if acts.is_empty()));
}

#[test]
fn a_plan_can_ask_past_the_cache() {
    let ask = "shape = \"document\"\n[params.id]\ntype = \"integer\"\n\
               [effects.ask]\nkind = \"http\"\nurl = \"http://a\"\ncache = \"2m\"\n";
    let tool = tool("fresh", ask, TWO);
    for (more, cache) in [
        ("", Some(120)),
        (r#", "fresh": false"#, Some(120)),
        (r#", "fresh": true"#, None),
    ] {
        let plan = format!(r#"{{"effects": [{{"effect": "ask"{more}}}]}}"#);
        let Step::Act(acts) = planned(&tool, &plan).1 else {
            panic!("{plan}")
        };
        let Request::Http(request) = &acts[0].request else {
            panic!("{acts:?}")
        };
        assert_eq!(request.cache.map(|cache| cache.as_secs()), cache, "{plan}");
    }
}

#[test]
fn every_fault_of_a_tool_with_effects_is_told() {
    let table: &[(&str, &str, &str)] = &[
        (
            SEND,
            "SELECT plan(:id)",
            "has two statements, and here is one",
        ),
        (
            SEND,
            "INSERT INTO t VALUES (:id); SELECT 1",
            "a plan only looks",
        ),
        (
            SEND,
            "SELECT plan(:id, :outcome); SELECT 1",
            "`:outcome` is no parameter",
        ),
        (
            SEND,
            "SELECT 1; SELECT 2",
            "the statement never uses the parameter `id`",
        ),
        (
            SEND,
            "SELECT :id; SELECT 2; SELECT 3",
            "a second statement begins here",
        ),
        (
            "shape = \"document\"",
            "SELECT 1; SELECT 2",
            "a second statement begins here",
        ),
        (
            "[effects.x]",
            "SELECT 1; SELECT 2",
            "the effect `x` has no kind",
        ),
        (
            "[effects.x]\nkind = \"htpp\"",
            "SELECT 1; SELECT 2",
            "must be one of http, program, stomp",
        ),
        (
            "[effects.x]\nkind = \"program\"\nprogram = \"p\"",
            "SELECT 1; SELECT 2",
            "this effect may change something",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"https://a\"",
            "SELECT 1; SELECT 2",
            "yields one document",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \":u\"",
            "SELECT 1; SELECT 2",
            "could be any host",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"gopher://a\"",
            "SELECT 1; SELECT 2",
            "is no URL",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"http://a\"\nbody = 1",
            "SELECT 1; SELECT 2",
            "a GET has no body",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"http://a\"\nmethod = \"POST\"\ncache = \"5s\"",
            "SELECT 1; SELECT 2",
            "the answer to a POST is not kept",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"http://a\"\ncache = \"61m\"",
            "SELECT 1; SELECT 2",
            "`cache` is at most 60m",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"http://a\"\ncache = \"soon\"",
            "SELECT 1; SELECT 2",
            "is not a duration",
        ),
        (
            "[effects.x]\nkind = \"stomp\"\nbroker = \"b\"\ndestination = \":d\"",
            "SELECT 1; SELECT 2",
            "could be any destination",
        ),
        (
            "[effects.x]\nkind = \"stomp\"\nbroker = \"b\"",
            "SELECT 1; SELECT 2",
            "has no destination",
        ),
        (
            "[effects.x]\nkind = \"http\"\nurl = \"http://a\"\npaht = []",
            "SELECT 1; SELECT 2",
            "unknown key `effects.x.paht`",
        ),
    ];
    for (front_matter, sql, expected) in table {
        let told = faults("effects", front_matter, sql);
        assert!(
            told.iter().any(|fault| fault.contains(expected)),
            "{front_matter} {sql}: {told:#?}"
        );
    }
}

#[test]
fn programs_and_brokers_must_be_configured() {
    let folder = Folder::new(
        "names",
        &[
            (
                "run.toml",
                "kind = \"program\"\ndescription = \"x\"\nannotations = { read_only = false }\n[program]\nprogram = \"kil\"",
            ),
            (
                "ask.toml",
                "kind = \"http\"\ndescription = \"x\"\n[params.a]\ntype = \"text[]\"\n[http]\nurl = \"http://a\"\npath = [\":b\"]",
            ),
            ("none.toml", "kind = \"stomp\"\ndescription = \"x\""),
        ],
    );
    let context = LoadContext {
        programs: Some(vec!["kill".to_owned()]),
        brokers: Some(Vec::new()),
        ..LoadContext::default()
    };
    let (catalog, faults) =
        Catalog::load(std::slice::from_ref(&folder.0), &context, &Files::disk());
    assert!(catalog.tools().is_empty());
    let told: Vec<String> = faults
        .iter()
        .map(|f| format!("{} {:?}", f.message, f.help))
        .collect();
    for expected in [
        "no program `kil` is configured Some(\"did you mean `kill`?\")",
        "`:b` is no parameter",
        "the effect never uses the parameter `a`",
        "an effect takes no list",
        "the tool has no [stomp]",
    ] {
        assert!(
            told.iter().any(|fault| fault.contains(expected)),
            "{expected}: {told:#?}"
        );
    }
}
