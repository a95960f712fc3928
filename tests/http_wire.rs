//! The HTTP corpus over a real socket: every request gets its own answer, in order, and a fault ends the connection
//! with the status that the corpus names, never with a reset. What the reader makes of the bytes is `http_corpus`'s.

use std::thread;

use serde_json::Value;

use crate::harness::http::{Connection, End, Response};
use crate::harness::mcp::Post;
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::http_corpus::{Case, cases};

fn serve() -> Server {
    // Requests of the corpus come from clients that are not on trial for their names.
    Setup::bare()
        .workers(1)
        .option("allowed_hosts = [\"*\"]")
        .option("allowed_origins = [\"*\"]")
        .start()
}

/// A POST without a content type is refused for that before its body is looked at, so those that have none get one.
fn typed(mut case: Case) -> Case {
    let line_end = case.bytes.windows(2).position(|window| window == b"\r\n");
    let head = String::from_utf8_lossy(&case.bytes).to_ascii_lowercase();
    if let Some(at) = line_end
        && head.starts_with("post ")
        && !head.contains("content-type")
    {
        let header = b"\r\nContent-Type: application/json";
        case.bytes.splice(at..at, header.iter().copied());
    }
    case
}

/// Sends all of a case's bytes while another thread reads, as a large body may be refused before it is read.
fn send(client: &mut Connection, case: &Case) {
    let mut sender = client.second_handle();
    let bytes = case.bytes.clone();
    thread::spawn(move || {
        // The server may have refused it and gone before the end; what it answered is what counts.
        let _ = sender.try_send(&bytes);
        sender.finish_sending();
    });
}

#[test]
fn every_valid_request_is_answered() {
    let server = serve();
    for case in cases("valid") {
        let mut client = Connection::open(server.address());
        send(&mut client, &case);
        // A body may still be no message; that its framing was understood shows in the connection going on.
        for request in case.expectation.split("request ").skip(1) {
            let method = request.split(' ').next().unwrap_or_default();
            let answer = client
                .try_response_to(method)
                .unwrap_or_else(|fault| panic!("{}: {method}: {fault}", case.name));
            let shown = format!("{}: {} {}", case.name, answer.status, answer.text());
            assert!(answer.status < 500, "{shown}");
            // A request that is refused for its head takes the connection with it when a body follows.
            let refused = [404, 405, 415].contains(&answer.status) && request.contains("\nbody");
            let closes = request.contains("keep-alive no") || refused;
            assert_eq!(answer.closes(), closes, "{shown}");
            if answer.closes() {
                break;
            }
        }
        assert_eq!(client.end(), End::Clean, "{}", case.name);
    }
}

#[test]
fn every_invalid_request_is_refused_and_ends_its_connection() {
    let server = serve();
    for case in cases("invalid").into_iter().map(typed) {
        let number = |key: &str| -> Option<u16> {
            let mut lines = case.expectation.lines();
            lines.find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        };
        let mut client = Connection::open(server.address());
        send(&mut client, &case);
        let mut answers = Vec::new();
        while answers
            .last()
            .is_none_or(|answer: &Response| !answer.closes())
        {
            let answer = client.try_response();
            answers.push(answer.unwrap_or_else(|fault| panic!("{}: {fault}", case.name)));
        }
        assert_eq!(client.end(), End::Clean, "{}", case.name);
        // A request before the bad one may have been refused for its head already: then nothing behind it is read.
        let before = number("after ").map_or(0, usize::from);
        assert!(answers.len() <= before + 1, "{}: {answers:?}", case.name);
        if let Some(refusal) = answers.get(before) {
            assert_eq!(
                Some(refusal.status),
                number("status "),
                "{}: {}",
                case.name,
                refusal.text()
            );
        }
    }
    assert_eq!(server.health()["status"], "ok");
}

/// A request, whichever way its bytes are cut into packets.
#[test]
fn a_request_may_come_in_any_pieces() {
    let server = serve();
    let address = server.address();
    let request = Post::legacy("ping", Value::Null).bytes(address);
    for at in 1..request.len() {
        let mut client = Connection::open(address);
        client.send(&request[..at]);
        // The loop turns at least once between the pieces, because another client is served.
        assert_eq!(
            Post::legacy("ping", Value::Null).send(address).status(),
            200
        );
        client.send(&request[at..]);
        assert_eq!(client.response().status, 200, "cut at {at}");
    }
}

#[test]
fn a_client_that_expects_100_gets_it_before_its_body() {
    let server = serve();
    let address = server.address();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = Connection::open(address);
    client.send(head.as_bytes());
    assert_eq!(client.head().expect("an interim answer").status, 100);
    client.send(body.as_bytes());
    assert_eq!(client.response().status, 200);
    // A refusal comes at once, instead of the invitation.
    let mut client = Connection::open(address);
    client.send(head.replace("application/json", "text/plain").as_bytes());
    assert_eq!(client.head().expect("an answer").status, 415);
}

#[test]
fn http_1_0_and_connection_close_end_after_the_answer() {
    let server = serve();
    let address = server.address();
    let ping = Post::legacy("ping", Value::Null);
    let of_version = |version: &str, post: &Post| {
        let text = String::from_utf8(post.bytes(address)).expect("text");
        text.replace(" HTTP/1.1\r\n", &format!(" {version}\r\n"))
    };
    for (request, closes) in [
        (of_version("HTTP/1.1", &ping), false),
        (
            of_version("HTTP/1.1", &ping.clone().header("Connection", "close")),
            true,
        ),
        (of_version("HTTP/1.0", &ping), true),
        (
            of_version("HTTP/1.0", &ping.clone().header("Connection", "keep-alive")),
            false,
        ),
    ] {
        let mut client = Connection::open(address);
        client.send(request.as_bytes());
        let answer = client.response();
        assert_eq!((answer.status, answer.closes()), (200, closes), "{request}");
        if closes {
            assert_eq!(client.end(), End::Clean);
        } else {
            client.send(request.as_bytes());
            assert_eq!(client.response().status, 200);
        }
    }
}

#[test]
fn ipv6_is_served() {
    let server = Setup::bare()
        .binds_itself()
        .arguments(&["--host", "::1", "--port", "0"])
        .launch();
    server.until_all_serve();
    assert!(server.address().is_ipv6());
    assert_eq!(
        Post::legacy("ping", Value::Null)
            .send(server.address())
            .status(),
        200
    );
}
