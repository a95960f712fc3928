//! A reply that is a stream of server-sent events (WHATWG HTML, section 9.2). Knows nothing of what the events say.

use memchr::memchr2;

use super::chunked::{LAST_CHUNK, enclose};
use super::framing::Version;
use super::reply::{Framing, begin, header};

/// An open event stream: chunked for HTTP/1.1, ended by the connection's close for HTTP/1.0, which knows no chunks
/// (RFC 9112 section 6.1). Each call appends bytes that are complete in themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStream {
    chunked: bool,
    keep_alive: bool,
}

impl EventStream {
    /// Appends the head of status 200. `X-Accel-Buffering: no` keeps a proxy from holding events back (MCP asks for it). `headers` and
    /// `date` as in [`super::Reply`].
    pub fn open(
        framing: Framing,
        headers: &[(&str, &str)],
        date: &str,
        out: &mut Vec<u8>,
    ) -> EventStream {
        let chunked = framing.version == Version::Http11;
        let keep_alive = framing.keep_alive && chunked;
        begin(
            200,
            Framing {
                keep_alive,
                ..framing
            },
            date,
            out,
        );
        header("Content-Type", "text/event-stream", out);
        header("Cache-Control", "no-cache", out);
        header("X-Accel-Buffering", "no", out);
        if chunked {
            header("Transfer-Encoding", "chunked", out);
        }
        for (name, value) in headers {
            header(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
        EventStream {
            chunked,
            keep_alive,
        }
    }

    /// True when another request may follow on the connection behind [`EventStream::finish`].
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Appends one event of type `message` whose data is the parts, one behind the other. A line break in them becomes a further `data` line,
    /// which the client joins again by LF.
    pub fn event(&self, data: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"event: message\ndata: ");
        let mut after_cr = false;
        for part in data {
            let mut rest = *part;
            while !rest.is_empty() {
                if std::mem::take(&mut after_cr) && rest.first() == Some(&b'\n') {
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                let (line, tail) = rest.split_at(end);
                out.extend_from_slice(line);
                if let Some((&end_of_line, tail)) = tail.split_first() {
                    out.extend_from_slice(b"\ndata: ");
                    after_cr = end_of_line == b'\r';
                    rest = tail;
                } else {
                    rest = tail;
                }
            }
        }
        out.extend_from_slice(b"\n\n");
        self.frame(start, out);
    }

    /// Appends a comment, which clients ignore: it keeps proxies and time-outs quiet. Line breaks in `text` become spaces.
    pub fn comment(&self, text: &str, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b": ");
        out.extend(text.bytes().map(|byte| {
            if matches!(byte, b'\r' | b'\n') {
                b' '
            } else {
                byte
            }
        }));
        out.extend_from_slice(b"\n\n");
        self.frame(start, out);
    }

    /// Appends what ends the stream; without chunks that is nothing but the close to come.
    pub fn finish(&self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(LAST_CHUNK);
        }
    }

    fn frame(&self, start: usize, out: &mut Vec<u8>) {
        if self.chunked {
            enclose(out, start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).expect("streams here are ASCII")
    }

    const OPEN: Framing = Framing {
        version: Version::Http11,
        keep_alive: true,
        head_only: false,
    };

    #[test]
    fn chunks_on_http11() {
        let mut out = Vec::new();
        let stream = EventStream::open(OPEN, &[("A", "b")], "", &mut out);
        assert!(stream.keep_alive());
        stream.comment("still\nhere", &mut out);
        stream.event(&[b"{\"a\":", b"1}"], &mut out);
        stream.finish(&mut out);
        assert_eq!(
            text(out),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n\
             Transfer-Encoding: chunked\r\nA: b\r\n\r\n\
             e\r\n: still here\n\n\r\n1e\r\nevent: message\ndata: {\"a\":1}\n\n\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn the_close_ends_it_on_http10() {
        let mut out = Vec::new();
        let stream = EventStream::open(
            Framing {
                version: Version::Http10,
                ..OPEN
            },
            &[],
            "",
            &mut out,
        );
        assert!(!stream.keep_alive());
        stream.event(&[b"x"], &mut out);
        stream.finish(&mut out);
        assert_eq!(
            text(out),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
             X-Accel-Buffering: no\r\n\r\nevent: message\ndata: x\n\n"
        );
    }

    #[test]
    fn line_breaks_become_data_lines() {
        let stream = EventStream {
            chunked: false,
            keep_alive: false,
        };
        let table: &[(&[&[u8]], &str)] = &[
            (&[b"a\nb"], "a\ndata: b"),
            (&[b"a\r\nb"], "a\ndata: b"),
            (&[b"a\r", b"\nb"], "a\ndata: b"),
            (&[b"a\rb"], "a\ndata: b"),
            (&[b"a\n\nb"], "a\ndata: \ndata: b"),
            (&[b"a\r", b"", b"b\n"], "a\ndata: b\ndata: "),
            (&[], ""),
        ];
        for (data, lines) in table {
            let mut out = Vec::new();
            stream.event(data, &mut out);
            assert_eq!(text(out), format!("event: message\ndata: {lines}\n\n"));
        }
    }
}
