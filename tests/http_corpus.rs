//! Runs the HTTP corpus through the request reader: whole, byte by byte, and cut in two at every place. The format is
//! described in `corpus/README.md`; [`cases`] reads it for other tests too. Knows nothing of sockets.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tine_worker::http::{Buffer, Head, HttpError, Limits, Progress, Reader, Version};

/// One connection of the corpus.
pub struct Case {
    pub name: String,
    /// What the client sends.
    pub bytes: Vec<u8>,
    /// The expectation without its comments.
    pub expectation: String,
}

/// All cases of `valid` or `invalid`, by name.
pub fn cases(kind: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the corpus folder")
        .map(|entry| entry.expect("a corpus entry").path())
        .collect();
    files.sort();
    let (requests, expectations): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|path| path.extension().is_some_and(|e| e == "http"));
    let siblings: Vec<_> = requests
        .iter()
        .map(|path| path.with_extension("expect"))
        .collect();
    assert_eq!(
        siblings, expectations,
        "each .http file in {kind} has its .expect file, and nothing else is there"
    );
    requests
        .iter()
        .zip(expectations)
        .map(|(request, expectation)| read_case(request, &expectation))
        .collect()
}

fn read_case(request: &Path, expectation: &Path) -> Case {
    let text = fs::read_to_string(request).expect("a request file");
    let expectation = fs::read_to_string(expectation).expect("an expectation file");
    let name = request
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Case {
        bytes: unescape(&text).unwrap_or_else(|fault| panic!("{name}.http: {fault}")),
        expectation: expectation
            .lines()
            .filter(|line| !line.starts_with('#'))
            .fold(String::new(), |all, line| all + line + "\n"),
        name,
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => {}
            '\\' => match rest.next() {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('0') => bytes.push(0),
                Some('\\') => bytes.push(b'\\'),
                Some('x') => {
                    let (digits, tail) =
                        rest.as_str().split_at_checked(2).ok_or("\\x at the end")?;
                    bytes.push(u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits}"))?);
                    rest = tail.chars();
                }
                Some('{') => {
                    let (inside, tail) = rest.as_str().split_once('}').ok_or("\\{ without }")?;
                    let (count, repeated) = inside.split_once(':').ok_or("\\{ without :")?;
                    let count = count.parse().map_err(|_| format!("\\{{{count}"))?;
                    bytes.extend_from_slice(repeated.repeat(count).as_bytes());
                    rest = tail.chars();
                }
                other => return Err(format!("unknown escape {other:?}")),
            },
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(bytes)
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            0 => text.push_str("\\0"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
        text
    })
}

/// What came of a connection, in the words of an expectation file.
#[derive(Default)]
struct Outcome {
    requests: String,
    count: usize,
    /// The error, or bytes that are left over without being a request.
    end: Option<String>,
}

/// Feeds the pieces one after another, taking every request as soon as it is complete.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let limits = Limits::default();
    let mut reader = Reader::new();
    let mut buffer = Buffer::new();
    let mut outcome = Outcome::default();
    for piece in pieces {
        buffer.append(piece);
        loop {
            match reader.advance(&mut buffer, &limits) {
                Ok(Progress::Incomplete(_)) => break,
                Ok(Progress::HeadDone) => {}
                Ok(Progress::Complete) => {
                    let body = reader.body().to_vec();
                    describe(
                        reader.head().expect("the head of a complete request"),
                        &body,
                        &mut outcome.requests,
                    );
                    outcome.count += 1;
                    assert!(reader.next_request());
                }
                Err(error) => {
                    assert_eq!(
                        reader.advance(&mut buffer, &limits),
                        Err(error),
                        "an error stays"
                    );
                    assert!(!reader.next_request(), "nothing follows an error");
                    outcome.end = Some(refusal(outcome.count, error));
                    return outcome;
                }
            }
        }
    }
    if reader.started() || !buffer.is_empty() {
        outcome.end = Some(format!("incomplete, {} bytes unread\n", buffer.len()));
    }
    outcome
}

fn refusal(after: usize, error: HttpError) -> String {
    let after = if after == 0 {
        String::new()
    } else {
        format!("after {after}\n")
    };
    format!("{after}status {}\nerror {error:?}\n", error.status())
}

fn describe(head: &Head, body: &[u8], out: &mut String) {
    let version = match head.version() {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.push_str(format!("{name} {value}").trim_end());
            out.push('\n');
        }
    };
    line(
        "request",
        Some(&format!("{} {} {version}", head.method_name(), head.path())),
    );
    line("query", head.query());
    line("host", head.host());
    line("origin", head.origin());
    line("content-type", head.content_type());
    line("authorization", head.authorization());
    line("accept", head.accept());
    line("accept-encoding", head.accept_encoding());
    line("forwarded-for", head.forwarded_for());
    line("mcp-protocol-version", head.mcp_protocol_version());
    line("mcp-method", head.mcp_method());
    line("mcp-name", head.mcp_name());
    for (name, value) in head.mcp_params() {
        line("mcp-param", Some(&format!("{name} {value}")));
    }
    line(
        "keep-alive",
        Some(if head.keep_alive() { "yes" } else { "no" }),
    );
    line("expect-continue", head.expect_continue().then_some("yes"));
    if body.len() > 200 {
        let digest = Sha256::digest(body)
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        line("body-length", Some(&body.len().to_string()));
        line("body-sha256", Some(&digest));
    } else if !body.is_empty() {
        line("body", Some(&escape(body)));
    }
}

/// Every way of cutting that a case is tried with: equal pieces, and for small cases two pieces cut at every place.
fn cuts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let sizes: &[usize] = if bytes.len() <= 64 * 1024 {
        &[1, 2, 3, 7, 1000]
    } else {
        &[1000, 16 * 1024, 65_537]
    };
    let mut cuts: Vec<Vec<&[u8]>> = sizes
        .iter()
        .map(|&size| bytes.chunks(size).collect())
        .collect();
    if bytes.len() <= 4096 {
        cuts.extend((1..bytes.len()).map(|at| {
            let (first, second) = bytes.split_at(at);
            vec![first, second]
        }));
    }
    cuts
}

/// What is wrong with a case: the outcome of the whole, or a cut that changes it.
fn fault(case: &Case, said: impl Fn(Outcome) -> String) -> Option<String> {
    let whole = said(read(std::iter::once(&case.bytes[..])));
    if whole != case.expectation {
        return Some(format!(
            "{}\nexpected:\n{}\nread:\n{whole}",
            case.name, case.expectation
        ));
    }
    cuts(&case.bytes).into_iter().find_map(|cut| {
        let sizes: Vec<_> = cut.iter().take(8).map(|piece| piece.len()).collect();
        let cut = said(read(cut.into_iter()));
        (cut != whole).then(|| format!("{}, cut {sizes:?}...\nread:\n{cut}", case.name))
    })
}

fn check(kind: &str, at_least: usize, said: impl Fn(Outcome) -> String) {
    let cases = cases(kind);
    assert!(
        cases.len() >= at_least,
        "only {} cases in {kind}",
        cases.len()
    );
    let faults: Vec<_> = cases.iter().filter_map(|case| fault(case, &said)).collect();
    assert!(
        faults.is_empty(),
        "{} of {} cases:\n\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn valid_requests_are_read() {
    check("valid", 40, |outcome| {
        outcome.requests + &outcome.end.unwrap_or_default()
    });
}

#[test]
fn invalid_requests_are_refused() {
    check("invalid", 60, |outcome| {
        outcome
            .end
            .unwrap_or_else(|| format!("accepted:\n{}", outcome.requests))
    });
}
