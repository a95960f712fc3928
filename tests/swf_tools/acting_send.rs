//! swf_send_message: who speaks, what is sent, byte for byte but for the time in it, and what is told.

use std::path::Path;

use super::acting::{TESTBED, bench, bench_at, bench_of, error, timeless};
use super::*;
use crate::harness::broker::{Listener, broker};
use crate::harness::mcp::Post;
use crate::mcp_tokens::make_token;

#[test]
fn a_message_goes_to_the_monitoring_stream() {
    let bench = bench(Some(TESTBED), "");
    let mut listener = Listener::to("/topic/epictopic");
    let answer = bench.call(
        "swf_send_message",
        json!({"message": "hallo \u{2028}", "username": "zoé", "metadata": {"z": [1, null], "a": 1.0}}),
    );
    assert_eq!(
        timeless(&next(&mut listener, &json!("hallo \u{2028}"))),
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
        json!({"message": "only this", "message_type": "test", "username": "u"}),
    );
    assert_eq!(
        timeless(&next(&mut listener, &json!("only this"))),
        r#"{"msg_type": "test", "sender": "u-personal-agent", "namespace": null, "message": "only this", "timestamp": "T", "source": "mcp_send_message"}"#
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

/// The next message with this text; other tests speak here too.
fn next(listener: &mut Listener, text: &Value) -> String {
    loop {
        let body = listener.message().1;
        let sent: Value = serde_json::from_str(&body).expect("JSON");
        if sent["message"] == *text {
            return body;
        }
    }
}

#[test]
fn the_sender_is_the_tokens_user_and_nobody_else() {
    let setup = Setup::bare();
    let (of_zoe, first) = make_token(&["zoe-bot", "--user", "zoé"]);
    let (of_nobody, second) = make_token(&["bot"]);
    setup.file("tokens.toml", &(first + &second));
    let setup = setup.option("tokens_file = \"tokens.toml\"");
    let url = format!("stomp://{}", broker().plain);
    let bench = bench_of(setup, &url, None, Path::new("/bin/kill"), "");
    let mut listener = Listener::to("/topic/epictopic");
    let send = |token: &str, arguments: &Value| {
        Post::call(Era::Modern, "swf_send_message", arguments.clone())
            .header("Authorization", &format!("Bearer {token}"))
            .send(bench.server.address())
            .tool_text()
    };
    for (token, arguments, sender) in [
        (&of_zoe, json!({"message": "t-1"}), "zoé-personal-agent"),
        (
            &of_zoe,
            json!({"message": "t-2", "username": "mallory"}),
            "zoé-personal-agent",
        ),
        (
            &of_zoe,
            json!({"message": "t-5", "username": "mallory", "metadata": {"a": 1}}),
            "zoé-personal-agent",
        ),
        (
            &of_nobody,
            json!({"message": "t-3", "username": "ines"}),
            "ines-personal-agent",
        ),
    ] {
        let (text, is_error) = send(token, &arguments);
        assert!(!is_error, "{text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["sender"], sender);
        let sent = next(&mut listener, &arguments["message"]);
        let sent: Value = serde_json::from_str(&sent).expect("JSON");
        assert_eq!(sent["sender"], sender);
    }
    let (text, is_error) = send(&of_nobody, &json!({"message": "t-4"}));
    assert!(is_error && text.contains("username: is required"), "{text}");
}

#[test]
fn what_is_given_is_sent_as_it_is_and_told() {
    let bench = bench(Some(TESTBED), "");
    let mut listener = Listener::to("/topic/epictopic");
    let own = r#""bench-\u00e9""#;
    for (arguments, kind, namespace, tail) in [
        (
            json!({"message": "it's 100% \"ja\" \\ é\u{1F600}\n"}),
            r#""announcement""#,
            own,
            r#""message": "it's 100% \"ja\" \\ \u00e9\ud83d\ude00\n", "timestamp": "T", "source": "mcp_send_message"}"#,
        ),
        (
            json!({"message": "m-null", "message_type": null, "metadata": null}),
            r#""announcement""#,
            own,
            r#""message": "m-null", "timestamp": "T", "source": "mcp_send_message"}"#,
        ),
        (
            json!({"message": "m-empty", "message_type": ""}),
            r#""announcement""#,
            own,
            r#""message": "m-empty", "timestamp": "T", "source": "mcp_send_message"}"#,
        ),
        (
            json!({"message": "m-Test", "message_type": "Test"}),
            r#""Test""#,
            own,
            r#""message": "m-Test", "timestamp": "T", "source": "mcp_send_message"}"#,
        ),
        (
            json!({"message": "m-test", "message_type": "test"}),
            r#""test""#,
            "null",
            r#""message": "m-test", "timestamp": "T", "source": "mcp_send_message"}"#,
        ),
        (
            json!({"message": "m-test-meta", "message_type": "test", "metadata": {}}),
            r#""test""#,
            "null",
            r#""message": "m-test-meta", "timestamp": "T", "source": "mcp_send_message", "metadata": {}}"#,
        ),
        (
            json!({"message": "m-meta", "message_type": "stätus", "metadata": {"z": {"ü": [1, 1.0, 1e-7, null, "%"]}, "a": "'"}}),
            r#""st\u00e4tus""#,
            own,
            r#""message": "m-meta", "timestamp": "T", "source": "mcp_send_message", "metadata": {"z": {"\u00fc": [1, 1.0, 1e-07, null, "%"]}, "a": "'"}}"#,
        ),
    ] {
        let mut all = arguments.clone();
        all["username"] = json!("o'u");
        let answer = bench.call("swf_send_message", all);
        let plain = |json: &str| -> Value { serde_json::from_str(json).expect("JSON") };
        let expected = json!({
            "success": true, "message": "The message was sent to the monitoring stream.", "sender": "o'u-personal-agent",
            "message_type": plain(kind), "namespace": plain(namespace), "content": arguments["message"],
        });
        assert_eq!(answer.to_string(), expected.to_string());
        let body = next(&mut listener, &arguments["message"]);
        let expected = format!(
            r#"{{"msg_type": {kind}, "sender": "o'u-personal-agent", "namespace": {namespace}, {tail}"#
        );
        assert_eq!(timeless(&body), expected);
    }
}

#[test]
fn without_a_configuration_there_is_no_namespace_and_without_a_broker_no_success() {
    let down = bench_at("stomp://127.0.0.1:1", None, "");
    let arguments = json!({"message": "x", "username": "u"});
    let refused = error(&down, "swf_send_message", arguments);
    assert_eq!(keys(&refused), ["success", "error"]);
    let words = refused["error"].as_str().expect("words");
    let start = "The message could not be sent: the broker activemq: ";
    assert!(words.starts_with(start), "{words}");
    let up = bench(None, "");
    let answer = up.call(
        "swf_send_message",
        json!({"message": "n-1", "username": "u"}),
    );
    assert_eq!(answer["namespace"], Value::Null);
    for message in [json!(""), Value::Null] {
        let arguments = json!({"message": message, "username": "u"});
        let refused = error(&up, "swf_send_message", arguments);
        let words = refused["error"].as_str().expect("words");
        assert!(words.starts_with("message: "), "{refused}");
    }
}
