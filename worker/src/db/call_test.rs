//! Tables over (plan, messages) of a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::db::job::{Access, Notice, Statement};

fn job(max_rows: u32, max_bytes: usize) -> Job {
    Job {
        statement: Arc::new(Statement {
            name: "s".into(),
            sql: "SELECT 1".into(),
            types: vec![],
        }),
        parameters: vec![],
        access: Access::ReadOnly,
        timeout: Duration::from_secs(1),
        custom_plan: false,
        max_rows,
        max_bytes,
        expect_rows: None,
        notices: false,
        deadline: Instant::now(),
    }
}

const PLAIN: Plan = Plan {
    limits: false,
    preamble: 0,
    parses: true,
    finish: Finish::Implicit,
};
const FRAMED: Plan = Plan {
    limits: false,
    preamble: 2,
    parses: true,
    finish: Finish::Sent,
};

type Message<'a> = (u8, &'a [u8]);
const ERROR: Message = (b'E', b"VERROR\0C57014\0Mcanceled\0\0");

fn row(columns: &[Option<&str>]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for column in columns {
        match column {
            Some(text) => {
                body.extend((text.len() as u32).to_be_bytes());
                body.extend(text.as_bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body
}

/// Feeds all messages; every step but the last must be `More`.
fn feed(call: &mut Call, messages: &[Message]) -> Result<Step, Fault> {
    let mut last = Step::More;
    for (at, (tag, body)) in messages.iter().enumerate() {
        assert_eq!(last, Step::More, "before message {at}");
        last = call.message(*tag, body, None)?;
    }
    Ok(last)
}

fn over() -> Result<Step, Fault> {
    Ok(Step::Over { clean: true })
}

#[test]
fn rows_are_joined_and_the_last_ones_keys_kept() {
    let mut call = Call::new(&job(2, 100), PLAIN, 1000);
    let rows = [
        row(&[Some("{\"a\":1}"), Some("k1"), None]),
        row(&[None, Some("k2"), Some("x")]),
        row(&[Some("{}"), Some("k3"), None]),
    ];
    let end = feed(
        &mut call,
        &[
            (b'3', b""),
            (b'1', b""),
            (b'2', b""),
            (b'D', &rows[0]),
            (b'D', &rows[1]),
            (b'D', &rows[2]),
            (b's', b""),
            (b'Z', b"I"),
        ],
    );
    assert_eq!(end, over());
    let expected = Rows {
        json: b"{\"a\":1},null".to_vec(),
        count: 2,
        more: true,
        truncated: false,
        keys: vec![Some("k2".into()), Some("x".into())],
        affected: 3,
    };
    assert_eq!(call.take_outcome(), Ok(expected));
}

#[test]
fn whole_rows_only_up_to_the_byte_bound() {
    for (max_bytes, json, count, truncated) in [
        (3, "11", 1, true),
        (4, "11", 1, true),
        (5, "11,22", 2, true),
        (7, "11,22,3", 3, false),
        (1, "", 0, true),
    ] {
        let mut call = Call::new(&job(9, max_bytes), PLAIN, 1000);
        let rows = ["11", "22", "3"].map(|text| row(&[Some(text)]));
        let end = feed(
            &mut call,
            &[
                (b'1', b""),
                (b'2', b""),
                (b'D', &rows[0]),
                (b'D', &rows[1]),
                (b'D', &rows[2]),
                (b'C', b"SELECT 3\0"),
                (b'Z', b"I"),
            ],
        );
        assert_eq!(end, over());
        let rows = call.take_outcome().unwrap();
        assert_eq!(
            (rows.json.as_slice(), rows.count, rows.truncated),
            (json.as_bytes(), count, truncated),
            "{max_bytes}"
        );
        assert!(!rows.more);
    }
}

#[test]
fn the_hard_cap_is_told_once_and_the_rest_is_skipped() {
    let mut call = Call::new(&job(9, 100), PLAIN, 20);
    let body = row(&[Some("0123456789")]);
    assert_eq!(
        feed(
            &mut call,
            &[(b'1', b""), (b'2', b""), (b'D', &body), (b'D', &body)]
        ),
        Ok(Step::TooLarge)
    );
    assert_eq!(
        feed(&mut call, &[(b'D', &body), ERROR, (b'Z', b"I")]),
        over()
    );
    assert!(matches!(call.take_outcome(), Err(DbError::Server(_))));
}

#[test]
fn every_plan_ends_at_its_own_ready() {
    let limits = Plan {
        limits: true,
        ..PLAIN
    };
    let decide = Plan {
        finish: Finish::Decide { expected: 2 },
        ..FRAMED
    };
    let set: [Message; 3] = [(b'3', b""), (b'C', b"SET\0"), (b'Z', b"I")];
    let begin: [Message; 6] = [
        (b'1', b""),
        (b'2', b""),
        (b'C', b"BEGIN\0"),
        (b'1', b""),
        (b'2', b""),
        (b'C', b"SET\0"),
    ];
    let insert: [Message; 4] = [
        (b'1', b""),
        (b'2', b""),
        (b'C', b"INSERT 0 2\0"),
        (b'Z', b"T"),
    ];

    let mut call = Call::new(&job(9, 9), limits, 100);
    assert_eq!(feed(&mut call, &set), Ok(Step::More));
    assert_eq!(
        feed(
            &mut call,
            &[
                (b'1', b""),
                (b'2', b""),
                (b'C', b"SELECT 0\0"),
                (b'Z', b"I")
            ]
        ),
        over()
    );

    let mut call = Call::new(&job(9, 9), FRAMED, 100);
    assert_eq!(
        feed(&mut call, &[&begin[..], &insert].concat()),
        Ok(Step::More)
    );
    assert_eq!(
        feed(&mut call, &[(b'C', b"COMMIT\0"), (b'Z', b"I")]),
        over()
    );
    assert_eq!(call.take_outcome().unwrap().affected, 2);

    for (expected, commit) in [(2, true), (1, false)] {
        let decide = Plan {
            finish: Finish::Decide { expected },
            ..decide
        };
        let mut call = Call::new(&job(9, 9), decide, 100);
        assert_eq!(
            feed(&mut call, &[&begin[..], &insert].concat()),
            Ok(Step::Finish { commit })
        );
        assert_eq!(feed(&mut call, &[(b'C', b"x\0"), (b'Z', b"I")]), over());
        assert_eq!(call.take_outcome().is_ok(), commit);
    }

    let mut call = Call::new(&job(9, 9), decide, 100);
    assert_eq!(
        feed(&mut call, &[&begin[..], &[ERROR, (b'Z', b"E")]].concat()),
        Ok(Step::Finish { commit: false })
    );
}

#[test]
fn what_an_error_leaves_behind() {
    // (messages before the error, nothing of the statement ran, its Parse failed)
    let table: [(Plan, &[Message], bool, bool); 4] = [
        (PLAIN, &[], true, true),
        (PLAIN, &[(b'1', b"")], true, false),
        (PLAIN, &[(b'1', b""), (b'2', b"")], false, false),
        (FRAMED, &[(b'1', b""), (b'2', b"")], true, true),
    ];
    for (plan, before, refused, parse_failed) in table {
        let mut call = Call::new(&job(9, 9), plan, 100);
        feed(&mut call, before).unwrap();
        feed(&mut call, &[ERROR]).unwrap();
        assert_eq!(call.refused().is_some(), refused, "{plan:?} {before:?}");
        assert_eq!(call.parse_failed(), parse_failed);
        assert!(!call.limits_failed());
    }
    let mut call = Call::new(
        &job(9, 9),
        Plan {
            limits: true,
            ..PLAIN
        },
        100,
    );
    feed(
        &mut call,
        &[
            ERROR,
            (b'Z', b"I"),
            (b'1', b""),
            (b'2', b""),
            (b'C', b"SELECT 1\0"),
        ],
    )
    .unwrap();
    assert!(call.limits_failed());
    assert_eq!(
        feed(&mut call, &[(b'Z', b"T")]),
        Ok(Step::Over { clean: false })
    );
}

#[test]
fn messages_that_end_the_connection() {
    let begun: [Message; 2] = [(b'1', b""), (b'2', b"")];
    let table: [(&[Message], Message); 7] = [
        (&begun, (b'G', b"")),
        (&begun, (b'H', b"")),
        (&begun, (b'W', b"")),
        (&begun, (b'T', b"")),
        (&begun, (b'?', b"")),
        (&[], (b'D', &[0, 0])),
        (&begun, (b'E', b"VFATAL\0C57P01\0\0")),
    ];
    for (before, last) in table {
        let mut call = Call::new(&job(9, 9), PLAIN, 100);
        feed(&mut call, before).unwrap();
        assert!(
            call.message(last.0, last.1, None).is_err(),
            "{}",
            char::from(last.0)
        );
    }
}

#[test]
fn notices_go_to_who_asked() {
    let mut out = Vec::new();
    let mut call = Call::new(&job(9, 9), PLAIN, 100);
    call.message(
        b'N',
        b"VNOTICE\0C00000\0Mhello\0\0",
        Some((JobId(7), &mut out)),
    )
    .unwrap();
    let expected = Notice {
        severity: "NOTICE".into(),
        sqlstate: "00000".into(),
        message: "hello".into(),
        detail: None,
    };
    assert!(matches!(&out[..], [Event::Notice(JobId(7), notice)] if *notice == expected));
}
