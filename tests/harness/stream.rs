//! A subscription, read message by message.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{Connection, End};
use super::mcp::{META, Post};

/// An open stream of `subscriptions/listen`.
pub struct Stream {
    connection: Connection,
    /// The request's id, which all messages carry.
    id: Value,
}

/// The request that opens one.
pub fn listen(id: Value, notifications: &Value) -> Post {
    Post::modern(
        "subscriptions/listen",
        json!({"notifications": notifications}),
    )
    .id(id)
}

impl Stream {
    /// Opens a stream that tells of changed tools, and waits for its acknowledgement.
    pub fn open(address: SocketAddr) -> Stream {
        Stream::open_at(address, "/mcp")
    }

    pub fn open_at(address: SocketAddr, path: &str) -> Stream {
        let wanted = json!({"toolsListChanged": true});
        Stream::of(
            address,
            &listen(json!("listen-1"), &wanted).path(path),
            &wanted,
        )
    }

    /// Opens a stream by this request, of which so much must be granted.
    pub fn of(address: SocketAddr, post: &Post, granted: &Value) -> Stream {
        let mut connection = Connection::open(address);
        connection.send(&post.bytes(address));
        let head = connection.head().expect("a head");
        assert_eq!(head.status, 200, "{:?}", head.headers);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        let mut stream = Stream {
            connection,
            id: post.body["id"].clone(),
        };
        let acknowledged = stream.message().expect("an acknowledgement");
        assert_eq!(
            acknowledged,
            json!({
                "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": {
                    "_meta": {format!("{META}subscriptionId"): stream.id},
                    "notifications": granted,
                },
            })
        );
        stream
    }

    /// The next message; nothing when the stream has ended as it should, in one piece and with a FIN.
    pub fn message(&mut self) -> Option<Value> {
        loop {
            let event = self.event()?;
            if !event.starts_with(':') {
                let data: Vec<&str> = event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .collect();
                return Some(serde_json::from_str(&data.concat()).expect("JSON in an event"));
            }
        }
    }

    /// The next event or comment as it was sent.
    pub fn event(&mut self) -> Option<String> {
        match self.connection.chunk().expect("a chunk") {
            Some(chunk) => Some(String::from_utf8(chunk).expect("UTF-8")),
            None => {
                assert_eq!(self.connection.end(), End::Clean);
                None
            }
        }
    }

    /// Whether the stream is open and nothing has come, at this moment.
    pub fn is_silent(&mut self) -> bool {
        self.connection.is_silent()
    }

    /// Waits until the tools are said to have changed.
    pub fn until_list_changed(&mut self) {
        assert_eq!(self.message(), Some(self.list_changed()));
    }

    /// Waits until the server ends the stream on purpose; panics when it says anything else before.
    pub fn until_ended(&mut self) {
        let result = self.message().expect("a result");
        assert_eq!(result, self.result(&result));
        assert_eq!(self.message(), None);
    }

    /// Waits for the end of the stream; how often the tools were said to have changed before it.
    pub fn changes_until_ended(&mut self) -> usize {
        for changes in 0.. {
            let message = self.message().expect("a result at the end");
            if message.get("result").is_some() {
                assert_eq!(message, self.result(&message));
                assert_eq!(self.message(), None);
                return changes;
            }
            assert_eq!(message, self.list_changed());
        }
        unreachable!("the server doesn't speak for ever")
    }

    fn list_changed(&self) -> Value {
        json!({
            "jsonrpc": "2.0",
            "method": "notifications/tools/list_changed",
            "params": {"_meta": {format!("{META}subscriptionId"): self.id}},
        })
    }

    // The name and version of the server are its own affair.
    fn result(&self, seen: &Value) -> Value {
        let server = &seen["result"]["_meta"][format!("{META}serverInfo")];
        assert!(server["name"].is_string(), "{seen}");
        json!({
            "jsonrpc": "2.0",
            "id": self.id,
            "result": {
                "resultType": "complete",
                "_meta": {
                    format!("{META}serverInfo"): server,
                    format!("{META}subscriptionId"): self.id,
                },
            },
        })
    }
}
