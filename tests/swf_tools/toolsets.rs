//! Which bot sees which tools: by its URL, or by its token at the address that all of them have.

use std::process::Command;

use super::*;

/// Each list, how many tools it has, and how their names begin. The watchdog counts them all.
const LISTS: [(&str, usize, &[&str]); 3] = [
    ("all", 45, &[""]),
    ("testbed", 44, &["swf_", "panda_", "pcs_"]),
    ("panda", 13, &["panda_", "pcs_"]),
];

/// A token that sees this list alone, and the lines of the tokens file.
fn token(list: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tine"))
        .args(["token", list, "--toolset", list, "--json"])
        .output()
        .expect("tine runs");
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = format!(
        "[tokens.{list}]\nsha256 = {}\ntoolset = \"{list}\"\n",
        made["sha256"]
    );
    (made["token"].as_str().expect("a token").to_owned(), lines)
}

/// The names that are shown there, sorted; `Err` is the status.
fn shown(server: &Server, path: &str, token: Option<&str>) -> Result<Vec<String>, u16> {
    let mut post = Post::legacy("tools/list", Value::Null).path(path);
    if let Some(token) = token {
        post = post.header("Authorization", &format!("Bearer {token}"));
    }
    let answer = post.send(server.address());
    if answer.status() != 200 {
        return Err(answer.status());
    }
    let tools = answer.result()["tools"].as_array().expect("tools").clone();
    let names = tools.iter().map(|tool| tool["name"].as_str());
    let mut names: Vec<String> = names.map(|name| name.expect("a name").to_owned()).collect();
    names.sort();
    Ok(names)
}

fn expected(beginnings: &[&str]) -> Vec<String> {
    let mut files = tool_files();
    files.retain(|name| beginnings.iter().any(|start| name.starts_with(start)));
    files.sort();
    files
}

fn server(more: &str, tokens: &str) -> Server {
    let cluster = data().cluster();
    let setup = Setup::bare().workers(1).option(more);
    setup.file("tokens.toml", tokens);
    setup
        .option("paths = [\"/swf-monitor/mcp\", \"/mcp\"]")
        .database("swf", &cluster.url("swf", LOGIN))
        .database("panda", &cluster.url("panda", LOGIN))
        .table("[programs.kill]\npath = \"/bin/kill\"\n[brokers.activemq]\nurl = \"stomp://127.0.0.1:1\"")
        .toolset(FOLDER)
        .start()
}

#[test]
fn each_bot_gets_its_own_tools_by_its_url() {
    let server = server("", "");
    for (list, count, beginnings) in LISTS {
        let names = expected(beginnings);
        assert_eq!(names.len(), count);
        for base in ["/mcp", "/swf-monitor/mcp"] {
            for path in [format!("{base}/{list}"), format!("{base}/{list}/")] {
                assert_eq!(shown(&server, &path, None).as_ref(), Ok(&names), "{path}");
            }
        }
    }
    for path in ["/mcp", "/mcp/", "/swf-monitor/mcp", "/swf-monitor/mcp/"] {
        assert_eq!(shown(&server, path, None).map(|names| names.len()), Ok(45));
    }
}

#[test]
fn each_bot_gets_its_own_tools_by_its_token() {
    let made = LISTS.map(|(list, ..)| token(list));
    let lines: String = made.iter().map(|(_, lines)| lines.as_str()).collect();
    let server = server("tokens_file = \"tokens.toml\"", &lines);
    for ((list, _, beginnings), (token, _)) in LISTS.into_iter().zip(&made) {
        let names = expected(beginnings);
        for path in ["/swf-monitor/mcp/", "/mcp", &format!("/mcp/{list}")] {
            assert_eq!(
                shown(&server, path, Some(token)).as_ref(),
                Ok(&names),
                "{path}"
            );
        }
        for (other, ..) in LISTS.iter().filter(|(other, ..)| *other != list) {
            let path = format!("/mcp/{other}");
            assert_eq!(shown(&server, &path, Some(token)), Err(403), "{path}");
        }
        // What a bot doesn't see it can't call.
        let call = Post::call(Era::Legacy, "swf_list_namespaces", json!({}))
            .path("/swf-monitor/mcp/")
            .header("Authorization", &format!("Bearer {token}"))
            .send(server.address());
        let message = call.message();
        assert_eq!(message["result"].is_object(), list != "panda", "{message}");
    }
    assert_eq!(shown(&server, "/mcp", None), Err(401));
    assert_eq!(shown(&server, "/mcp", Some("tine_guessed")), Err(401));
}
