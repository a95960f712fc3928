//! Messages to a real ActiveMQ: delivered byte for byte, over TLS, and every way in which a broker can fail.

use std::net::TcpListener;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::effects::call;
use crate::harness::broker::{Forwarder, LOGIN, Listener, PASSCODE, broker};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const SEND: &str = r#"
kind = "stomp"
description = "Sends."
annotations = { read_only = false }
[params.to]
type = "text"
[params.body]
type = "json"
[stomp]
broker = "mq"
destination = ":to"
destinations = ["/queue/test.*", "/topic/test.*"]
encoding = "json-ascii"
body = ":body"
timeout = "3s"
"#;

fn server(url: &str, more: &str) -> Server {
    let login = format!("login = \"{LOGIN}\"\npasscode_env = \"TEST_PASSCODE\"\n");
    Setup::bare()
        .workers(1)
        .variable("TEST_PASSCODE", PASSCODE)
        .tool_file("send.toml", SEND)
        .table(&format!("[brokers.mq]\nurl = \"{url}\"\n{login}{more}"))
        .start()
}

fn send(server: &Server, queue: &str, body: Value) -> (String, bool) {
    call(server, "send", json!({"to": queue, "body": body}))
}

#[test]
fn a_message_arrives_byte_for_byte() {
    let server = server(&format!("stomp://{}", broker().plain), "");
    let mut listener = Listener::to("/queue/test.bytes");
    let (text, is_error) = send(
        &server,
        "/queue/test.bytes",
        json!({"b": "é\u{1F600}\"\n", "a": [1, 2.0, null, true, {}], "z": {"k": "v"}}),
    );
    assert_eq!(
        (text.as_str(), is_error),
        (r#"{"sent":true,"destination":"/queue/test.bytes"}"#, false)
    );
    let (head, body) = listener.message();
    assert_eq!(
        body,
        r#"{"b": "\u00e9\ud83d\ude00\"\n", "a": [1, 2.0, null, true, {}], "z": {"k": "v"}}"#
    );
    assert!(
        head.contains(&format!("content-length:{}", body.len())),
        "{head}"
    );
    // Several over one connection, to a topic as well.
    let mut listener = Listener::to("/topic/test.several");
    for number in 0..5 {
        assert!(!send(&server, "/topic/test.several", json!([number])).1);
        assert_eq!(listener.message().1, format!("[{number}]"));
    }
    let (text, is_error) = send(&server, "/queue/other", json!([]));
    assert!(
        is_error && text.contains("not a destination that it may send to"),
        "{text}"
    );
}

#[test]
fn tls_proves_the_broker() {
    let port = broker().tls.port();
    let ca = format!(
        "tls_ca = {:?}\n",
        broker().certificate.display().to_string()
    );
    let trusting = server(&format!("stomp+ssl://localhost:{port}"), &ca);
    let mut listener = Listener::to("/queue/test.tls");
    for _ in 0..2 {
        let (text, is_error) = send(&trusting, "/queue/test.tls", json!({"x": 1}));
        assert!(!is_error, "{text}");
        assert_eq!(listener.message().1, r#"{"x": 1}"#);
    }
    let other = server(&format!("stomp+ssl://localhost:{port}"), "");
    let (text, is_error) = send(&other, "/queue/test.tls", json!({"x": 1}));
    assert!(is_error && text.contains("certificate"), "{text}");
}

#[test]
fn a_broker_that_is_down_refuses_or_is_none_is_told() {
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let (text, is_error) = send(
        &server(&format!("stomp://{free}"), ""),
        "/queue/test.x",
        json!([]),
    );
    assert!(is_error && text.contains("can't be reached"), "{text}");

    let wrong = Setup::bare()
        .workers(1)
        .tool_file("send.toml", SEND)
        .table(&format!(
            "[brokers.mq]\nurl = \"stomp://{}\"\nlogin = \"{LOGIN}\"",
            broker().plain
        ))
        .start();
    let (text, is_error) = send(&wrong, "/queue/test.x", json!([]));
    assert!(is_error && text.contains("refused the login"), "{text}");

    let web = crate::harness::web::start();
    let (text, is_error) = send(
        &server(&format!("stomp://{web}"), ""),
        "/queue/test.x",
        json!([]),
    );
    assert!(is_error && !text.contains("delivered"), "{text}");
}

#[test]
fn a_broker_that_is_slow_or_goes_away_is_told_and_met_again() {
    let forwarder = Forwarder::new();
    let server = server(&format!("stomp://{}", forwarder.address), "");
    let mut listener = Listener::to("/queue/test.slow");
    let sent = |number: u32| send(&server, "/queue/test.slow", json!([number]));
    // The message arrives and the receipt doesn't: nobody knows.
    forwarder.stall.store(1, Ordering::SeqCst);
    let (text, is_error) = sent(1);
    assert!(
        is_error && text.contains("did not answer in time"),
        "{text}"
    );
    assert!(
        text.contains("may or may not have been delivered"),
        "{text}"
    );
    assert_eq!(listener.message().1, "[1]");
    forwarder.stall.store(0, Ordering::SeqCst);
    assert!(!sent(2).1);
    assert_eq!(listener.message().1, "[2]");
    let before = forwarder.count.load(Ordering::SeqCst);
    assert!(!sent(3).1);
    assert_eq!(listener.message().1, "[3]");
    assert_eq!(
        forwarder.count.load(Ordering::SeqCst),
        before,
        "one connection is kept"
    );
    // A connection that broke while nobody used it is made again before the message is sent, so it is sent once.
    forwarder.cut();
    let (text, is_error) = sent(4);
    assert!(!is_error, "{text}");
    assert_eq!(listener.message().1, "[4]");
    assert_eq!(forwarder.count.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_broker_that_never_answers_the_login_costs_its_time_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let server = server(&format!("stomp://{address}"), "");
    let (text, is_error) = send(&server, "/queue/test.x", json!([]));
    assert!(
        is_error && text.contains("did not answer in time"),
        "{text}"
    );
    assert!(!text.contains("delivered"), "{text}");
    assert_eq!(server.workers()[0].inflight, 0);
}
