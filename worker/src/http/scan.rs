//! Finds where a request head ends, and refuses bytes that only lenient parsers agree on. Knows lines, not headers.

use memchr::memchr3;

use super::error::HttpError;
use super::reader::Limits;

/// The longest request line, CRLF included. RFC 9112 section 3 asks for at least 8000 bytes.
pub(super) const REQUEST_LINE_BYTES: usize = 8 * 1024;

/// How far a head was searched. Each byte is looked at once, however the head arrives; because the search goes
/// strictly forward, the first fault found does not depend on how the bytes were split either.
#[derive(Debug)]
pub(super) struct HeadScan {
    /// Where to go on: everything before it is checked.
    next: usize,
    /// Where the current line begins.
    line: usize,
}

impl HeadScan {
    /// Before the first byte.
    pub(super) const START: HeadScan = HeadScan { next: 0, line: 0 };

    /// True once a byte of the head was looked at.
    pub(super) fn started(&self) -> bool {
        self.next > 0
    }

    /// Looks on in `unread`, which begins with the request line: the head's length with its empty line, or `None`
    /// until that arrived.
    pub(super) fn find_end(
        &mut self,
        unread: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, HttpError> {
        loop {
            let in_request_line = self.line == 0;
            let ceiling = if in_request_line {
                REQUEST_LINE_BYTES.min(limits.head_bytes)
            } else {
                limits.head_bytes
            };
            let visible = unread.get(..ceiling).unwrap_or(unread);
            let too_long = if in_request_line {
                HttpError::TargetTooLong { limit: ceiling }
            } else {
                HttpError::HeadTooLarge { limit: ceiling }
            };
            let unfinished = if visible.len() == ceiling {
                Err(too_long)
            } else {
                Ok(None)
            };

            let rest = visible.get(self.next..).unwrap_or_default();
            let Some(offset) = memchr3(b'\r', b'\n', 0, rest) else {
                self.next = visible.len();
                return unfinished;
            };
            let at = self.next + offset;
            match rest.get(offset..offset + 2) {
                Some(b"\r\n") => {}
                None if rest.get(offset) == Some(&b'\r') => {
                    self.next = at;
                    return unfinished;
                }
                _ => return Err(stray(rest.get(offset))),
            }
            if at == self.line {
                return Ok(Some(at + 2));
            }
            if !in_request_line && matches!(visible.get(self.line), Some(b' ' | b'\t')) {
                return Err(HttpError::FoldedLine);
            }
            self.next = at + 2;
            self.line = at + 2;
        }
    }
}

fn stray(byte: Option<&u8>) -> HttpError {
    match byte {
        Some(b'\n') => HttpError::BareLf,
        Some(b'\r') => HttpError::BareCr,
        _ => HttpError::Nul,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        { HeadScan::START }.find_end(bytes, &Limits::default())
    }

    #[test]
    fn the_end_is_the_first_empty_line() {
        assert_eq!(find(b"GET / HTTP/1.1\r\n\r\nGET"), Ok(Some(18)));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"), Ok(Some(24)));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
        assert_eq!(find(b"GET / HTTP/1.1\r"), Ok(None));
    }

    #[test]
    fn stray_bytes_are_refused() {
        assert_eq!(find(b"GET / HTTP/1.1\n"), Err(HttpError::BareLf));
        assert_eq!(find(b"GET / HTTP/1.1\r\r"), Err(HttpError::BareCr));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: \0"), Err(HttpError::Nul));
        assert_eq!(
            find(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n"),
            Err(HttpError::FoldedLine)
        );
    }

    #[test]
    fn a_head_may_fill_its_limit_but_not_pass_it() {
        let limits = Limits {
            head_bytes: 18,
            ..Limits::default()
        };
        let fits = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(
            { HeadScan::START }.find_end(fits, &limits),
            Ok(Some(fits.len()))
        );
        assert_eq!(
            { HeadScan::START }.find_end(b"GET / HTTP/1.1\r\nA:", &limits),
            Err(HttpError::HeadTooLarge { limit: 18 })
        );
        assert_eq!(
            { HeadScan::START }.find_end(b"GET /0123456789012", &limits),
            Err(HttpError::TargetTooLong { limit: 18 })
        );
    }
}
