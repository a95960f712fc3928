//! Tables of requests and what must come of them, for tests of the protocol's order of checks.

use serde_json::json;

use super::mcp::Post;
use super::server::Server;

/// What a row of the ladder expects.
pub enum Expect {
    /// Status and JSON-RPC error code, with the request's id.
    Error(u16, i64),
    /// The same without any id, because none could be read.
    ErrorWithoutId(u16, i64),
    /// 200 and a result.
    Result,
    /// 200 and a tool's result that is an error.
    ToolError,
    /// 202 and not a byte.
    Accepted,
    /// This status, whatever the body says.
    Status(u16),
}

/// Sends every row on a connection of its own and compares.
pub fn check(server: &Server, rows: Vec<(&str, Post, Expect)>) {
    for (row, post, expected) in rows {
        let answer = post.send(server.address());
        let shown = format!("{row}: {} {}", answer.status(), answer.0.text());
        assert_eq!(answer.0.header("mcp-session-id"), None, "{shown}");
        use Expect::{Accepted, Error, ErrorWithoutId, Result, Status, ToolError};
        match expected {
            Error(status, code) => {
                assert_eq!(
                    (answer.status(), &answer.message()["error"]["code"]),
                    (status, &json!(code)),
                    "{shown}"
                );
                assert_eq!(answer.message()["id"], post.body["id"], "{shown}");
            }
            ErrorWithoutId(status, code) => {
                assert_eq!(
                    (answer.status(), &answer.message()["error"]["code"]),
                    (status, &json!(code)),
                    "{shown}"
                );
                assert_eq!(answer.message().get("id"), None, "{shown}");
            }
            Result => {
                assert_eq!(answer.status(), 200, "{shown}");
                assert!(answer.message().get("result").is_some(), "{shown}");
                assert_ne!(
                    answer.message()["result"]["isError"],
                    json!(true),
                    "{shown}"
                );
                assert_eq!(answer.message()["id"], post.body["id"], "{shown}");
            }
            ToolError => {
                assert_eq!(answer.status(), 200, "{shown}");
                assert_eq!(
                    answer.message()["result"]["isError"],
                    json!(true),
                    "{shown}"
                );
            }
            Accepted => {
                assert_eq!((answer.status(), answer.0.body.len()), (202, 0), "{shown}");
            }
            Status(status) => assert_eq!(answer.status(), status, "{shown}"),
        }
    }
}
