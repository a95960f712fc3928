//! What the answers hold, in the form of each era: discovery, lists, results and progress.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http::Connection;
use crate::harness::mcp::{Answer, ERAS, Era, META, Post};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const LIST_TOOL: &str = r#"/*+++
description = "Some numbers."
[params.count]
type = "integer"
description = "How many."
default = 3
+++*/
SELECT n AS number, 'grüße' AS words FROM generate_series(1, :count) AS n
"#;

const PROGRESS_TOOL: &str = r#"/*+++
description = "Reports progress."
progress = true
+++*/
SELECT steps() AS done
"#;

const STEPS: &str = "CREATE FUNCTION steps() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE 'first' USING DETAIL = '1/2';
  RAISE NOTICE 'second' USING DETAIL = '2/2';
  RETURN 'yes';
END $$";

/// The `_meta` key that a list of tools names itself under.
const CATALOG_HASH: &str = "io.tine/catalogHash";

fn serve() -> Server {
    setup().start()
}

fn setup() -> Setup {
    Setup::new(&Database::with(STEPS))
        .workers(1)
        .tool("numbers", LIST_TOOL)
        .tool("steps", PROGRESS_TOOL)
}

fn list(era: Era) -> Post {
    match era {
        Era::Legacy => Post::legacy("tools/list", Value::Null),
        Era::Modern => Post::modern("tools/list", Value::Null),
    }
}

