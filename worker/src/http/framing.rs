//! The fields that decide where a request ends and what happens to its connection, read strictly. Knows nothing of the rest of a head.

use super::error::HttpError;
use super::fields::{FramingField, trim};

/// The version that a request was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How a request's body is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Neither Content-Length nor Transfer-Encoding: there is no body.
    None,
    /// So many bytes; may be more than the limit, which the reader then answers with 413.
    Length(u64),
    /// Until the last chunk.
    Chunked,
}

/// What the framing fields of one head said.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
    connection: ConnectionOptions,
    /// An Expect line was there, and it was the one that we know.
    expectation: Option<bool>,
    session: bool,
}

impl FramingFields {
    /// Takes one line.
    pub(super) fn add(&mut self, field: FramingField, value: &[u8]) -> Result<(), HttpError> {
        match field {
            FramingField::Connection => self.connection.add(value),
            FramingField::ContentLength => {
                let before = self.length.replace(content_length(value)?);
                refuse_repeated(before.is_some(), "Content-Length")?;
            }
            FramingField::Expect => {
                let first = self.expectation.is_none();
                self.expectation = Some(first && value.eq_ignore_ascii_case(b"100-continue"));
            }
            FramingField::TransferEncoding => {
                transfer_encoding(value, self.chunked)?;
                self.chunked = true;
            }
            FramingField::SessionId => {
                refuse_repeated(std::mem::replace(&mut self.session, true), "Mcp-Session-Id")?;
            }
        }
        Ok(())
    }

    /// How the body is delimited. RFC 9112 section 6.1 lets a server answer both fields together with 400, and calls a
    /// transfer coding in HTTP/1.0 faulty framing.
    pub(super) fn content(&self, version: Version) -> Result<Content, HttpError> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(HttpError::LengthAndCoding),
            (None, true) if version == Version::Http10 => Err(HttpError::CodingOnHttp10),
            (None, true) => Ok(Content::Chunked),
            (Some(length), false) => Ok(Content::Length(length)),
            (None, false) => Ok(Content::None),
        }
    }

    /// RFC 9112 section 9.3: `close` wins, HTTP/1.1 persists, HTTP/1.0 only when it asks to.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.connection.close && (version == Version::Http11 || self.connection.keep_alive)
    }

    /// RFC 9110 section 10.1.1: other expectations may be refused, and in HTTP/1.0 all are ignored.
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, HttpError> {
        match self.expectation {
            Some(false) if version == Version::Http11 => Err(HttpError::Expectation),
            expectation => Ok(expectation.is_some() && version == Version::Http11),
        }
    }
}

/// For fields that mean nothing safe when there are two of them.
pub(super) fn refuse_repeated(repeated: bool, name: &'static str) -> Result<(), HttpError> {
    if repeated {
        Err(HttpError::Repeated(name))
    } else {
        Ok(())
    }
}

/// Reads Content-Length: digits only, where RFC 9110 section 8.6 would let a recipient repair a list of equal numbers. A number beyond
/// 64 bits saturates, which is beyond every limit.
fn content_length(value: &[u8]) -> Result<u64, HttpError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::ContentLength);
    }
    Ok(value.iter().fold(0u64, |length, digit| {
        length
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

/// Accepts exactly one `chunked` (RFC 9112 section 6.1): chunked twice, or not last, is malformed, and any other coding is
/// one that we do not implement.
fn transfer_encoding(value: &[u8], seen_before: bool) -> Result<(), HttpError> {
    if value.is_empty() || seen_before {
        return Err(HttpError::CodingOrder);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.split(|&b| b == b',').map(trim).rev();
    let last = codings.next().unwrap_or_default();
    let misplaced =
        codings.any(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"chunked"));
    if last.is_empty() || misplaced {
        Err(HttpError::CodingOrder)
    } else {
        Err(HttpError::CodingUnknown)
    }
}

/// What Connection asks for (RFC 9112 section 9.3); every other option is ignored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
}

impl ConnectionOptions {
    fn add(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_lengths() {
        let bad = Err(HttpError::ContentLength);
        let table: &[(&str, Result<u64, HttpError>)] = &[
            ("0", Ok(0)),
            ("007", Ok(7)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("99999999999999999999999", Ok(u64::MAX)),
            ("", bad),
            ("+1", bad),
            ("-1", bad),
            ("1,1", bad),
            ("1 1", bad),
            ("0x10", bad),
            ("1.0", bad),
            ("1_0", bad),
            ("a", bad),
        ];
        for (value, expected) in table {
            assert_eq!(content_length(value.as_bytes()), *expected, "{value}");
        }
    }

    #[test]
    fn transfer_encodings() {
        let table: &[(&str, Result<(), HttpError>)] = &[
            ("chunked", Ok(())),
            ("CHUNKED", Ok(())),
            ("", Err(HttpError::CodingOrder)),
            ("chunked,chunked", Err(HttpError::CodingOrder)),
            ("chunked, gzip", Err(HttpError::CodingOrder)),
            ("chunked,", Err(HttpError::CodingOrder)),
            (",chunked", Err(HttpError::CodingOrder)),
            ("gzip, chunked", Err(HttpError::CodingUnknown)),
            ("identity", Err(HttpError::CodingUnknown)),
            ("xchunked", Err(HttpError::CodingUnknown)),
            ("chunked;q=1", Err(HttpError::CodingUnknown)),
            ("\"chunked\"", Err(HttpError::CodingUnknown)),
        ];
        for (value, expected) in table {
            assert_eq!(
                transfer_encoding(value.as_bytes(), false),
                *expected,
                "{value}"
            );
        }
        assert_eq!(
            transfer_encoding(b"chunked", true),
            Err(HttpError::CodingOrder)
        );
    }

    #[test]
    fn connection_options() {
        let mut options = ConnectionOptions::default();
        options.add(b"Upgrade,\t KEEP-alive , closed");
        assert_eq!(
            options,
            ConnectionOptions {
                close: false,
                keep_alive: true
            }
        );
        options.add(b"x,Close");
        assert!(options.close);
    }
}
