//! Why a request was refused: one typed list with status and wording. Knows nothing of how a reply looks.

use std::fmt;

use super::chunked::ChunkFault;

/// A request that cannot be read. The position of the next request is unknown or untrustworthy after each of them, so
/// the connection must be closed behind the reply (RFC 9112 section 9.3); nothing tries to find the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The first byte cannot begin a method.
    NotHttp,
    /// The first byte is that of a TLS handshake record.
    Tls,
    /// More than one empty line before the request.
    BlankLines,
    /// A line of the head ends in LF without CR.
    BareLf,
    /// A CR that no LF follows.
    BareCr,
    /// A NUL byte in the head.
    Nul,
    /// A header line that begins with white space (obs-fold, RFC 9112 section 5.2).
    FoldedLine,
    /// Not `METHOD SP TARGET SP VERSION`.
    RequestLine,
    /// Not `NAME:`: a bad byte, no name, or a space before the colon.
    HeaderName,
    /// A control character in a value.
    HeaderValue,
    /// More than one line of a field that must be single.
    Repeated(&'static str),
    /// The target is neither `/path` nor `http://authority/path`.
    TargetForm,
    /// The target has a byte that RFC 3986 does not allow there.
    TargetByte,
    /// A `%` without two hex digits, or escapes that are not UTF-8.
    TargetEscape,
    /// An escaped slash or control character.
    TargetHidden,
    /// A segment `.` or `..`, escaped or not.
    TargetDots,
    /// HTTP/1.1 without a Host line.
    HostMissing,
    /// Host, or the target's authority, is not `name` or `name:port`.
    HostInvalid,
    /// Content-Length is not a plain decimal number.
    ContentLength,
    /// Content-Length beside Transfer-Encoding.
    LengthAndCoding,
    /// Transfer-Encoding in an HTTP/1.0 request.
    CodingOnHttp10,
    /// Transfer-Encoding is empty, or has `chunked` anywhere but once and last.
    CodingOrder,
    /// The chunked body is malformed.
    Chunk(ChunkFault),
    /// The body is larger than `limit` bytes.
    BodyTooLarge {
        /// [`super::Limits::body_bytes`].
        limit: usize,
    },
    /// The request line is longer than `limit` bytes.
    TargetTooLong {
        /// In bytes, with its CRLF.
        limit: usize,
    },
    /// Expect is not exactly `100-continue`.
    Expectation,
    /// The head is larger than `limit` bytes.
    HeadTooLarge {
        /// [`super::Limits::head_bytes`].
        limit: usize,
    },
    /// More than `limit` header lines.
    TooManyHeaders {
        /// [`super::Limits::headers`].
        limit: usize,
    },
    /// The trailer section of a chunked body is larger than `limit` bytes.
    TrailerTooLarge {
        /// [`super::Limits::trailer_bytes`].
        limit: usize,
    },
    /// A transfer coding other than chunked.
    CodingUnknown,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
}

impl HttpError {
    /// The status code to answer with.
    pub fn status(self) -> u16 {
        match self {
            HttpError::BodyTooLarge { .. } => 413,
            HttpError::TargetTooLong { .. } => 414,
            HttpError::Expectation => 417,
            HttpError::HeadTooLarge { .. }
            | HttpError::TooManyHeaders { .. }
            | HttpError::TrailerTooLarge { .. } => 431,
            HttpError::CodingUnknown => 501,
            HttpError::Version => 505,
            _ => 400,
        }
    }
}

/// What was wrong, where, and what to do: fit to be shown to whoever wrote the client.
impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpError::NotHttp => "The request does not begin with a method name. Speak HTTP/1.1 to this port.",
            HttpError::Tls => "This port speaks plain HTTP, not TLS. Use http:// instead of https://.",
            HttpError::BlankLines => "Empty lines precede the request. Send the request line first.",
            HttpError::BareLf => "A line of the request head ends in LF alone. End lines with CR LF.",
            HttpError::BareCr => "The request head has a CR without LF. End lines with CR LF.",
            HttpError::Nul => "The request head has a NUL byte. Remove it.",
            HttpError::FoldedLine => "A header line begins with white space. Send each header on one line.",
            HttpError::RequestLine => "The request line is malformed. Send `METHOD /path HTTP/1.1` with single spaces.",
            HttpError::HeaderName => "A header name is malformed. Send `Name: value` without a space before the colon.",
            HttpError::HeaderValue => "A header value has a control character. Remove it.",
            HttpError::Repeated(name) => return write!(f, "The header {name} appears more than once. Send it once."),
            HttpError::TargetForm => "The request target is not a path. Send `/path`.",
            HttpError::TargetByte => "The request target has a character that a URL does not allow. Percent-encode it.",
            HttpError::TargetEscape => "The path has a bad percent-escape. Write `%` and two hex digits, encoding UTF-8.",
            HttpError::TargetHidden => "The path has an escaped slash or control character. Remove it.",
            HttpError::TargetDots => "The path has a `.` or `..` segment. Send the path without it.",
            HttpError::HostMissing => "The header Host is missing. HTTP/1.1 needs it: send `Host: name:port`.",
            HttpError::HostInvalid => "The host is malformed. Send `Host: name`, `Host: name:port` or `Host: [IPv6]:port`.",
            HttpError::ContentLength => "Content-Length is not a decimal number. Send the body's length in bytes, digits only.",
            HttpError::LengthAndCoding => "Content-Length and Transfer-Encoding are both present. Send one of them.",
            HttpError::CodingOnHttp10 => "Transfer-Encoding does not exist in HTTP/1.0. Use HTTP/1.1 or Content-Length.",
            HttpError::CodingOrder => "Transfer-Encoding is malformed. Send exactly `chunked`, once, or Content-Length.",
            HttpError::Chunk(fault) => return write!(f, "The chunked body is malformed: {fault}."),
            HttpError::BodyTooLarge { limit } => {
                return write!(f, "The body is larger than {limit} bytes. Send less.");
            }
            HttpError::TargetTooLong { limit } => {
                return write!(f, "The request line is longer than {limit} bytes. Shorten the URL.");
            }
            HttpError::Expectation => "The header Expect is not supported. Send `100-continue` or leave it out.",
            HttpError::HeadTooLarge { limit } => {
                return write!(f, "The request head is larger than {limit} bytes. Send fewer or shorter headers.");
            }
            HttpError::TooManyHeaders { limit } => {
                return write!(f, "The request has more than {limit} headers. Send fewer.");
            }
            HttpError::TrailerTooLarge { limit } => {
                return write!(f, "The trailers are larger than {limit} bytes. Leave them out.");
            }
            HttpError::CodingUnknown => "The transfer coding is not supported. Send `chunked` or Content-Length.",
            HttpError::Version => "The protocol version is not supported. Use HTTP/1.1 or HTTP/1.0.",
        })
    }
}

impl std::error::Error for HttpError {}
