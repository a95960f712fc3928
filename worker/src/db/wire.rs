//! Reads PostgreSQL's messages out of a byte slice, without copying them. Knows the message formats
//! (PostgreSQL manual, 55.7 "Message Formats") and nothing of what a message means for a call.
//!
//! `postgres-protocol` decodes into reference-counted buffers, one per message; a row's bytes are only copied
//! once here, into the result, so we keep its tags and its encoder and read the few formats in place.

use std::fmt;

use postgres_protocol::message::backend::Header;
pub(super) use postgres_protocol::message::backend::{
    AUTHENTICATION_TAG, BACKEND_KEY_DATA_TAG, BIND_COMPLETE_TAG, CLOSE_COMPLETE_TAG,
    COMMAND_COMPLETE_TAG, COPY_IN_RESPONSE_TAG, COPY_OUT_RESPONSE_TAG, DATA_ROW_TAG,
    EMPTY_QUERY_RESPONSE_TAG, ERROR_RESPONSE_TAG, NOTICE_RESPONSE_TAG, NOTIFICATION_RESPONSE_TAG,
    PARAMETER_STATUS_TAG, PARSE_COMPLETE_TAG, PORTAL_SUSPENDED_TAG, READY_FOR_QUERY_TAG,
    ROW_DESCRIPTION_TAG,
};

use super::job::{Notice, ServerError};

/// NegotiateProtocolVersion; ours is 3.0, so a server sends it only for unknown `_pq_.` options, which we never use.
pub(super) const NEGOTIATE_TAG: u8 = b'v';
/// CopyBothResponse (streaming replication).
pub(super) const COPY_BOTH_RESPONSE_TAG: u8 = b'W';

/// The peer broke the protocol: nothing more on this connection can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) &'static str);

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server does not speak the PostgreSQL protocol as expected: {}",
            self.0
        )
    }
}

/// The front of a buffer of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front<'a> {
    /// A whole message, and how many bytes of the buffer it takes.
    Message {
        tag: u8,
        body: &'a [u8],
        size: usize,
    },
    /// Not yet a whole message; it will take `size` bytes (5 while even its length is unknown).
    Partial { size: usize },
}

/// Looks at the front of `bytes`.
pub(super) fn front(bytes: &[u8]) -> Result<Front<'_>, Garbled> {
    match Header::parse(bytes) {
        Ok(None) => Ok(Front::Partial { size: 5 }),
        Ok(Some(header)) => {
            // Checked by Header::parse: at least 4.
            let size = header.len().unsigned_abs() as usize + 1;
            match bytes.get(5..size) {
                Some(body) => Ok(Front::Message {
                    tag: header.tag(),
                    body,
                    size,
                }),
                None => Ok(Front::Partial { size }),
            }
        }
        Err(_) => Err(Garbled("a message shorter than its own length field")),
    }
}

/// Takes a big-endian integer off the front.
pub(super) fn take_i32(bytes: &mut &[u8]) -> Result<i32, Garbled> {
    let (value, rest) = bytes
        .split_first_chunk()
        .ok_or(Garbled("a message ends too early"))?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*value))
}

/// Takes a zero-terminated string off the front.
pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Garbled> {
    let end = memchr::memchr(0, bytes).ok_or(Garbled("a text without its end"))?;
    let (text, rest) = bytes.split_at(end);
    *bytes = &rest[1..];
    Ok(text)
}

/// The columns of a DataRow, in order; `None` is NULL.
pub(super) struct Columns<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> Columns<'a> {
    pub(super) fn of(body: &'a [u8]) -> Result<Columns<'a>, Garbled> {
        let (count, bytes) = body
            .split_first_chunk()
            .ok_or(Garbled("a row without a column count"))?;
        Ok(Columns {
            left: u16::from_be_bytes(*count),
            bytes,
        })
    }

    /// Columns that `next` has not yielded yet.
    pub(super) fn left(&self) -> u16 {
        self.left
    }

    /// The bytes of the columns not yielded yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Columns whose count and bytes were kept apart from their row.
    pub(super) fn from_parts(left: u16, bytes: &'a [u8]) -> Columns<'a> {
        Columns { left, bytes }
    }

    pub(super) fn next(&mut self) -> Result<Option<Option<&'a [u8]>>, Garbled> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match usize::try_from(take_i32(&mut self.bytes)?) {
            Err(_) => Ok(Some(None)),
            Ok(length) => {
                let (value, rest) = self
                    .bytes
                    .split_at_checked(length)
                    .ok_or(Garbled("a row ends too early"))?;
                self.bytes = rest;
                Ok(Some(Some(value)))
            }
        }
    }
}

