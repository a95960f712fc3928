//! What a call may bring, and what it is told when it brings something else.

use serde_json::json;

use super::*;

const MANY: &str = r#"
[params.name]
type = "text"
min_length = 1
[params.count]
type = "integer"
min = 0
max = 10
default = 5
[params.big]
type = "integer"
optional = true
zero = "absent"
[params.status]
type = "text"
enum = ["open", "wip", "closed"]
optional = true
empty = "absent"
[params.user]
from = "token.user"
[params.token]
from = "token.name"
optional = true
[params.host]
from = "server.host"
[params.at]
from = "now"
"#;
const USE: &str = "SELECT :name, :count, :big, :status, :user, :token, :host, :at";

fn values(call: &Call) -> Vec<Option<&str>> {
    call.parameters.iter().map(Option::as_deref).collect()
}

#[test]
fn absent_null_empty_and_zero() {
    let tool = tool("arguments-absent", MANY, USE);
    let fixed = [
        Some("amara"),
        None,
        Some("host1"),
        Some("2026-04-28T12:00:00Z"),
    ];
    let call = bind(
        &tool,
        &json!({"name": "x", "count": null, "big": 0, "status": ""}),
    )
    .unwrap();
    assert_eq!(values(&call)[..4], [Some("x"), Some("5"), None, None]);
    assert_eq!(values(&call)[4..], fixed);
    let call = bind(
        &tool,
        &json!({"name": " ", "count": "7", "big": 1e3, "status": "wip"}),
    )
    .unwrap();
    assert_eq!(
        values(&call)[..4],
        [Some(" "), Some("7"), Some("1000"), Some("wip")]
    );
}

#[test]
fn all_violations_are_told_at_once() {
    let tool = tool("arguments-all", MANY, USE);
    let complaint = bind(&tool, &json!({"count": 11, "big": "x", "status": "opne"})).unwrap_err();
    assert_eq!(
        complaint,
        "name: is required\ncount: must be at most 10\nbig: must be an integer\nstatus: must be one of open, wip, closed"
    );
    assert_eq!(
        bind(&tool, &json!({"name": ""})).unwrap_err(),
        "name: must not be empty"
    );
    assert_eq!(
        bind(&tool, &json!({"name": "a\u{0}"})).unwrap_err(),
        "name: must not contain the NUL character (\\u0000)"
    );
}

#[test]
fn unknown_arguments_are_ignored_and_named() {
    let tool = tool("arguments-unknown", MANY, USE);
    let call = bind(
        &tool,
        &json!({"name": "x", "nmae": 1, "user": "root", "at": "now"}),
    )
    .unwrap();
    assert_eq!(call.ignored, ["nmae", "user", "at"]);
    assert_eq!(
        values(&call)[4],
        Some("amara"),
        "a token's value can't be given by the caller"
    );
}

#[test]
fn a_tool_bound_to_a_user_needs_one() {
    let tool = tool("arguments-user", MANY, USE);
    let nobody = Caller {
        user: None,
        ..caller()
    };
    let refusal = tool
        .bind(Some(&raw(&json!({"name": "x"}))), &nobody)
        .unwrap_err();
    assert_eq!(
        text(&refusal.outcome),
        "user: this tool needs a token that belongs to a user"
    );
}

#[test]
fn arguments_that_are_no_object_are_malformed() {
    let tool = tool("arguments-malformed", "", "SELECT 1 AS one");
    for bad in [json!([]), json!("x"), json!(1)] {
        let refusal = tool.bind(Some(&raw(&bad)), &caller()).unwrap_err();
        assert!(refusal.malformed && refusal.outcome.is_error);
    }
    for good in [None, Some(raw(&json!(null))), Some(raw(&json!({})))] {
        assert!(tool.bind(good.as_deref(), &caller()).is_ok());
    }
}

#[test]
fn an_own_schema_gets_all_arguments_as_one() {
    let schema = r#"input_schema = '''{ "type": "object", "x": [1,
 2] }'''"#;
    let tool = tool("arguments-raw", schema, "SELECT :arguments->>'a' AS a");
    let call = bind(&tool, &json!({"a": [1, "x"]})).unwrap();
    assert_eq!(call.statement.types, [3802]);
    assert_eq!(values(&call), [Some(r#"{"a":[1,"x"]}"#)]);
    let Ok(Work::Sql(call)) = tool.bind(None, &caller()) else {
        panic!("bound")
    };
    assert_eq!(values(&call), [Some("{}")]);
    assert!(
        bind(&tool, &json!({"a": "\u{0}"}))
            .unwrap_err()
            .contains("NUL")
    );
    let definition = String::from_utf8_lossy(tool.definition(Era::Modern)).into_owned();
    assert!(
        definition.contains(r#""inputSchema":{"type":"object","x":[1,2]}"#),
        "{definition}"
    );
}

#[test]
fn settings_and_conditions() {
    let files = [
        (
            "_toolset.toml",
            "time_zone = \"America/New_York\"\n[settings]\nurl = \"http://x\"",
        ),
        (
            "tool.sql",
            "/*+++\ndescription = \"T.\"\n[params.url]\nfrom = \"setting.url\"\n[params.a]\ntype = \"timestamp\"\noptional = true\n\
             [params.b]\ntype = \"date\"\noptional = true\n+++*/\nSELECT :url AS url\n, :a --? a\n, :b --? b\n, 2 AS two --? b a\n",
        ),
    ];
    let catalog = catalog("arguments-settings", &files);
    let tool = &catalog.tools()[0];
    let call = bind(tool, &json!({"a": "2026-04-28T12:00:00Z"})).unwrap();
    assert_eq!(
        values(&call),
        [Some("http://x"), Some("2026-04-28T08:00:00")]
    );
    let call = bind(tool, &json!({"b": "now"})).unwrap();
    assert_eq!(values(&call), [Some("http://x"), Some("2026-04-28")]);
    assert!(!call.statement.sql.contains("two"));
    let call = bind(tool, &json!({"b": "now", "a": "now"})).unwrap();
    assert!(call.statement.sql.contains("two"));
    let Kind::Sql(sql) = &tool.kind else {
        panic!("SQL")
    };
    assert_eq!(sql.conditions(), [vec!["a"], vec!["b"], vec!["a", "b"]]);
    assert!(tool.variant(7).is_some() && tool.variant(8).is_none());
}
