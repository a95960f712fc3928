use super::*;

const SMALL: Limits = Limits {
    head_bytes: 256,
    headers: 8,
    body_bytes: 10_000,
    trailer_bytes: 16,
};

fn buffer(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::new();
    buffer.append(bytes);
    buffer
}

#[test]
fn a_request_passes_its_stages_in_order() {
    let mut reader = Reader::new();
    let mut bytes = Buffer::new();
    let mut feed = |reader: &mut Reader, more: &[u8]| {
        bytes.append(more);
        reader.advance(&mut bytes, &SMALL)
    };
    assert_eq!(
        feed(&mut reader, b""),
        Ok(Progress::Incomplete(Stage::Head))
    );
    assert_eq!(
        feed(&mut reader, b"\r\n"),
        Ok(Progress::Incomplete(Stage::Head))
    );
    assert!(!reader.started(), "an empty line is no request yet");
    assert_eq!(
        feed(&mut reader, b"POST /mcp HTTP/1.1\r\nHost: h\r\n"),
        Ok(Progress::Incomplete(Stage::Head))
    );
    assert!(reader.started());
    assert!(reader.head().is_none());
    assert_eq!(
        feed(
            &mut reader,
            b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        ),
        Ok(Progress::HeadDone)
    );
    assert_eq!(reader.head().map(Head::path), Some("/mcp"));
    assert_eq!(
        feed(&mut reader, b""),
        Ok(Progress::Incomplete(Stage::Body { received: 0 }))
    );
    assert_eq!(reader.head().map(Head::expect_continue), Some(true));
    assert_eq!(
        feed(&mut reader, b"ab"),
        Ok(Progress::Incomplete(Stage::Body { received: 2 }))
    );
    assert!(!reader.next_request(), "the rest of the body is no request");
    assert_eq!(feed(&mut reader, b"cdGET /2"), Ok(Progress::Complete));
    assert_eq!(feed(&mut reader, b" HTTP/1.1"), Ok(Progress::Complete));
    assert_eq!(reader.take_body(), b"abcd");
    assert_eq!(
        reader.head().map(Head::path),
        Some("/mcp"),
        "the head stays for the reply"
    );
    assert!(reader.next_request());
    assert!(!reader.started());
    assert!(reader.head().is_none());
    assert_eq!(
        feed(&mut reader, b"\r\nHost: h\r\n\r\n"),
        Ok(Progress::HeadDone)
    );
    assert_eq!(reader.head().map(Head::path), Some("/2"));
    assert_eq!(feed(&mut reader, b""), Ok(Progress::Complete));
}

#[test]
fn an_announced_body_is_refused_behind_its_head() {
    let mut bytes = buffer(b"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 10001\r\n\r\n");
    let mut reader = Reader::new();
    assert_eq!(reader.advance(&mut bytes, &SMALL), Ok(Progress::HeadDone));
    assert_eq!(reader.head().map(Head::path), Some("/nowhere"));
    let error = HttpError::BodyTooLarge { limit: 10_000 };
    assert_eq!(reader.advance(&mut bytes, &SMALL), Err(error));
    assert_eq!(reader.advance(&mut bytes, &SMALL), Err(error));
}

#[test]
fn memory_follows_what_arrived_and_not_what_was_announced() {
    let mut reader = Reader::new();
    let limits = Limits::default();
    let mut bytes = buffer(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\nx");
    assert_eq!(reader.advance(&mut bytes, &limits), Ok(Progress::HeadDone));
    let progress = reader.advance(&mut bytes, &limits);
    assert_eq!(
        progress,
        Ok(Progress::Incomplete(Stage::Body { received: 1 }))
    );
    assert!(reader.body.capacity() <= FIRST_ALLOCATION);
}

#[test]
fn a_body_never_allocates_beyond_its_limit() {
    let heads: [&[u8]; 2] = [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n",
    ];
    for head in heads {
        let mut reader = Reader::new();
        let mut bytes = buffer(head);
        assert_eq!(reader.advance(&mut bytes, &SMALL), Ok(Progress::HeadDone));
        for received in 1..10_000 {
            bytes.append(b"x");
            let progress = reader.advance(&mut bytes, &SMALL);
            assert_eq!(progress, Ok(Progress::Incomplete(Stage::Body { received })));
            assert!(reader.body.capacity() <= SMALL.body_bytes);
        }
    }
}

#[test]
fn an_idle_connection_keeps_little() {
    let mut reader = Reader::new();
    let mut bytes = buffer(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n");
    bytes.append(&[b'x'; 10_000]);
    assert_eq!(reader.advance(&mut bytes, &SMALL), Ok(Progress::HeadDone));
    assert_eq!(reader.advance(&mut bytes, &SMALL), Ok(Progress::Complete));
    assert!(reader.next_request());
    assert!(reader.body.capacity() <= KEPT_BODY);
}

#[test]
fn trailers_and_headers_have_limits_of_their_own() {
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let table = [
        (
            format!("{chunked}A: 01234567890\r\n\r\n"),
            Some(HttpError::TrailerTooLarge { limit: 16 }),
        ),
        (format!("{chunked}A: 012345678\r\n\r\n"), None),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(8)),
            Some(HttpError::TooManyHeaders { limit: 8 }),
        ),
    ];
    for (text, expected) in table {
        let mut bytes = buffer(text.as_bytes());
        let mut reader = Reader::new();
        let error = loop {
            match reader.advance(&mut bytes, &SMALL) {
                Err(error) => break Some(error),
                Ok(Progress::HeadDone) => {}
                Ok(_) => break None,
            }
        };
        assert_eq!(error, expected, "{text:?}");
    }
}

#[test]
fn a_head_shown_for_debugging_hides_the_token() {
    let mut bytes = buffer(b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer secret\r\n\r\n");
    let mut reader = Reader::new();
    assert_eq!(reader.advance(&mut bytes, &SMALL), Ok(Progress::HeadDone));
    let shown = format!("{reader:?}");
    assert!(
        shown.contains("Head {") && !shown.contains("secret"),
        "{shown}"
    );
}
