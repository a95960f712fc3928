//! Renders a reply, head and body in one piece. Knows nothing of what replies say.

use super::framing::Version;

/// The interim reply that lets an expecting client send its body (RFC 9110 section 15.2.1). For HTTP/1.1 only.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How a reply must be framed for the request that it answers; [`super::Head::framing`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The request's version.
    pub version: Version,
    /// The connection goes on behind the reply. Set it false to announce the close.
    pub keep_alive: bool,
    /// A reply to HEAD: all headers, no body (RFC 9110 section 9.3.2).
    pub head_only: bool,
}

impl Framing {
    /// For a reply to bytes in which no request could be read.
    pub const UNREADABLE: Framing = Framing {
        version: Version::Http11,
        keep_alive: false,
        head_only: false,
    };

    /// The same, but the connection closes behind the reply.
    #[must_use]
    pub fn closing(self) -> Framing {
        Framing {
            keep_alive: false,
            ..self
        }
    }

    /// The Connection header, where the version's default does not say the same (RFC 9112 section 9.3).
    pub(super) fn connection(self) -> &'static [u8] {
        match (self.keep_alive, self.version) {
            (false, _) => b"Connection: close\r\n",
            (true, Version::Http10) => b"Connection: keep-alive\r\n",
            (true, Version::Http11) => b"",
        }
    }
}

/// A reply with a body of known length.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The status code, three digits.
    pub status: u16,
    /// Content-Type; empty for a reply without a body.
    pub content_type: &'a str,
    /// Further headers, for example `("Allow", "POST")`. Control characters in values become spaces.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body in parts that are sent one behind the other: prepared bytes need not be joined first.
    pub body: &'a [&'a [u8]],
}

impl<'a> Reply<'a> {
    /// A reply without headers or body; set the rest with struct update syntax.
    pub const fn new(status: u16) -> Reply<'a> {
        Reply {
            status,
            content_type: "",
            headers: &[],
            body: &[],
        }
    }

    /// A JSON reply.
    pub const fn json(status: u16, body: &'a [&'a [u8]]) -> Reply<'a> {
        Reply {
            status,
            content_type: "application/json",
            headers: &[],
            body,
        }
    }

    /// Appends the whole reply to `out`, so that one write can send it: head and body in two small writes meet Nagle's
    /// algorithm and delayed acknowledgement. `date` comes from [`super::Date`]; empty leaves it out.
    ///
    /// Status 204 has no length and no body; a reply to HEAD has the length but no body (RFC 9110 section 8.6).
    pub fn render(&self, framing: Framing, date: &str, out: &mut Vec<u8>) {
        let length: usize = self.body.iter().map(|part| part.len()).sum();
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        out.reserve(256 + length);
        begin(self.status, framing, date, out);
        if !self.content_type.is_empty() && !bodiless {
            header("Content-Type", self.content_type, out);
        }
        if !bodiless {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        for (name, value) in self.headers {
            header(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
        if !bodiless && !framing.head_only {
            for part in self.body {
                out.extend_from_slice(part);
            }
        }
    }
}

/// Status line, Date and Connection: what every final reply begins with.
pub(super) fn begin(status: u16, framing: Framing, date: &str, out: &mut Vec<u8>) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        decimal(usize::from(status), out);
        out.push(b' ');
        out.extend_from_slice(reason(status).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !date.is_empty() {
        header("Date", date, out);
    }
    out.extend_from_slice(framing.connection());
}

/// One header line. A control character in a value would let it begin another line, so each becomes a space.
pub(super) fn header(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in out
        .iter_mut()
        .skip(start)
        .filter(|byte| byte.is_ascii_control())
    {
        *byte = b' ';
    }
    out.extend_from_slice(b"\r\n");
}

fn decimal(mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// The reason phrase of a status code (RFC 9110 section 15); empty for one that is never sent here.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Framing = Framing {
        version: Version::Http11,
        keep_alive: true,
        head_only: false,
    };

    fn rendered(reply: &Reply<'_>, framing: Framing, date: &str) -> String {
        let mut out = Vec::new();
        reply.render(framing, date, &mut out);
        String::from_utf8(out).expect("replies here are ASCII")
    }

    #[test]
    fn a_reply_is_one_piece() {
        let reply = Reply::json(200, &[b"{\"a\":", b"1}"]);
        assert_eq!(
            rendered(&reply, OPEN, "D"),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
        );
    }

    #[test]
    fn connection_is_said_where_the_version_does_not_imply_it() {
        let table = [
            (Version::Http11, true, ""),
            (Version::Http11, false, "Connection: close\r\n"),
            (Version::Http10, true, "Connection: keep-alive\r\n"),
            (Version::Http10, false, "Connection: close\r\n"),
        ];
        for (version, keep_alive, line) in table {
            let framing = Framing {
                version,
                keep_alive,
                head_only: false,
            };
            assert_eq!(
                rendered(&Reply::new(202), framing, ""),
                format!("HTTP/1.1 202 Accepted\r\n{line}Content-Length: 0\r\n\r\n")
            );
        }
    }

    #[test]
    fn statuses_and_methods_without_a_body() {
        let reply = Reply {
            headers: &[("Allow", "POST")],
            ..Reply::json(405, &[b"{}"])
        };
        assert_eq!(
            rendered(
                &reply,
                Framing {
                    head_only: true,
                    ..OPEN
                },
                ""
            ),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 2\r\nAllow: POST\r\n\r\n"
        );
        assert_eq!(
            rendered(&Reply::json(204, &[b"{}"]), OPEN, ""),
            "HTTP/1.1 204 No Content\r\n\r\n"
        );
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        let reply = Reply {
            headers: &[("X", "a\r\nSet-Cookie: b\0\tc")],
            ..Reply::new(200)
        };
        assert_eq!(
            rendered(&reply, OPEN, ""),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a  Set-Cookie: b  c\r\n\r\n"
        );
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 4_194_304, usize::MAX] {
            let mut out = Vec::new();
            decimal(number, &mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn an_unreadable_request_is_answered_closing() {
        assert_eq!(
            rendered(&Reply::new(400), Framing::UNREADABLE, ""),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
