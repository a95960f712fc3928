//! What is written for a call, as a table of message tags.

use std::time::Instant;

use super::*;
use crate::db::job::Statement;

fn session(greeting: Greeting, pooler: bool) -> Session {
    Session::new(
        &greeting,
        pooler,
        Duration::from_secs(8),
        NonZeroUsize::new(2).unwrap(),
    )
}

fn modern() -> Greeting {
    Greeting {
        key: None,
        read_only: true,
        version: 15,
    }
}

fn job(name: &str, access: Access) -> Job {
    Job {
        statement: Arc::new(Statement {
            name: name.into(),
            sql: "SELECT $1".into(),
            types: vec![25],
        }),
        parameters: vec![Some("x".into())],
        access,
        timeout: Duration::from_secs(8),
        custom_plan: false,
        max_rows: 10,
        max_bytes: 10,
        expect_rows: None,
        notices: false,
        deadline: Instant::now(),
    }
}

/// The tags of what was written, with the text of commands.
fn written(session: &mut Session, job: &Job) -> (String, Plan) {
    let mut out = BytesMut::new();
    let plan = session.encode(job, &mut out).unwrap();
    let mut text = String::new();
    let mut left = &out[..];
    while !left.is_empty() {
        let size = 1 + u32::from_be_bytes(left[1..5].try_into().unwrap()) as usize;
        let body = &left[5..size];
        let strings: Vec<_> = body
            .split(|&byte| byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        match left[0] {
            b'Q' => text.push_str(&format!("Q({}) ", strings[0])),
            b'P' => text.push_str(&format!("P({}:{}) ", strings[0], strings[1])),
            b'C' => text.push_str(&format!("C({}) ", &strings[0][1..])),
            b'B' => text.push_str(&format!("B({}) ", strings[1])),
            b'E' => text.push_str(&format!(
                "E({}) ",
                u32::from_be_bytes(body[1..5].try_into().unwrap())
            )),
            tag => text.push_str(&format!("{} ", char::from(tag))),
        }
        left = &left[size..];
    }
    (text.trim_end().to_string(), plan)
}

#[test]
fn a_reading_call_is_one_bind_once_it_is_prepared() {
    let mut session = session(modern(), false);
    assert_eq!(
        written(&mut session, &job("a", Access::ReadOnly)).0,
        "P(a:SELECT $1) B(a) E(11) S"
    );
    let (text, plan) = written(&mut session, &job("a", Access::ReadOnly));
    assert_eq!(text, "B(a) E(11) S");
    assert_eq!(
        plan,
        Plan {
            limits: false,
            preamble: 0,
            parses: false,
            finish: Finish::Implicit
        }
    );
    written(&mut session, &job("b", Access::ReadOnly));
    assert_eq!(
        written(&mut session, &job("c", Access::ReadOnly)).0,
        "C(a) P(c:SELECT $1) B(c) E(11) S"
    );
}

#[test]
fn limits_are_sent_only_when_they_change() {
    let mut session = session(modern(), false);
    let slow = Job {
        timeout: Duration::from_secs(30),
        custom_plan: true,
        ..job("a", Access::ReadOnly)
    };
    written(&mut session, &job("a", Access::ReadOnly));
    let set = "Q(SET statement_timeout = 30000; SET lock_timeout = 30000;SET plan_cache_mode = force_custom_plan;)";
    assert_eq!(
        written(&mut session, &slow).0,
        format!("{set} B(a) E(11) S")
    );
    assert_eq!(written(&mut session, &slow).0, "B(a) E(11) S");
    session.forget_limits();
    assert_eq!(
        written(&mut session, &slow).0,
        format!("{set} B(a) E(11) S")
    );
}

#[test]
fn a_writing_call_stands_in_a_transaction() {
    let mut session = session(modern(), false);
    let (text, plan) = written(&mut session, &job("a", Access::ReadWrite));
    assert_eq!(
        text,
        "P(:BEGIN READ WRITE) B() E(0) P(a:SELECT $1) B(a) E(0) S Q(COMMIT)"
    );
    assert_eq!(
        plan,
        Plan {
            limits: false,
            preamble: 1,
            parses: true,
            finish: Finish::Sent
        }
    );
    let guarded = Job {
        timeout: Duration::from_secs(2),
        expect_rows: Some(1),
        ..job("a", Access::ReadWrite)
    };
    let (text, plan) = written(&mut session, &guarded);
    let expected = "P(:BEGIN READ WRITE) B() E(0) P(:SET LOCAL statement_timeout = 2000) B() E(0) \
                    P(:SET LOCAL lock_timeout = 2000) B() E(0) B(a) E(0) S";
    assert_eq!(text, expected);
    assert_eq!(
        plan,
        Plan {
            limits: false,
            preamble: 3,
            parses: false,
            finish: Finish::Decide { expected: 1 }
        }
    );
}

#[test]
fn behind_a_pooler_nothing_is_left_in_the_session() {
    let expected = "P(:BEGIN READ ONLY) B() E(0) P(:SET LOCAL statement_timeout = 8000) B() E(0) \
                    P(:SET LOCAL lock_timeout = 8000) B() E(0) P(:SELECT $1) B() E(11) S Q(COMMIT)";
    let dropped_parameter = Greeting {
        read_only: false,
        ..modern()
    };
    let mut late = session(modern(), false);
    written(&mut late, &job("a", Access::ReadOnly));
    late.enter_pooler_mode();
    for mut session in [
        session(modern(), true),
        session(dropped_parameter, false),
        late,
    ] {
        for _ in 0..2 {
            assert_eq!(
                written(&mut session, &job("a", Access::ReadOnly)).0,
                expected
            );
        }
    }
}

#[test]
fn an_old_server_gets_every_call_framed_but_keeps_its_statements() {
    let mut session = session(
        Greeting {
            key: None,
            read_only: false,
            version: 13,
        },
        false,
    );
    written(&mut session, &job("a", Access::ReadOnly));
    let (text, _) = written(&mut session, &job("a", Access::ReadOnly));
    assert_eq!(text, "P(:BEGIN READ ONLY) B() E(0) B(a) E(11) S Q(COMMIT)");
}

#[test]
fn a_row_count_beyond_the_protocol_means_all() {
    for (max_rows, access, limit) in [
        (0, Access::ReadOnly, 1),
        (i32::MAX as u32 - 1, Access::ReadOnly, i32::MAX),
        (i32::MAX as u32, Access::ReadOnly, 0),
        (u32::MAX, Access::ReadOnly, 0),
        (1, Access::ReadWrite, 0),
    ] {
        assert_eq!(
            row_limit(&Job {
                max_rows,
                ..job("a", access)
            }),
            limit
        );
    }
}

#[test]
fn what_the_protocol_cannot_carry_is_refused() {
    let mut session = session(modern(), false);
    let mut bad = job("a", Access::ReadOnly);
    bad.statement = Arc::new(Statement {
        name: "a".into(),
        sql: "SELECT '\0'".into(),
        types: vec![],
    });
    assert!(session.encode(&bad, &mut BytesMut::new()).is_err());
    let many = Job {
        parameters: vec![None; 70_000],
        ..job("a", Access::ReadOnly)
    };
    assert!(session.encode(&many, &mut BytesMut::new()).is_err());
}