/// The row count at the end of a command tag: `INSERT 0 3` is 3, `SET` is 0.
pub(super) fn command_rows(body: &[u8]) -> u64 {
    let text = body.strip_suffix(&[0]).unwrap_or(body);
    let digits = text.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// ErrorResponse or NoticeResponse: the fields, and the severity in English (`ERROR`, `FATAL`, `NOTICE`, ...).
pub(super) struct Report {
    pub(super) severity: String,
    pub(super) error: ServerError,
}

impl Report {
    /// Fields by "Error and Notice Message Fields", 55.8 of the manual. Unknown ones are skipped, as it asks.
    pub(super) fn of(mut body: &[u8]) -> Result<Report, Garbled> {
        let mut severity = String::new();
        let mut error = ServerError::default();
        while let Some((&field, rest)) = body.split_first() {
            if field == 0 {
                break;
            }
            body = rest;
            let text = String::from_utf8_lossy(take_text(&mut body)?).into_owned();
            match field {
                // 'V' is never translated, but servers before 9.6 and some poolers have only 'S'.
                b'S' if severity.is_empty() => severity = text,
                b'V' => severity = text,
                b'C' => error.sqlstate = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'P' => error.position = text.parse().ok(),
                b's' => error.schema = Some(text),
                b't' => error.table = Some(text),
                b'c' => error.column = Some(text),
                b'n' => error.constraint = Some(text),
                _ => {}
            }
        }
        Ok(Report { severity, error })
    }

    /// The server closes the connection after this report.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    pub(super) fn into_notice(self) -> Notice {
        Notice {
            severity: self.severity,
            sqlstate: self.error.sqlstate,
            message: self.error.message,
            detail: self.error.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_message_is_whole_or_says_how_much_it_needs() {
        let bytes = message(b'C', b"SELECT 1\0");
        for cut in 0..bytes.len() {
            let expected = if cut < 5 { 5 } else { bytes.len() };
            assert_eq!(
                front(&bytes[..cut]).unwrap(),
                Front::Partial { size: expected },
                "cut at {cut}"
            );
        }
        assert_eq!(
            front(&bytes).unwrap(),
            Front::Message {
                tag: b'C',
                body: b"SELECT 1\0",
                size: bytes.len()
            }
        );
        assert!(front(&[b'C', 0, 0, 0, 3]).is_err());
        assert!(front(&[b'C', 0xff, 0, 0, 3]).is_err());
    }

    #[test]
    fn command_tags() {
        let table: [(&[u8], u64); 5] = [
            (b"INSERT 0 3\0", 3),
            (b"SELECT 12\0", 12),
            (b"SET\0", 0),
            (b"", 0),
            (b"UPDATE 0\0", 0),
        ];
        for (body, rows) in table {
            assert_eq!(command_rows(body), rows);
        }
    }

    #[test]
    fn rows_have_values_nulls_and_bounds() {
        let mut columns =
            Columns::of(&[0, 3, 0, 0, 0, 1, b'x', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).unwrap();
        assert_eq!(columns.next(), Ok(Some(Some(&b"x"[..]))));
        assert_eq!(columns.next(), Ok(Some(None)));
        assert_eq!(columns.next(), Ok(Some(Some(&b""[..]))));
        assert_eq!(columns.next(), Ok(None));
        assert!(
            Columns::of(&[0, 1, 0, 0, 0, 9, b'x'])
                .unwrap()
                .next()
                .is_err()
        );
        assert!(Columns::of(&[0, 1]).unwrap().next().is_err());
        assert!(Columns::of(&[0]).is_err());
    }

    #[test]
    fn reports_keep_the_fields_a_caller_can_use() {
        let body = b"SFEHLER\0VERROR\0C23505\0Mduplicate\0Ddetail\0Hhint\0P17\0spublic\0tticket\0cid\0nticket_pkey\0Rroutine\0\0";
        let report = Report::of(body).unwrap();
        assert!(!report.is_fatal());
        assert_eq!(report.severity, "ERROR");
        let expected = ServerError {
            sqlstate: "23505".into(),
            message: "duplicate".into(),
            detail: Some("detail".into()),
            hint: Some("hint".into()),
            position: Some(17),
            schema: Some("public".into()),
            table: Some("ticket".into()),
            column: Some("id".into()),
            constraint: Some("ticket_pkey".into()),
        };
        assert_eq!(report.error, expected);
        assert!(Report::of(b"SFATAL\0C57P01\0\0").unwrap().is_fatal());
        assert!(Report::of(b"Mno end").is_err());
    }
}
