//! Who may ask: bearer tokens from the environment and from a file, each with its toolset and its user.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::setup::Setup;

const WHO_TOOL: &str = r#"/*+++
description = "Whom the server takes the caller for."
[params.user]
type = "text"
from = "token.user"
+++*/
SELECT :user AS who
"#;

fn list(era: Era) -> Post {
    match era {
        Era::Legacy => Post::legacy("tools/list", Value::Null),
        Era::Modern => Post::modern("tools/list", Value::Null),
    }
}

/// A new token as `tine token` makes it: the token itself, and the lines of the tokens file.
pub fn make_token(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tine"))
        .arg("token")
        .args(arguments)
        .arg("--json")
        .output()
        .expect("tine runs");
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let token = made["token"].as_str().expect("a token").to_owned();
    let name = arguments[0];
    let mut lines = format!("[tokens.{name}]\nsha256 = {}\n", made["sha256"]);
    for pair in arguments[1..].chunks(2) {
        lines.push_str(&format!(
            "{} = \"{}\"\n",
            pair[0].trim_start_matches('-'),
            pair[1]
        ));
    }
    (token, lines)
}

#[test]
fn a_token_is_asked_of_everybody_and_of_nobody_else() {
    let server = Setup::new(&Database::fresh())
        .workers(1)
        .variable("TINE_TOKEN", "s3cret-of-the-test")
        .start();
    for era in ERAS {
        for (authorization, status) in [
            (None, 401),
            (Some("Bearer wrong"), 401),
            (Some("Bearer s3cret-of-the-tes"), 401),
            (Some("Bearer s3cret-of-the-test2"), 401),
            (Some("Basic s3cret-of-the-test"), 401),
            (Some("Bearer s3cret-of-the-test"), 200),
            (Some("bearer s3cret-of-the-test"), 200),
        ] {
            let post = list(era);
            let post =
                authorization.map_or(post.clone(), |value| post.header("Authorization", value));
            let answer = post.send(server.address());
            assert_eq!(answer.status(), status, "{authorization:?}");
            if status == 401 {
                assert!(
                    answer
                        .0
                        .header("www-authenticate")
                        .is_some_and(|value| value.starts_with("Bearer"))
                );
                assert!(!answer.0.text().contains("s3cret"));
            }
        }
        let in_query = list(era).path("/mcp?access_token=s3cret-of-the-test");
        assert_eq!(in_query.send(server.address()).status(), 401);
    }
    assert_eq!(server.health()["status"], "ok", "health asks nobody");
    assert!(!server.log().contains("s3cret"));
}

#[test]
fn a_token_may_have_a_toolset_and_a_user() {
    let (anyone, anyone_lines) = make_token(&["anyone"]);
    let (alice, alice_lines) = make_token(&["alice", "--toolset", "own", "--user", "alice"]);
    let setup = Setup::new(&Database::fresh())
        .workers(1)
        .tool("who", WHO_TOOL);
    let other = setup.path("other");
    std::fs::create_dir(&other).expect("folder");
    std::fs::write(other.join("elsewhere.sql"), WHO_TOOL).expect("tool");
    setup.file("tokens.toml", &(anyone_lines + &alice_lines));
    let server = setup
        .toolset(&other)
        .option("tokens_file = \"tokens.toml\"")
        .start();

    let names = |token: &str, path: &str| -> Result<Vec<String>, u16> {
        let post = list(Era::Modern)
            .path(path)
            .header("Authorization", &format!("Bearer {token}"));
        let answer = post.send(server.address());
        if answer.status() != 200 {
            return Err(answer.status());
        }
        let tools = answer.result()["tools"].as_array().expect("tools").clone();
        Ok(tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect())
    };
    assert_eq!(names(&anyone, "/mcp").map(|tools| tools.len()), Ok(4));
    assert_eq!(
        names(&anyone, "/mcp/other"),
        Ok(vec!["elsewhere".to_owned()])
    );
    let own = ["echo", "gate", "who"].map(str::to_owned).to_vec();
    assert_eq!(
        names(&alice, "/mcp"),
        Ok(own.clone()),
        "the path itself is the token's own toolset"
    );
    assert_eq!(names(&alice, "/mcp/own"), Ok(own));
    assert_eq!(names(&alice, "/mcp/other"), Err(403));
    assert_eq!(names("tine_guessed", "/mcp"), Err(401));

    for era in ERAS {
        // What the caller says of itself counts for nothing.
        for arguments in [json!({}), json!({"user": "root"})] {
            let call = |token: &str| {
                let post = Post::call(era, "who", arguments.clone());
                let post = post.header("Authorization", &format!("Bearer {token}"));
                post.send(server.address()).tool_text()
            };
            let (text, is_error) = call(&alice);
            assert!(
                !is_error && text.contains("alice") && !text.contains("root"),
                "{text}"
            );
            let (text, is_error) = call(&anyone);
            assert!(
                is_error && text.contains("user"),
                "a token that belongs to nobody: {text}"
            );
        }
    }
    let scope = list(Era::Modern).header("Authorization", &format!("Bearer {alice}"));
    assert_eq!(
        scope.send(server.address()).result()["cacheScope"],
        "private",
        "lists differ from token to token"
    );
    assert!(!server.log().contains(&alice) && !server.log().contains(&anyone));
}
