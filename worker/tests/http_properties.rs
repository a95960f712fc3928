//! Properties of the request reader: however the bytes are cut the requests are the same, noise cannot make it panic, and it
//! never holds more than its limits. Knows nothing of single rules; the corpus has those.

use proptest::prelude::*;
use proptest::sample::Index;
use tine_worker::http::{Buffer, Content, HttpError, Limits, Progress, Reader, Stage};

const LIMITS: Limits = Limits {
    head_bytes: 2048,
    headers: 12,
    body_bytes: 3000,
    trailer_bytes: 64,
};

/// What a test compares of one request.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    method: String,
    path: String,
    content: Content,
    keep_alive: bool,
    accept: Option<String>,
    params: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Reads the pieces one after another; checks that nothing is held beyond the limits on the way.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<HttpError>, usize) {
    let mut reader = Reader::new();
    let mut buffer = Buffer::new();
    let mut seen = Vec::new();
    for piece in pieces {
        buffer.append(piece);
        loop {
            match reader.advance(&mut buffer, &LIMITS) {
                Ok(Progress::Incomplete(Stage::Head)) => {
                    assert!(
                        buffer.len() < LIMITS.head_bytes,
                        "a head is held that is too large"
                    );
                    break;
                }
                Ok(Progress::Incomplete(Stage::Body { received })) => {
                    assert!(buffer.is_empty(), "a body's bytes are taken as they come");
                    assert_eq!(received, reader.body().len());
                    assert!(
                        received <= LIMITS.body_bytes,
                        "a body is held that is too large"
                    );
                    break;
                }
                Ok(Progress::HeadDone) => {}
                Ok(Progress::Complete) => {
                    let body = reader.take_body();
                    assert!(body.len() <= LIMITS.body_bytes);
                    let head = reader.head().expect("the head of a complete request");
                    seen.push(Seen {
                        method: head.method_name().to_owned(),
                        path: head.path().to_owned(),
                        content: head.content(),
                        keep_alive: head.keep_alive(),
                        accept: head.accept().map(str::to_owned),
                        params: head
                            .mcp_params()
                            .map(|(name, value)| (name.to_owned(), value.to_owned()))
                            .collect(),
                        body,
                    });
                    assert!(reader.next_request());
                }
                Err(error) => return (seen, Some(error), 0),
            }
        }
    }
    (seen, None, buffer.len())
}

fn whole(bytes: &[u8]) -> (Vec<Seen>, Option<HttpError>, usize) {
    read(std::iter::once(bytes))
}

/// Cuts at each place, in any order and as often as given.
fn cut<'a>(bytes: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.sort_unstable();
    let mut start = 0;
    let mut pieces: Vec<&[u8]> = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..12)
}

fn blank() -> impl Strategy<Value = String> {
    "[ \t]{0,3}"
}

/// A body on the wire: its header line, its bytes, and what the reader must make of it.
fn body() -> impl Strategy<Value = (String, Vec<u8>, Content, Vec<u8>)> {
    let data = || prop::collection::vec(any::<u8>(), 0..300);
    let extension = "|;a|;a=b;c|;q=\"x \\\\\" y\"";
    let trailers = prop::collection::vec("[A-Za-z]{1,6}:[ !-~]{0,10}\r\n", 0..3);
    prop_oneof![
        Just((String::new(), Vec::new(), Content::None, Vec::new())),
        (data(), blank()).prop_map(|(data, blank)| {
            let line = format!("Content-Length:{blank}{}{blank}\r\n", data.len());
            (line, data.clone(), Content::Length(data.len() as u64), data)
        }),
        (prop::collection::vec((data(), extension), 0..5), trailers).prop_map(
            |(chunks, trailers)| {
                let mut wire = Vec::new();
                let mut body = Vec::new();
                for (data, extension) in chunks.iter().filter(|(data, _)| !data.is_empty()) {
                    wire.extend(format!("{:03X}{extension}\r\n", data.len()).bytes());
                    wire.extend_from_slice(data);
                    wire.extend(b"\r\n");
                    body.extend_from_slice(data);
                }
                wire.extend(format!("0\r\n{}\r\n", trailers.concat()).bytes());
                (
                    "transfer-encoding: Chunked\r\n".to_owned(),
                    wire,
                    Content::Chunked,
                    body,
                )
            }
        ),
    ]
}

