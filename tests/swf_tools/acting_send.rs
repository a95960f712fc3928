//! swf_send_message.

use super::acting::{TESTBED, bench, error, timeless};
use super::*;
use crate::harness::broker::Listener;

#[test]
fn a_message_goes_to_the_monitoring_stream() {
    let bench = bench(Some(TESTBED), "");
    let mut listener = Listener::to("/topic/epictopic");
    let answer = bench.call(
        "swf_send_message",
        json!({"message": "hallo \u{2028}", "username": "zoé", "metadata": {"z": [1, null], "a": 1.0}}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "announcement", "sender": "zo\u00e9-personal-agent", "namespace": "bench-\u00e9", "message": "hallo \u2028", "timestamp": "T", "source": "mcp_send_message", "metadata": {"z": [1, null], "a": 1.0}}"#
    );
    assert_eq!(
        keys(&answer),
        [
            "success",
            "message",
            "sender",
            "message_type",
            "namespace",
            "content"
        ]
    );
    bench.call(
        "swf_send_message",
        json!({"message": "x", "message_type": "test", "username": "u"}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "test", "sender": "u-personal-agent", "namespace": null, "message": "x", "timestamp": "T", "source": "mcp_send_message"}"#
    );
    let refused = error(&bench, "swf_send_message", json!({"message": "x"}));
    assert!(
        refused["error"]
            .as_str()
            .expect("words")
            .contains("username"),
        "{refused}"
    );
}
