//! Workers that ask to be replaced: the replacement is there first, and nobody's request is lost.

use serde_json::json;

use crate::harness::http::Connection;
use crate::harness::mcp::Post;
use crate::harness::process;
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

/// What a worker holds for itself, in KiB.
fn own_memory(pid: i32) -> u64 {
    let value = process::status(pid, "RssAnon").expect("a living process");
    let number = value.strip_suffix(" kB").expect("in kB");
    number.trim().parse().expect("a number")
}

/// The old one may still finish what it has.
fn until_replacement_serves(server: &Server, before: i32) {
    wait::until("a replacement serves", || {
        let workers = server.workers();
        workers
            .iter()
            .any(|worker| worker.pid != before && worker.phase == "serving")
    });
}

/// A body of which so much is blanks, as a client may send it.
fn padded_ping(blanks: usize) -> Post {
    let mut body = vec![b' '; blanks];
    body.extend_from_slice(
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
            .to_string()
            .as_bytes(),
    );
    Post::raw(body)
}

#[test]
fn a_worker_that_has_grown_too_large_is_replaced_and_finishes_what_it_has() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_memory = \"32MiB\"")
        .option("limit_body_size = \"128MiB\"")
        .start();
    let before = server.worker_pids();
    assert!(own_memory(before[0]) < 16 << 10, "small when it is new");
    let request = padded_ping(64 << 20).bytes(server.address());
    let (most, rest) = request.split_at(request.len() - 10);
    let mut large = Connection::open(server.address());
    large.send(most);
    until_replacement_serves(&server, before[0]);
    assert!(
        server.log().contains("it has grown beyond its memory"),
        "{}",
        server.log()
    );
    large.send(rest);
    let answer = large.response();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.closes());
    // The old one is gone, and the new one has no reason to follow it.
    wait::until("only the new worker is left", || {
        process::children(server.pid()) == server.worker_pids()
    });
    assert_eq!(
        server
            .log()
            .matches("it has grown beyond its memory")
            .count(),
        1
    );
}

#[test]
fn a_limit_that_no_worker_can_keep_is_refused() {
    for (line, right) in [
        ("limit_memory = \"15MiB\"", false),
        ("limit_memory = 1", false),
        ("limit_memory = \"16MiB\"", true),
        ("limit_memory = 0", true),
    ] {
        let mut server = Setup::bare().workers(1).option(line).launch();
        if right {
            server.until_all_serve();
        } else {
            assert_eq!(server.wait().code(), Some(78), "{line}");
            assert!(server.log().contains("limit_memory"), "{}", server.log());
        }
    }
}
