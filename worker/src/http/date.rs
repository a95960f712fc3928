//! The Date header, formatted once a second. Knows no clock: the caller says what time it is.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A Date value that is only formatted again when the second changes. RFC 9110 section 6.6.1 asks a server with a clock to send
/// Date with its replies; at many thousand replies a second only the cache makes it free.
#[derive(Debug, Default)]
pub struct Date {
    second: Option<i64>,
    text: String,
}

impl Date {
    /// A cache that holds nothing yet.
    pub const fn new() -> Date {
        Date {
            second: None,
            text: String::new(),
        }
    }

    /// The value at `unix_seconds` (seconds since 1970, UTC): `Sun, 06 Nov 1994 08:49:37 GMT`. Empty for a time outside
    /// the years that the form can show; replies leave an empty Date out.
    pub fn at(&mut self, unix_seconds: i64) -> &str {
        if self.second != Some(unix_seconds) {
            self.second = Some(unix_seconds);
            self.text = Timestamp::from_second(unix_seconds)
                .and_then(|time| DateTimePrinter::new().timestamp_to_rfc9110_string(&time))
                .unwrap_or_default();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_rfc_9110() {
        let mut date = Date::new();
        assert_eq!(date.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date.at(i64::MAX), "");
    }
}
