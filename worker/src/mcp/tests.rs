//! The ladder, rung by rung: each row is a request and what must come of it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{Catalog, LoadContext};
use crate::files::Files;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

const TOOLS: [(&str, &str); 3] = [
    (
        "greet.sql",
        "/*+++\ndescription = \"Greets.\"\n[params.name]\ntype = \"text\"\ndescription = \"Whom.\"\n+++*/\nSELECT :name AS hello",
    ),
    (
        "region.sql",
        "/*+++\ndescription = \"By region.\"\n[params.region]\ntype = \"text\"\noptional = true\nheader = \"Region\"\ndescription = \"Region.\"\n+++*/\nSELECT 1 AS one -- for --\nWHERE :region = 'x' --? region\n",
    ),
    (
        "sampling.sql",
        "/*+++\ndescription = \"Needs sampling.\"\nclient_capabilities = [\"sampling\"]\n+++*/\nSELECT 1 AS one",
    ),
];

struct Fixture {
    folder: PathBuf,
    catalog: Catalog,
    prepared: Prepared,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn fixture(name: &str) -> Fixture {
    let folder = std::env::temp_dir()
        .join(format!("tine-mcp-{}-{name}", std::process::id()))
        .join("set");
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in TOOLS {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let context = LoadContext::default();
    let (catalog, faults) = Catalog::load(std::slice::from_ref(&folder), &context, &Files::disk());
    assert!(faults.is_empty(), "{faults:?}");
    let server = ServerInfo {
        name: "test".into(),
        title: None,
        version: "1".into(),
    };
    let prepared = Prepared::new(
        &server,
        None,
        &Caching {
            ttl_ms: 1,
            public: true,
        },
        Listed {
            hash: "",
            list_changed: true,
        },
    );
    Fixture {
        folder: folder.parent().unwrap().to_owned(),
        catalog,
        prepared,
    }
}

#[derive(Default, Clone, Copy)]
struct Sent<'a> {
    version: Option<&'a str>,
    method: Option<&'a str>,
    name: Option<&'a str>,
    region: Option<&'a str>,
}

/// `status code-or-result`; a call that may run is `call NAME`.
fn ask(fixture: &Fixture, sent: Sent, body: &str) -> String {
    let endpoint = Endpoint {
        toolset: fixture.catalog.toolset(None).unwrap(),
        prepared: &fixture.prepared,
        outdated: false,
        caller: Caller {
            user: None,
            token: None,
            now: Timestamp::UNIX_EPOCH,
            host: "h",
        },
    };
    let parameter = |name: &str| {
        if name.eq_ignore_ascii_case("region") {
            sent.region
        } else {
            None
        }
    };
    let headers = Headers {
        protocol_version: sent.version,
        method: sent.method,
        name: sent.name,
        parameter: &parameter,
    };
    let reply = |reply: Reply| {
        let value: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(value["jsonrpc"], "2.0");
        assert_ne!(
            value.get("id"),
            Some(&Value::Null),
            "a null id is never sent"
        );
        match value.get("error") {
            Some(error) => format!("{} {}", reply.status, error["code"]),
            None if value["result"]["isError"] == true => format!("{} isError", reply.status),
            None => format!("{} ok", reply.status),
        }
    };
    let describe = |answer: Answer| match answer {
        Answer::Accepted => "202".to_owned(),
        Answer::Call(call) => format!("call {}", call.tool.name),
        Answer::Listen(listen) => format!("listen {} {}", listen.id, listen.tools),
        Answer::Refused(refused) => {
            let answered = refused.reply(&fixture.prepared, "r-7");
            let text = String::from_utf8_lossy(&answered.body).into_owned();
            assert!(text.contains("\"io.tine/requestId\":\"r-7\""), "{text}");
            reply(answered)
        }
        Answer::Reply(answered) => reply(answered),
    };
    match answer(&endpoint, &headers, body.as_bytes()) {
        Answers::One(one) => describe(one),
        Answers::Batch(all) => all.into_iter().map(describe).collect::<Vec<_>>().join("; "),
    }
}

fn modern_body(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{META}{comma}{params}}}}}"#)
}

