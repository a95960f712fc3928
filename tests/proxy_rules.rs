//! Whom Tine believes behind a proxy: the Host that clients use, bearer tokens, and nothing that a client could claim by itself.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http;
use crate::harness::mcp::{Era, Post};
use crate::harness::proxy::{KINDS, Plan, Proxy};
use crate::harness::setup::Setup;

const WHO_TOOL: &str = r#"/*+++
description = "Whom the server takes the caller for."
[params.user]
type = "text"
from = "token.user"
optional = true
+++*/
SELECT coalesce(:user, 'nobody') AS who
"#;

/// What other servers take for an identity or for the client's own address.
const CLAIMS: [&str; 7] = [
    "X-Remote-User",
    "X-Forwarded-User",
    "Remote-User",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Real-IP",
];

fn who() -> Post {
    Post::call(Era::Modern, "who", json!({}))
}

#[test]
fn the_name_that_clients_use_reaches_tine_and_is_checked() {
    let server = Setup::new(&Database::fresh())
        .option("allowed_hosts = [\"monitor.example\"]")
        .option("allowed_origins = [\"https://monitor.example\"]")
        .tool("who", WHO_TOOL)
        .launch();
    // No health without the right Host.
    crate::harness::wait::until("the pool is ready", || {
        server.log().contains("ready: 4 of 4")
    });
    for proxy in Proxy::all(server.address()) {
        let kind = proxy.kind;
        let status = |post: Post| post.send(proxy.address).status();
        assert_eq!(
            status(who().header("Host", "monitor.example")),
            200,
            "{kind:?}"
        );
        assert_eq!(
            status(who().header("Host", "monitor.example:8443")),
            200,
            "{kind:?}"
        );
        for host in ["evil.example", "127.0.0.1", "localhost"] {
            assert_eq!(status(who().header("Host", host)), 403, "{kind:?} {host}");
        }
        // A claim of the client does not count, whatever the proxy adds to it.
        let claimed = who()
            .header("Host", "evil.example")
            .header("X-Forwarded-Host", "monitor.example");
        assert_eq!(status(claimed), 403, "{kind:?}");
        for (origin, expected) in [
            ("https://monitor.example", 200),
            ("https://evil.example", 403),
        ] {
            let post = who()
                .header("Host", "monitor.example")
                .header("Origin", origin);
            assert_eq!(status(post), expected, "{kind:?} {origin}");
        }
    }
}

#[test]
fn nobody_becomes_somebody_by_a_header() {
    let open = Setup::new(&Database::fresh()).tool("who", WHO_TOOL).start();
    let closed = Setup::new(&Database::fresh())
        .tool("who", WHO_TOOL)
        .variable("TINE_TOKEN", "s3cret-of-the-test")
        .start();
    let claiming = CLAIMS
        .iter()
        .fold(who(), |post, name| post.header(name, "alice"));
    for server in [&open, &closed] {
        let mut addresses = vec![server.address()];
        let proxies = Proxy::all(server.address());
        addresses.extend(proxies.iter().map(|proxy| proxy.address));
        for address in addresses {
            let answer = claiming.send(address);
            if std::ptr::eq(server, &closed) {
                assert_eq!(answer.status(), 401);
                assert!(answer.0.header("www-authenticate").is_some());
                let authorization = "Bearer s3cret-of-the-test";
                let answer = claiming
                    .clone()
                    .header("Authorization", authorization)
                    .send(address);
                assert_eq!(answer.status(), 200);
                assert!(answer.tool_text().0.contains("nobody"));
            } else {
                assert!(answer.tool_text().0.contains("nobody"));
            }
        }
    }
}

/// What each proxy really sends on: a listener in Tine's place reads it.
#[test]
fn claims_of_an_identity_end_at_the_proxy() {
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let proxy = Plan::tcp(kind, listener.local_addr().expect("an address")).start();
        let upstream = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the proxy");
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                let mut some = [0; 4096];
                let count = stream.read(&mut some).expect("a head");
                assert!(count > 0, "the proxy left");
                head.extend_from_slice(&some[..count]);
            }
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .expect("an answer");
            // Until the proxy has read it.
            let _ = stream.read(&mut [0; 65536]);
            String::from_utf8_lossy(&head).to_ascii_lowercase()
        });
        let post = Post::legacy("ping", Value::Null)
            .header("Host", "monitor.example")
            .header("X-Remote-User", "alice")
            .header("X-Forwarded-User", "alice")
            .header("Authorization", "Bearer t");
        let answer = http::exchange(proxy.address, &post.bytes(proxy.address));
        assert_eq!(answer.status, 204, "{kind:?}");
        let head = upstream.join().expect("a head");
        assert!(!head.contains("alice"), "{kind:?}:\n{head}");
        for line in [
            "\r\nhost: monitor.example\r\n",
            "\r\nauthorization: bearer t\r\n",
            "\r\nmcp-protocol-version: ",
        ] {
            assert!(head.contains(line), "{kind:?} without {line:?}:\n{head}");
        }
    }
}
