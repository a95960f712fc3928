//! swf_record_ai_memory, swf_get_ai_memory.

use super::*;

#[test]
fn what_is_recorded_comes_back_in_order() {
    let mut bench = Bench::start();
    let user = "recorder 100% 'ü' \"日\"";
    let content = "Größe: 5 \u{1F680}\n\t\"quoted\" \\ 'single' %s $1 :name --? x";
    for (index, (role, namespace)) in [
        ("user", None),
        ("assistant", Some("")),
        ("user", Some("thread 1")),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("{index} {content}");
        let answer = bench.call(
            "swf_record_ai_memory",
            json!({"username": user, "session_id": "s", "role": role, "content": text, "namespace": namespace, "project_path": "/p"}),
        );
        assert_eq!(
            keys(&answer),
            ["success", "id", "username", "role", "content_length"]
        );
        assert_eq!(answer["success"], true);
        assert_eq!(answer["username"], user);
        assert_eq!(answer["role"], role);
        assert_eq!(answer["content_length"], json!(text.chars().count()));
        let id = answer["id"].as_i64().expect("an id");
        let stored = bench.swf.query_one(
            "SELECT content, namespace, created_at BETWEEN now() - interval '1 minute' AND now() FROM swf_ai_memory WHERE id = $1",
            &[&i32::try_from(id).expect("an integer")],
        );
        let stored = stored.expect("the row");
        assert_eq!(stored.get::<_, String>(0), text);
        assert_eq!(stored.get::<_, Option<&str>>(1), namespace);
        assert!(stored.get::<_, bool>(2));
    }
    let memory = bench.call("swf_get_ai_memory", json!({"username": user}));
    assert_eq!(
        keys(&memory),
        ["items", "count", "username", "turns_requested", "namespace"]
    );
    assert_eq!(
        keys(&memory["items"][0]),
        [
            "role",
            "content",
            "created_at",
            "session_id",
            "post_id",
            "root_id"
        ]
    );
    assert_eq!(
        (
            &memory["count"],
            &memory["turns_requested"],
            &memory["namespace"]
        ),
        (&json!(3), &json!(20), &Value::Null)
    );
    assert_eq!(column(&memory, "role"), ["user", "assistant", "user"]);
    assert_eq!(column(&memory, "post_id"), ["", "", "thread 1"]);
    assert_eq!(column(&memory, "root_id"), ["/p"; 3]);
    let one = bench.call(
        "swf_get_ai_memory",
        json!({"username": user, "namespace": "thread 1", "turns": "5"}),
    );
    assert_eq!(
        (&one["count"], &one["turns_requested"], &one["namespace"]),
        (&json!(1), &json!(5), &json!("thread 1"))
    );
}

#[test]
fn the_newest_turns_come_oldest_first() {
    let mut bench = Bench::start();
    let query = format!(
        "SELECT role, content, {}, session_id, coalesce(namespace, ''), coalesce(project_path, '') FROM swf_ai_memory
         WHERE username = $1 ORDER BY created_at DESC, id DESC",
        micros("created_at")
    );
    for user in ["amara", "o'neill", "bjørn"] {
        let rows = bench.swf.query(&query, &[&user]).expect("memories");
        for turns in [0_usize, 1, 7, 20, 100_000] {
            let memory = bench.call(
                "swf_get_ai_memory",
                json!({"username": user, "turns": turns}),
            );
            let kept = rows.len().min(2 * turns);
            let expected: Vec<Value> = rows[..kept]
                .iter()
                .rev()
                .map(|row| {
                    json!({
                        "role": row.get::<_, String>(0),
                        "content": row.get::<_, String>(1),
                        "created_at": moment(row.get(2), "+00:00"),
                        "session_id": row.get::<_, String>(3),
                        "post_id": row.get::<_, String>(4),
                        "root_id": row.get::<_, String>(5),
                    })
                })
                .collect();
            assert_eq!(
                memory["items"].to_string(),
                Value::Array(expected).to_string(),
                "{user} {turns}"
            );
            assert_eq!(memory["count"], json!(kept));
        }
    }
    assert_eq!(
        bench.call("swf_get_ai_memory", json!({"username": "nobody"}))["items"],
        json!([])
    );
}

#[test]
fn nothing_is_stored_when_an_argument_is_wrong() {
    let mut bench = Bench::start();
    let count = "SELECT count(*) FROM swf_ai_memory WHERE session_id LIKE 'refused%'";
    let good = json!({"username": "u", "session_id": "refused", "role": "user", "content": "c"});
    for (name, value) in [
        ("role", json!("system")),
        ("role", json!("User")),
        ("role", Value::Null),
        ("username", json!("")),
        ("session_id", json!("")),
        ("content", json!("")),
        ("content", json!(5)),
        ("content", json!("nul \u{0} inside")),
        ("username", json!("x".repeat(101))),
        ("session_id", json!("refused".repeat(40))),
        ("namespace", json!("x".repeat(101))),
        ("project_path", json!("x".repeat(501))),
    ] {
        let mut arguments = good.clone();
        arguments[name] = value;
        let message = bench.refused("swf_record_ai_memory", arguments);
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(number(&mut bench.swf, count, &[]), 0);
    for arguments in [
        json!({"username": ""}),
        json!({}),
        json!({"username": "u", "turns": -1}),
        json!({"username": "u", "turns": 1.5}),
    ] {
        bench.refused("swf_get_ai_memory", arguments);
    }
}

#[test]
fn the_longest_values_fit() {
    let bench = Bench::start();
    let answer = bench.call(
        "swf_record_ai_memory",
        json!({"username": "é".repeat(100), "session_id": "ß".repeat(255), "role": "assistant", "content": "x".repeat(200_000),
               "namespace": "日".repeat(100), "project_path": "語".repeat(500)}),
    );
    assert_eq!(answer["content_length"], 200_000);
}
