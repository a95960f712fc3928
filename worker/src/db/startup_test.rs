//! Tables over (state, message) of a login.

use super::*;
use crate::db::settings::Options;
use crate::files::Files;

fn settings(url: &str) -> Settings {
    Settings::parse("main", url, &Options::default(), &Files::disk()).unwrap()
}

fn begin(url: &str, encrypt: bool) -> (Startup, Next, BytesMut) {
    let mut out = BytesMut::new();
    let (startup, next) = Startup::begin(&settings(url), encrypt, false, &mut out).unwrap();
    (startup, next, out)
}

fn auth(kind: i32, rest: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], rest].concat()
}

const TCP: &str = "postgresql://bot:secret@10.0.0.1/tickets";

/// Feeds messages; the last result.
fn feed(startup: &mut Startup, messages: &[(u8, &[u8])]) -> Result<Next, Refusal> {
    let mut out = BytesMut::new();
    let mut last = Ok(Next::Read);
    for (tag, body) in messages {
        last = startup.message(*tag, body, &mut out);
        if last.is_err() {
            break;
        }
    }
    last
}

#[test]
fn a_trusted_login_learns_the_greeting() {
    let (mut startup, next, out) = begin(TCP, false);
    assert_eq!(next, Next::Read);
    for text in [
        &b"user\0bot\0"[..],
        b"database\0tickets\0",
        b"default_transaction_read_only\0on\0",
        b"TimeZone\0UTC\0",
    ] {
        assert!(
            out.windows(text.len()).any(|window| window == text),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
    let messages: [(u8, &[u8]); 6] = [
        (b'R', &auth(0, b"")),
        (b'S', b"server_version\x0015.4 (Debian)\0"),
        (b'S', b"default_transaction_read_only\0on\0"),
        (b'N', b"SNOTICE\0\0"),
        (b'K', &[0, 0, 0, 7, 0, 0, 0, 9]),
        (b'Z', b"I"),
    ];
    assert_eq!(feed(&mut startup, &messages), Ok(Next::Ready));
    assert_eq!(
        *startup.greeting(),
        Greeting {
            key: Some((7, 9)),
            read_only: true,
            version: 15
        }
    );
}

#[test]
fn the_answer_to_the_request_for_tls() {
    let table = [
        ("prefer", b'S', Ok(Next::Handshake)),
        ("prefer", b'N', Ok(Next::Read)),
        ("require", b'S', Ok(Next::Handshake)),
        ("require", b'N', Err("the server has no TLS")),
        ("prefer", b'E', Err("the server does not understand")),
    ];
    for (mode, byte, expected) in table {
        let (mut startup, next, _) = begin(&format!("{TCP}?sslmode={mode}"), true);
        assert_eq!(next, Next::ReadByte);
        match (startup.answered(byte, &mut BytesMut::new()), expected) {
            (Ok(next), Ok(expected)) => assert_eq!(next, expected),
            (Err(refusal), Err(start)) => {
                assert!(refusal.to_string().starts_with(start), "{refusal}")
            }
            (got, _) => panic!("{mode} {}: {got:?}", char::from(byte)),
        }
    }
}

#[test]
fn authentication_steps_that_must_fail() {
    let plain = b"SCRAM-SHA-256\0\0";
    let plus_only = b"SCRAM-SHA-256-PLUS\0\0";
    let table: [(&str, Vec<Vec<u8>>, &str); 7] = [
        (
            "postgresql://bot@10.0.0.1/x",
            vec![auth(5, b"salt")],
            "asks for a password",
        ),
        (TCP, vec![auth(10, plus_only)], "no SASL mechanism"),
        (TCP, vec![auth(10, plain), auth(0, b"")], "did not prove"),
        (
            TCP,
            vec![auth(10, plain), auth(11, b"r=other,s=c2FsdA==,i=1")],
            "SCRAM authentication failed",
        ),
        (TCP, vec![auth(7, b"")], "Kerberos"),
        (
            "postgresql://bot:x@10.0.0.1/x?channel_binding=require",
            vec![auth(0, b"")],
            "channel_binding=require",
        ),
        (TCP, vec![auth(5, b"sa")], "md5 request without"),
    ];
    for (url, messages, expected) in table {
        let (mut startup, _, _) = begin(url, false);
        let messages: Vec<(u8, &[u8])> = messages.iter().map(|body| (b'R', &body[..])).collect();
        let refusal = feed(&mut startup, &messages).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}

#[test]
fn channel_binding_follows_the_setting() {
    let table = [
        (
            "prefer",
            Some(Some(vec![1])),
            true,
            true,
            Some("SCRAM-SHA-256-PLUS"),
        ),
        ("prefer", Some(None), true, true, Some("SCRAM-SHA-256")),
        ("prefer", None, true, true, Some("SCRAM-SHA-256")),
        (
            "disable",
            Some(Some(vec![1])),
            true,
            true,
            Some("SCRAM-SHA-256"),
        ),
        ("require", Some(Some(vec![1])), true, false, None),
        (
            "require",
            Some(Some(vec![1])),
            true,
            true,
            Some("SCRAM-SHA-256-PLUS"),
        ),
    ];
    for (mode, binding, plain, plus, expected) in table {
        let (mut startup, _, _) = begin(&format!("{TCP}?channel_binding={mode}"), false);
        startup.binding = binding;
        let mechanism = startup
            .choose_mechanism(plain, plus)
            .map(|(mechanism, _)| mechanism)
            .ok();
        assert_eq!(mechanism, expected, "{mode}");
    }
}

#[test]
fn the_kind_of_server_is_asked_for() {
    let table = [
        ("read-write", b't', false),
        ("read-write", b'f', true),
        ("read-only", b't', true),
        ("read-only", b'f', false),
    ];
    for (wanted, standby, accepted) in table {
        let (mut startup, _, _) = begin(&format!("{TCP}?target_session_attrs={wanted}"), false);
        assert_eq!(
            feed(&mut startup, &[(b'R', &auth(0, b"")), (b'Z', b"I")]),
            Ok(Next::Read)
        );
        let row = [0, 1, 0, 0, 0, 1, standby];
        let last = feed(
            &mut startup,
            &[
                (b'T', b""),
                (b'D', &row),
                (b'C', b"SELECT 1\0"),
                (b'Z', b"I"),
            ],
        );
        assert_eq!(last.is_ok(), accepted, "{wanted}: {last:?}");
    }
}

#[test]
fn a_pooler_shows_by_its_refusal() {
    let report = b"SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0";
    let (mut startup, _, _) = begin(TCP, false);
    assert!(matches!(
        feed(&mut startup, &[(b'E', report)]),
        Err(Refusal::Pooler(_))
    ));
    let mut out = BytesMut::new();
    let (mut startup, _) = Startup::begin(&settings(TCP), false, true, &mut out).unwrap();
    assert!(!out.windows(17).any(|window| window == b"statement_timeout"));
    assert!(matches!(
        feed(&mut startup, &[(b'E', report)]),
        Err(Refusal::Server(_))
    ));
}

#[test]
fn messages_out_of_place_end_the_attempt() {
    for message in [
        (b'Z', &b"I"[..]),
        (b'D', &[0, 0]),
        (b'?', b""),
        (b'K', &[0; 8]),
    ] {
        let (mut startup, _, _) = begin(TCP, false);
        assert!(
            feed(&mut startup, &[message]).is_err(),
            "{}",
            char::from(message.0)
        );
    }
}
