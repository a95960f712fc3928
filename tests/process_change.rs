//! Reload and upgrade of a real server: what the operator changes is served, what is wrong is not, and the answer says which.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::control::tine;
use crate::harness::database::Database;
use crate::harness::mcp::{Era, Post};
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::Setup;
use crate::harness::wait;

fn tool(answer: &str) -> String {
    format!("/*+++\ndescription = \"Says {answer}.\"\n+++*/\nSELECT '{answer}' AS said\n")
}

fn write(server: &Server, file: &str, text: &str) {
    fs::write(server.path(file), text).expect("a file of the test");
}

fn said(server: &Server) -> String {
    let answer = Post::call(Era::Modern, "say", json!({})).send(server.address());
    let rows = answer.result()["structuredContent"].to_string();
    let word = rows
        .split("\"said\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    word.unwrap_or_else(|| panic!("{rows}")).to_owned()
}

fn names(server: &Server) -> Vec<String> {
    let answer = Post::modern("tools/list", Value::Null).send(server.address());
    let tools = answer.result()["tools"].clone();
    let tools = tools.as_array().expect("tools").iter();
    tools
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn generation(server: &Server) -> u64 {
    server.health()["generation"].as_u64().expect("a number")
}

#[test]
fn changed_added_and_removed_tools_are_served_after_a_reload_and_not_before() {
    let database = Database::fresh();
    let server = Setup::new(&database).tool("say", &tool("one")).start();
    assert_eq!(said(&server), "one");
    write(&server, "own/say.sql", &tool("two"));
    write(&server, "own/more.sql", &tool("more"));
    fs::remove_file(server.path("own/gate.sql")).expect("it was there");
    assert_eq!(said(&server), "one");
    assert!(names(&server).contains(&"gate".to_owned()));

    let reload = tine(&server, &["reload"]);
    assert!(
        reload
            .succeeds()
            .contains("4 of 4 workers run generation 2"),
        "{reload:?}"
    );
    assert_eq!(said(&server), "two");
    assert_eq!(names(&server), ["echo", "more", "say"]);
    assert_eq!(generation(&server), 2);
}

#[test]
fn a_wrong_tool_is_refused_with_its_place_and_even_a_new_worker_serves_what_was_sound() {
    let database = Database::fresh();
    let server = Setup::new(&database).tool("say", &tool("one")).start();
    write(
        &server,
        "own/say.sql",
        &tool("two").replace("SELECT", "SELECT :nobody,"),
    );
    tine(&server, &["reload"]).fails(
        1,
        &[
            "reload refused, generation 1 goes on",
            "say.sql:4",
            "`:nobody`",
        ],
    );
    // Whoever ordered hears of it before the log does.
    wait::until("the log says so", || server.log().contains("say.sql:4"));
    for pid in server.worker_pids() {
        kill_pid(pid, Signal::SIGKILL);
    }
    wait::until("four new workers", || {
        server.health()["crashes"] == 4 && server.workers().len() == 4
    });
    for _ in 0..8 {
        assert_eq!(said(&server), "one");
    }
    // A folder that is gone is as wrong as a file.
    fs::rename(server.path("own"), server.path("away")).expect("a rename");
    tine(&server, &["reload"]).fails(1, &["reload refused", "own"]);
    fs::rename(server.path("away"), server.path("own")).expect("a rename");
    write(&server, "own/say.sql", &tool("three"));
    tine(&server, &["reload"]).succeeds();
    assert_eq!(said(&server), "three");
}

#[test]
fn what_takes_effect_at_the_start_only_is_not_changed_in_silence() {
    let server = Setup::bare()
        .binds_itself()
        .arguments(&["--port", "0"])
        .option("backlog = 100\nlimit_concurrency = 7")
        .start();
    let file = fs::read_to_string(server.path("tine.toml")).expect("the configuration");
    let changed = file.replace("backlog = 100", "backlog = 200");
    write(&server, "tine.toml", &changed);
    for order in ["reload", "upgrade"] {
        tine(&server, &[order]).fails(
            1,
            &["backlog is 200 now, but was 100", "restart the server"],
        );
    }
    assert_eq!(generation(&server), 1);
    let changed = file.replace("limit_concurrency = 7", "limit_concurrency = 9");
    write(
        &server,
        "tine.toml",
        &changed.replace("workers = 4", "workers = 2"),
    );
    tine(&server, &["reload"]).succeeds();
    let health = server.health();
    assert_eq!(health["limit_concurrency"], 9);
    wait::until("two workers", || server.workers().len() == 2);
}

#[test]
fn a_token_is_accepted_and_another_one_refused_after_a_reload() {
    let hash = |token: &str| {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(token);
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let tokens = |name: &str| format!("[tokens.{name}]\nsha256 = \"{}\"\n", hash(name));
    let setup = Setup::bare().option("tokens_file = \"tokens.toml\"");
    setup.file("tokens.toml", &tokens("first"));
    let server = setup.start();
    let status = |token: &str| {
        Post::modern("tools/list", Value::Null)
            .header("Authorization", &format!("Bearer {token}"))
            .send(server.address())
            .status()
    };
    assert_eq!((status("first"), status("second")), (200, 401));
    write(&server, "tokens.toml", &tokens("second"));
    tine(&server, &["reload"]).succeeds();
    assert_eq!((status("first"), status("second")), (401, 200));
}

#[test]
fn the_log_level_follows_the_configuration() {
    let server = Setup::bare().option("log_level = \"warn\"").start();
    let file = fs::read_to_string(server.path("tine.toml")).expect("the configuration");
    assert!(!server.log().contains(" INFO "), "{}", server.log());
    write(&server, "tine.toml", &file.replace("\"warn\"", "\"debug\""));
    tine(&server, &["reload"]).succeeds();
    assert!(server.log().contains(" DEBUG "), "{}", server.log());
}

#[test]
fn an_upgrade_keeps_process_address_and_counts_and_serves_what_changed() {
    let database = Database::fresh();
    let mut server = Setup::new(&database).tool("say", &tool("one")).start();
    assert_eq!(said(&server), "one");
    let served = server.health()["totals"]["served"].as_u64();
    for (number, word) in [(2, "two"), (3, "three")] {
        write(&server, "own/say.sql", &tool(word));
        let upgrade = tine(&server, &["upgrade"]);
        let done = format!("4 of 4 workers run generation {number}");
        assert!(upgrade.succeeds().contains(&done), "{upgrade:?}");
        assert_eq!(said(&server), word);
        assert_eq!(generation(&server), number);
    }
    assert!(server.health()["totals"]["served"].as_u64() > served);
    write(&server, "own/say.sql", "/*+++ nothing");
    tine(&server, &["upgrade"]).fails(1, &["upgrade refused", "say.sql:1"]);
    assert_eq!(said(&server), "three");
    tine(&server, &["stop"]).succeeds();
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.path("control").exists());
}