#[test]
fn discovery_says_who_we_are_and_what_we_can() {
    let server = setup()
        .option("server_name = \"fixture\"")
        .option("instructions = \"Ask for numbers.\"")
        .start();
    let discovered = Post::modern("server/discover", Value::Null)
        .send(server.address())
        .result();
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(discovered["instructions"], "Ask for numbers.");
    assert_eq!(
        discovered["_meta"][format!("{META}serverInfo")]["name"],
        "fixture"
    );
    assert!(discovered["_meta"][format!("{META}serverInfo")]["version"].is_string());
    assert!(discovered["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0));
    assert!(["public", "private"].contains(&discovered["cacheScope"].as_str().expect("a scope")));
    assert_eq!(
        discovered["_meta"][CATALOG_HASH],
        list(Era::Modern).send(server.address()).result()["_meta"][CATALOG_HASH]
    );
    assert!(discovered["capabilities"]["tools"].is_object());
    for absent in ["prompts", "resources", "logging", "completions"] {
        assert_eq!(discovered["capabilities"].get(absent), None);
    }
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let greeting = Post::legacy("initialize", params)
        .send(server.address())
        .result();
    assert_eq!(greeting["serverInfo"]["name"], "fixture");
    assert_eq!(greeting["instructions"], "Ask for numbers.");
    assert!(greeting["capabilities"]["tools"].is_object());
    assert_eq!(
        Post::legacy("ping", Value::Null)
            .send(server.address())
            .result(),
        json!({})
    );
}

#[test]
fn the_list_suits_its_era() {
    let server = serve();
    for era in ERAS {
        let answer = list(era).send(server.address());
        let result = answer.result();
        let tools = result["tools"].as_array().expect("tools").clone();
        let names: Vec<&str> = tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, ["echo", "gate", "numbers", "steps"]);
        for tool in &tools {
            assert!(
                tool["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_eq!(tool["inputSchema"]["type"], "object");
            for hint in [
                "readOnlyHint",
                "destructiveHint",
                "idempotentHint",
                "openWorldHint",
            ] {
                assert!(tool["annotations"][hint].is_boolean(), "{hint} of {tool}");
            }
            if era == Era::Legacy
                && let Some(schema) = tool.get("outputSchema")
            {
                assert_eq!(schema["type"], "object", "{tool}");
            }
            let allowed: &[&str] = &[
                "name",
                "title",
                "description",
                "inputSchema",
                "outputSchema",
                "annotations",
                "_meta",
                "icons",
            ];
            for key in tool.as_object().expect("a tool").keys() {
                assert!(allowed.contains(&key.as_str()), "{key} in {tool}");
            }
        }
        assert_eq!(tools[0]["inputSchema"]["required"], json!(["words"]));
        assert_eq!(tools[2]["inputSchema"]["properties"]["count"]["default"], 3);
        assert_eq!(result.get("nextCursor"), None);
        match era {
            Era::Legacy => assert_eq!(result.get("resultType"), None),
            Era::Modern => {
                assert_eq!(result["resultType"], "complete");
                assert_eq!(result["ttlMs"], 60_000);
                assert_eq!(result["cacheScope"], "public");
            }
        }
        let again = list(era).send(server.address());
        assert_eq!(again.0.body, answer.0.body, "the same bytes every time");
    }
}

#[test]
fn a_long_list_comes_in_pages() {
    let mut setup = setup().option("list_page_size = 7");
    for number in 0..20 {
        setup = setup.tool(&format!("tool_{number:02}"), LIST_TOOL);
    }
    let server = setup.start();
    for era in ERAS {
        let (mut names, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let mut post = list(era);
            if let Some(cursor) = &cursor {
                post.body["params"]["cursor"] = json!(cursor);
            }
            let result = post.send(server.address()).result();
            let tools = result["tools"].as_array().expect("tools");
            names.extend(
                tools
                    .iter()
                    .map(|tool| tool["name"].as_str().expect("a name").to_owned()),
            );
            pages += 1;
            match result.get("nextCursor") {
                Some(next) => cursor = Some(next.as_str().expect("a cursor").to_owned()),
                None => break,
            }
        }
        assert_eq!((names.len(), pages), (24, 4));
        assert!(names.is_sorted());
        let mut bad = list(era);
        bad.body["params"]["cursor"] = json!("nonsense");
        assert_eq!(bad.send(server.address()).error().1, -32602);
    }
}

/// Of a server with one tool and another in a toolset of its own.
fn catalog_hashes(description: &str, statement: &str, page: usize) -> [String; 2] {
    let tool = format!("/*+++\ndescription = \"{description}\"\n+++*/\n{statement}\n");
    let setup = Setup::bare()
        .database("main", "postgres://nobody@127.0.0.1:1/none")
        .option(&format!("list_page_size = {page}"))
        .tool("changing", &tool);
    let other = setup.path("other");
    std::fs::create_dir(&other).expect("folder");
    std::fs::write(other.join("still.sql"), LIST_TOOL).expect("tool");
    let server = setup.toolset(&other).start();
    let mut of_all = Vec::new();
    // Every worker says the same, in both eras.
    for _ in 0..8 {
        for era in ERAS {
            let result = list(era).send(server.address()).result();
            of_all.push(result["_meta"][CATALOG_HASH].clone());
        }
    }
    assert!(of_all.iter().all(|hash| *hash == of_all[0]), "{of_all:?}");
    let of_other = list(Era::Modern)
        .path("/mcp/other")
        .send(server.address())
        .result()["_meta"][CATALOG_HASH]
        .clone();
    [&of_all[0], &of_other].map(|hash| hash.as_str().expect("a hash").to_owned())
}

#[test]
fn a_list_names_itself_by_what_it_shows() {
    let first = catalog_hashes("One.", "SELECT 1 AS one", 1000);
    assert_ne!(first[0], first[1], "each of its own");
    assert_eq!(
        catalog_hashes("One.", "SELECT 1 + 0 AS one", 1),
        first,
        "after a restart, whatever nobody sees"
    );
    let changed = catalog_hashes("Another.", "SELECT 1 AS one", 1000);
    assert_ne!(changed[0], first[0]);
    assert_eq!(changed[1], first[1], "the other toolset is as it was");
}

#[test]
fn a_result_suits_its_era() {
    let server = serve();
    for era in ERAS {
        let answer = Post::call(era, "numbers", json!({"count": 2})).send(server.address());
        assert_eq!(answer.0.header("content-type"), Some("application/json"));
        let result = answer.result();
        let rows = json!([{"number": 1, "words": "grüße"}, {"number": 2, "words": "grüße"}]);
        let text: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().expect("text"))
                .expect("JSON");
        let structured = &result["structuredContent"];
        match era {
            Era::Legacy => {
                assert!(structured.is_null() || structured.is_object(), "{result}");
                assert_eq!(result.get("resultType"), None);
            }
            Era::Modern => {
                assert_eq!(result["resultType"], "complete");
                assert!(
                    result["_meta"][format!("{META}serverInfo")]["name"].is_string(),
                    "{result}"
                );
            }
        }
        let unwrapped = |value: &Value| {
            value
                .as_object()
                .and_then(|it| it.values().next().cloned())
                .unwrap_or(value.clone())
        };
        assert_eq!(unwrapped(&text), rows);
        if !structured.is_null() {
            assert_eq!(unwrapped(structured), rows, "the same twice");
        }
        assert!(!answer.0.text().contains('\n'), "one line");
    }
}

#[test]
fn progress_comes_as_events_to_those_who_asked() {
    let server = serve();
    for (era, token) in [(Era::Legacy, json!("a \"token\"")), (Era::Modern, json!(7))] {
        let with_token = |accept: &str| {
            let mut post = Post::call(era, "steps", json!({})).header("Accept", accept);
            post.body["params"]["_meta"]["progressToken"] = token.clone();
            post
        };
        let mut client = Connection::open(server.address());
        let answer = with_token("application/json, text/event-stream")
            .send_on(&mut client, server.address());
        assert_eq!(
            answer.0.header("content-type"),
            Some("text/event-stream"),
            "{}",
            answer.0.text()
        );
        assert_eq!(answer.0.header("x-accel-buffering"), Some("no"));
        let messages = answer.messages();
        assert_eq!(messages.len(), 3, "{messages:?}");
        for (message, progress) in messages.iter().zip([1, 2]) {
            assert_eq!(message["method"], "notifications/progress");
            assert_eq!(message.get("id"), None);
            assert_eq!(
                message["params"]["progressToken"], token,
                "of the same type"
            );
            assert_eq!(
                (
                    message["params"]["progress"].as_f64(),
                    message["params"]["total"].as_f64()
                ),
                (Some(f64::from(progress)), Some(2.0))
            );
        }
        assert_eq!(messages[2]["id"], 1);
        assert!(messages[2]["result"]["content"].is_array());
        // The connection goes on after the stream.
        let next = Post::legacy("ping", Value::Null).send_on(&mut client, server.address());
        assert_eq!(next.status(), 200);

        // Without a token, or without the right to send events, the one answer is JSON.
        let quiet = Post::call(era, "steps", json!({})).send(server.address());
        assert_eq!(quiet.0.header("content-type"), Some("application/json"));
        let json_only = with_token("application/json").send(server.address());
        assert_eq!(json_only.0.header("content-type"), Some("application/json"));
        // A token for a tool that reports nothing changes nothing.
        let mut plain = Post::call(era, "echo", json!({"words": "x"}));
        plain.body["params"]["_meta"]["progressToken"] = token.clone();
        assert_eq!(
            plain.send(server.address()).0.header("content-type"),
            Some("application/json")
        );
        let mut listed = list(era);
        listed.body["params"]["_meta"]["progressToken"] = token.clone();
        assert_eq!(
            listed.send(server.address()).0.header("content-type"),
            Some("application/json")
        );
    }
}

#[test]
fn a_client_that_takes_events_alone_gets_its_answer_as_one() {
    let server = serve();
    for era in ERAS {
        for post in [list(era), Post::call(era, "echo", json!({"words": "x"}))] {
            let answer = post
                .header("Accept", "text/event-stream")
                .send(server.address());
            assert_eq!(answer.0.header("content-type"), Some("text/event-stream"));
            assert_eq!(answer.messages().len(), 1);
            assert!(answer.message().get("result").is_some());
        }
    }
}

#[test]
fn an_old_http_client_gets_its_events_too() {
    let server = serve();
    let mut post = Post::call(Era::Legacy, "steps", json!({}));
    post.body["params"]["_meta"]["progressToken"] = json!(1);
    let request = String::from_utf8(post.bytes(server.address()))
        .expect("text")
        .replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n");
    let mut client = Connection::open(server.address());
    client.send(request.as_bytes());
    let answer = Answer(client.response());
    assert_eq!(answer.0.header("transfer-encoding"), None);
    assert_eq!(answer.messages().len(), 3);
}

#[test]
fn a_toolset_has_its_own_path() {
    let setup = setup();
    let other = setup.path("other");
    std::fs::create_dir(&other).expect("folder");
    std::fs::write(other.join("only_here.sql"), LIST_TOOL).expect("tool");
    let server = setup.toolset(&other).start();
    let names = |path: &str| -> Vec<String> {
        let result = list(Era::Modern).path(path).send(server.address()).result();
        let tools = result["tools"].as_array().expect("tools").clone();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names("/mcp/other"), ["only_here"]);
    assert_eq!(names("/mcp/own/"), ["echo", "gate", "numbers", "steps"]);
    assert_eq!(names("/mcp").len(), 5);
    let call = Post::call(Era::Modern, "only_here", json!({}));
    assert_eq!(
        call.clone().path("/mcp/own").send(server.address()).error(),
        (200, -32602)
    );
    assert_eq!(call.path("/mcp/other").send(server.address()).status(), 200);
}
