//! Clients that are slow on purpose: each meets its deadline, and nobody else notices.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::http::{Connection, End};
use crate::harness::mcp::Post;
use crate::harness::setup::Setup;
use crate::harness::wait;

/// Longer than any deadline of the connection's states, on a busy machine.
const ENDED: Duration = Duration::from_secs(60);

/// Sends one byte every 200 ms, and then none, until the server ends the connection; gives what it answered.
fn drip(mut client: TcpStream, bytes: impl Iterator<Item = u8>) -> String {
    let mut reader = client.try_clone().expect("a second handle");
    reader.set_read_timeout(Some(ENDED)).expect("timeout");
    let answer = thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer);
        let _ = reader.shutdown(Shutdown::Both);
        String::from_utf8_lossy(&answer).into_owned()
    });
    for byte in bytes {
        if answer.is_finished() || client.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    answer.join().expect("reader")
}

#[test]
fn slow_clients_end_at_their_deadlines_and_others_do_not_notice() {
    let server = Setup::bare().workers(1).start();
    let address = server.address();
    let connect = || TcpStream::connect(address).expect("connect");

    let done = Arc::new(AtomicBool::new(false));
    let others = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut served = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(
                    Post::legacy("ping", Value::Null).send(address).status(),
                    200
                );
                served += 1;
            }
            served
        })
    };

    // Never a byte.
    let silent = connect();
    let silent = thread::spawn(move || drip(silent, std::iter::empty()));
    // A head that never ends, a byte at a time.
    let head = connect();
    let head = thread::spawn(move || {
        let bytes = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
            .iter()
            .copied();
        drip(head, bytes.chain(std::iter::repeat(b'x')))
    });
    // A body that comes a byte at a time.
    let mut body = connect();
    body.write_all(
        format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n")
            .as_bytes(),
    )
    .expect("a head");
    let body = thread::spawn(move || drip(body, std::iter::repeat(b' ')));

    for (name, client) in [("silent", silent), ("head", head), ("body", body)] {
        let answer = client.join().expect("client");
        let answered = answer.is_empty() || answer.starts_with("HTTP/1.1 408 ");
        assert!(answered, "{name}: {answer}");
    }
    done.store(true, Ordering::Relaxed);
    assert!(others.join().expect("the others are served") > 100);
    wait::until("the slow ones are gone", || {
        server.workers()[0].connections <= 1
    });
}

#[test]
fn an_answer_that_nobody_reads_is_given_up() {
    let server = Setup::bare().workers(1).toolset(fixtures()).start();
    let address = server.address();
    let client = TcpStream::connect(address).expect("connect");
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("timeout");
    let list = Post::legacy("tools/list", Value::Null).bytes(address);
    // Answers pile up until neither side's kernel takes any more.
    let mut writer = client.try_clone().expect("a second handle");
    let mut sent = 0;
    while writer.write_all(&list).is_ok() {
        sent += 1;
        assert!(sent < 1_000_000, "the server takes requests without end");
    }
    for _ in 0..100 {
        assert_eq!(
            Post::legacy("ping", Value::Null).send(address).status(),
            200
        );
    }
    wait::for_some_within(ENDED, "the connection is given up", || {
        (server.workers()[0].connections <= 1).then_some(())
    });
}

fn fixtures() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/toolset")
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_body_size = \"16KiB\"")
        .start();
    let address = server.address();
    for _ in 0..20 {
        let mut client = Connection::open(address);
        let body = vec![b' '; 256 * 1024];
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(head.as_bytes());
        for part in body.chunks(16 * 1024) {
            client.try_send(part).expect("the server still reads");
        }
        let answer = client.response();
        assert_eq!(answer.status, 413);
        assert!(answer.closes());
        assert_eq!(client.end(), End::Clean);
    }
}

#[test]
fn an_early_401_reaches_a_client_that_is_still_sending() {
    let server = Setup::bare()
        .workers(1)
        .variable("TINE_TOKEN", "a-token-of-the-test")
        .start();
    let address = server.address();
    for _ in 0..20 {
        let mut client = Connection::open(address);
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            256 * 1024
        );
        client.send(head.as_bytes());
        for _ in 0..16 {
            client
                .try_send(&[b' '; 16 * 1024])
                .expect("the server still reads");
        }
        let answer = client.response();
        assert_eq!(answer.status, 401);
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|value| value.starts_with("Bearer"))
        );
        if answer.closes() {
            assert_eq!(client.end(), End::Clean);
        }
    }
}

#[test]
fn an_idle_connection_is_closed_after_its_keep_alive_time() {
    let server = Setup::bare()
        .option("timeout_keep_alive = \"300ms\"")
        .start();
    let mut client = Connection::open(server.address());
    assert_eq!(
        Post::legacy("ping", Value::Null)
            .send_on(&mut client, server.address())
            .status(),
        200
    );
    assert_eq!(client.end(), End::Clean);
}