/// One valid request and what the reader must make of it.
fn request() -> impl Strategy<Value = (Vec<u8>, Seen)> {
    let accepts = prop::collection::vec("[a-z*]{1,8}/[a-z*]{1,8}", 0..3);
    let params = prop::collection::btree_map("[a-z]{1,5}", "[!-~]([ -~]{0,10}[!-~])?", 0..3);
    (
        "[A-Z]{1,9}",
        "/[a-zA-Z0-9_/]{0,20}",
        accepts,
        params,
        any::<bool>(),
        blank(),
        body(),
    )
        .prop_map(
            |(method, path, accepts, params, close, blank, (length, wire, content, body))| {
                let mut bytes = format!(
                    "{method} {path} HTTP/1.1\r\n{length}Host:{blank}localhost:80{blank}\r\n"
                );
                for accept in &accepts {
                    bytes += &format!("Accept:{blank}{accept}{blank}\r\n");
                }
                for (name, value) in &params {
                    bytes += &format!("Mcp-Param-{name}:{blank}{value}{blank}\r\n");
                }
                if close {
                    bytes += "Connection: x, close\r\n";
                }
                bytes += "\r\n";
                let seen = Seen {
                    method,
                    path,
                    content,
                    keep_alive: !close,
                    accept: (!accepts.is_empty()).then(|| accepts.join(", ")),
                    params: params.into_iter().collect(),
                    body,
                };
                ([bytes.into_bytes(), wire].concat(), seen)
            },
        )
}

fn requests() -> impl Strategy<Value = (Vec<u8>, Vec<Seen>)> {
    prop::collection::vec(request(), 1..4).prop_map(|requests| {
        let (bytes, seen): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        (bytes.concat(), seen)
    })
}

/// What parsers disagree about.
const NOISE: [&[u8]; 14] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b":",
    b"\t",
    b" ",
    b",",
    b";",
    b"0",
    b"\xff",
    b"\r\n\r\n",
    b"chunked",
    b"Content-Length: 1\r\n",
];

proptest! {
    #[test]
    fn pipelined_requests_are_read_whatever_the_cuts((bytes, expected) in requests(), cuts in cuts()) {
        prop_assert_eq!(whole(&bytes), (expected.clone(), None, 0));
        prop_assert_eq!(read(cut(&bytes, &cuts).into_iter()), (expected.clone(), None, 0));
        prop_assert_eq!(read(bytes.chunks(1)), (expected, None, 0));
    }

    #[test]
    fn damaged_requests_are_read_alike_whatever_the_cuts(
        (mut bytes, _) in requests(),
        damages in prop::collection::vec((any::<Index>(), prop::sample::select(&NOISE[..]), any::<bool>()), 1..4),
        cuts in cuts(),
    ) {
        for (place, noise, replace) in damages {
            let place = place.index(bytes.len());
            bytes.splice(place..place + usize::from(replace), noise.iter().copied());
        }
        let whole = whole(&bytes);
        prop_assert_eq!(read(cut(&bytes, &cuts).into_iter()), whole.clone());
        prop_assert_eq!(read(bytes.chunks(1)), whole);
    }

    #[test]
    fn any_bytes_are_survived_within_the_limits(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        prefix in prop::sample::select(&["", "GET /", "GET / HTTP/1.1\r\nHost: h\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"][..]),
        cuts in cuts(),
    ) {
        let bytes = [prefix.as_bytes(), &bytes].concat();
        let whole = whole(&bytes);
        prop_assert_eq!(read(cut(&bytes, &cuts).into_iter()), whole);
    }
}