#[test]
fn modern_ladder() {
    let fixture = fixture("modern");
    let sent = |method, name| Sent {
        version: Some("2026-07-28"),
        method: Some(method),
        name,
        region: None,
    };
    let greet = r#""name":"greet","arguments":{"name":"a"}"#;
    for (sent, body, expected) in [
        (sent("server/discover", None), modern_body("server/discover", ""), "200 ok"),
        (sent("tools/list", None), modern_body("tools/list", ""), "200 ok"),
        (sent("tools/list", None), modern_body("tools/list", r#""cursor":"""#), "200 -32602"),
        (sent("tools/call", Some("greet")), modern_body("tools/call", greet), "call greet"),
        // Required `_meta`.
        (sent("tools/list", None), r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#.into(), "400 -32602"),
        (sent("tools/list", None), r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.into(), "400 -32602"),
        (
            sent("tools/list", None),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#.into(),
            "400 -32602",
        ),
        // The header equals the body, also where the body's version is unknown.
        (Sent { version: None, ..sent("tools/list", None) }, modern_body("tools/list", ""), "400 -32020"),
        (Sent { version: Some("2025-11-25"), ..sent("tools/list", None) }, modern_body("tools/list", ""), "400 -32020"),
        (sent("tools/list", None), modern_body("tools/list", "").replace("2026-07-28", "v999"), "400 -32020"),
        (Sent { version: Some("v999"), ..sent("tools/list", None) }, modern_body("tools/list", "").replace("2026-07-28", "v999"), "400 -32022"),
        // Mcp-Method, then the method, then Mcp-Name.
        (Sent { method: None, ..sent("", None) }, modern_body("tools/list", ""), "400 -32020"),
        (sent("TOOLS/LIST", None), modern_body("tools/list", ""), "400 -32020"),
        (sent("prompts/list", None), modern_body("prompts/list", ""), "404 -32601"),
        (sent("initialize", None), modern_body("initialize", ""), "404 -32601"),
        (sent("ping", None), modern_body("ping", ""), "404 -32601"),
        // Subscriptions: only what is asked for, and a filter there must be.
        (
            sent("subscriptions/listen", None),
            modern_body("subscriptions/listen", r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["x"]}"#),
            "listen 1 true",
        ),
        (
            sent("subscriptions/listen", None),
            modern_body("subscriptions/listen", r#""notifications":{"promptsListChanged":true,"toolsListChanged":false}"#),
            "listen 1 false",
        ),
        (sent("subscriptions/listen", None), modern_body("subscriptions/listen", r#""notifications":{}"#), "listen 1 false"),
        (sent("subscriptions/listen", None), modern_body("subscriptions/listen", ""), "200 -32602"),
        (sent("subscriptions/listen", None), modern_body("subscriptions/listen", r#""notifications":null"#), "200 -32602"),
        (sent("subscriptions/listen", None), modern_body("subscriptions/listen", r#""notifications":["toolsListChanged"]"#), "200 -32602"),
        (
            sent("subscriptions/listen", None),
            modern_body("subscriptions/listen", r#""notifications":{"toolsListChanged":1}"#),
            "200 -32602",
        ),
        (sent("tools/list", None), modern_body("subscriptions/listen", r#""notifications":{}"#), "400 -32020"),
        (sent("tools/call", None), modern_body("tools/call", greet), "400 -32020"),
        (sent("tools/call", Some("other")), modern_body("tools/call", greet), "400 -32020"),
        (sent("tools/call", Some("=?base64?Z3JlZXQ=?=")), modern_body("tools/call", greet), "call greet"),
        (sent("tools/call", Some("nope")), modern_body("tools/call", r#""name":"nope""#), "200 -32602"),
        (sent("tools/call", None), modern_body("tools/call", ""), "200 -32602"),
        // Mcp-Param.
        (sent("tools/call", Some("region")), modern_body("tools/call", r#""name":"region","arguments":{"region":"eu"}"#), "400 -32020"),
        (
            Sent { region: Some("eu"), ..sent("tools/call", Some("region")) },
            modern_body("tools/call", r#""name":"region","arguments":{"region":"eu"}"#),
            "call region",
        ),
        (
            Sent { region: Some("us"), ..sent("tools/call", Some("region")) },
            modern_body("tools/call", r#""name":"region","arguments":{"region":"eu"}"#),
            "400 -32020",
        ),
        (sent("tools/call", Some("region")), modern_body("tools/call", r#""name":"region""#), "call region"),
        (Sent { region: Some("eu"), ..sent("tools/call", Some("region")) }, modern_body("tools/call", r#""name":"region""#), "400 -32020"),
        // Capabilities, then arguments.
        (sent("tools/call", Some("sampling")), modern_body("tools/call", r#""name":"sampling""#), "400 -32021"),
        (
            sent("tools/call", Some("sampling")),
            modern_body("tools/call", r#""name":"sampling""#).replace("Capabilities\":{}", "Capabilities\":{\"sampling\":{}}"),
            "call sampling",
        ),
        (sent("tools/call", Some("greet")), modern_body("tools/call", r#""name":"greet","arguments":{}"#), "200 isError"),
    ] {
        assert_eq!(ask(&fixture, sent, &body), expected, "{body} with {:?} {:?}", sent.version, sent.method);
    }
}

#[test]
fn legacy_ladder() {
    let fixture = fixture("legacy");
    let message = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":0,"method":"{method}","params":{{{params}}}}}"#)
    };
    let none = Sent::default();
    let version = |version| Sent {
        version: Some(version),
        ..none
    };
    for (sent, body, expected) in [
        (
            none,
            message(
                "initialize",
                r#""protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"c","version":"1"}"#,
            ),
            "200 ok",
        ),
        (
            none,
            message("initialize", r#""protocolVersion":"2026-07-28""#),
            "200 ok",
        ),
        (none, message("ping", ""), "200 ok"),
        (none, message("tools/list", ""), "200 ok"),
        (
            none,
            r#"{"jsonrpc":"2.0","id":"x","method":"tools/list"}"#.into(),
            "200 ok",
        ),
        (
            none,
            message("tools/list", r#""_meta":{"progressToken":0}"#),
            "200 ok",
        ),
        (
            none,
            message("tools/call", r#""name":"greet","arguments":{"name":"a"}"#),
            "call greet",
        ),
        (
            none,
            message("tools/call", r#""name":"greet""#),
            "200 isError",
        ),
        (
            none,
            message("tools/call", r#""name":"nope""#),
            "200 -32602",
        ),
        (none, message("server/discover", ""), "200 -32601"),
        (none, message("resources/list", ""), "200 -32601"),
        (version("2025-11-25"), message("tools/list", ""), "200 ok"),
        (version("2024-11-05"), message("tools/list", ""), "200 ok"),
        (
            version("1999-01-01"),
            message("tools/list", ""),
            "400 -32022",
        ),
        (version("nonsense"), message("tools/list", ""), "400 -32022"),
        // The modern headers of a client that sends them in both eras are not looked at.
        (
            Sent {
                method: Some("other"),
                ..version("2025-11-25")
            },
            message("tools/list", ""),
            "200 ok",
        ),
        // A `_meta` that names a legacy revision is served as one.
        (
            version("2025-11-25"),
            modern_body("tools/list", "").replace("2026-07-28", "2025-11-25"),
            "200 ok",
        ),
        (
            version("2025-06-18"),
            modern_body("tools/list", "").replace("2026-07-28", "2025-11-25"),
            "400 -32020",
        ),
        (
            none,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into(),
            "202",
        ),
        (
            none,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into(),
            "202",
        ),
        (
            none,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.into(),
            "400 -32600",
        ),
        (none, "{".into(), "400 -32700"),
        (
            none,
            format!("[{},{}]", message("ping", ""), message("nope", "")),
            "200 ok; 200 -32601",
        ),
        (
            version("2025-03-26"),
            format!("[{}]", message("ping", "")),
            "200 ok",
        ),
        (
            version("2025-06-18"),
            format!("[{}]", message("ping", "")),
            "400 -32600",
        ),
    ] {
        assert_eq!(
            ask(&fixture, sent, &body),
            expected,
            "{body} with {:?}",
            sent.version
        );
    }
}

#[test]
fn a_modern_element_is_not_served_in_a_batch() {
    let fixture = fixture("batch");
    let body = format!("[{}]", modern_body("tools/list", ""));
    assert_eq!(
        ask(&fixture, Sent::default(), &body),
        "400 -32020",
        "it has no header of its own to agree with"
    );
}

#[test]
fn results_per_era() {
    let fixture = fixture("results");
    let list = |outcome: &crate::catalog::Outcome, era| -> Value {
        let reply = call_result("7", era, &fixture.prepared, outcome, Some("r-7"));
        serde_json::from_slice(&reply.body).unwrap()
    };
    let json = |object, text: &str| crate::catalog::Outcome {
        is_error: false,
        content: crate::catalog::Content::Json {
            object,
            bytes: text.into(),
            notes: vec!["note".into()],
        },
    };
    let row = json(true, r#"{"a":"é\"\n"}"#);
    for era in [Era::Legacy, Era::Modern] {
        let value = list(&row, era);
        assert_eq!(value["id"], 7);
        assert_eq!(
            value["result"]["structuredContent"],
            json!({ "a": "é\"\n" })
        );
        let mirror: Value =
            serde_json::from_str(value["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(mirror, value["result"]["structuredContent"]);
        assert_eq!(value["result"]["content"][1]["text"], "note");
        assert_eq!(value["result"]["isError"], false);
    }
    assert_eq!(
        list(&json(false, "[1]"), Era::Legacy)["result"]["structuredContent"],
        json!({ "result": [1] })
    );
    assert_eq!(
        list(&json(false, "[1]"), Era::Modern)["result"]["structuredContent"],
        json!([1])
    );
    let blocks = crate::catalog::Outcome {
        is_error: false,
        content: crate::catalog::Content::Blocks(br#"[{"type":"text","text":"x"}]"#.to_vec()),
    };
    assert_eq!(
        list(&blocks, Era::Modern)["result"]["content"][0]["text"],
        "x"
    );
    assert_eq!(
        list(&blocks, Era::Modern)["result"]["resultType"],
        "complete"
    );
    assert_eq!(list(&blocks, Era::Legacy)["result"].get("resultType"), None);
    let text = crate::catalog::Outcome {
        is_error: true,
        content: crate::catalog::Content::Text("no".into()),
    };
    assert_eq!(list(&text, Era::Legacy)["result"]["isError"], true);
    assert_eq!(
        list(&text, Era::Legacy)["result"].get("structuredContent"),
        None
    );
}

#[test]
fn progress_is_a_notification_with_the_callers_token() {
    let value: Value =
        serde_json::from_slice(&progress("\"p-1\"", 50.0, Some(100.0), "half \"done\"")).unwrap();
    assert_eq!(
        value,
        json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": "p-1", "progress": 50, "total": 100, "message": "half \"done\"" } })
    );
    let value: Value = serde_json::from_slice(&progress("3", 0.5, None, "")).unwrap();
    assert_eq!(
        value["params"],
        json!({ "progressToken": 3, "progress": 0.5, "message": "" })
    );
}
