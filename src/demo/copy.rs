//! Rows in the text format of PostgreSQL's COPY (<https://www.postgresql.org/docs/15/sql-copy.html>, "Text
//! Format"). Knows nothing of what the columns mean.

use std::fmt::Display;
use std::io::{self, Write};

/// Microseconds since 1970-01-01 UTC: PostgreSQL's own precision.
pub type Micros = i64;

pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const DAY: Micros = 24 * HOUR;

/// Sends rows on in large pieces and counts them.
pub struct Rows<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    count: u64,
    /// Called with the number of rows so far whenever a piece was sent.
    sent: &'a mut dyn FnMut(u64),
}

/// Large enough to make one write cheap, small enough for smooth progress.
const PIECE: usize = 256 * 1024;

impl<'a> Rows<'a> {
    pub fn new(out: &'a mut dyn Write, sent: &'a mut dyn FnMut(u64)) -> Rows<'a> {
        Rows {
            out,
            buffer: Vec::with_capacity(PIECE + 4096),
            count: 0,
            sent,
        }
    }

    /// Adds the row that `columns` writes, in the order of the COPY statement's column list.
    pub fn row(&mut self, columns: impl FnOnce(&mut Row)) -> io::Result<()> {
        let mut row = Row {
            line: &mut self.buffer,
            first: true,
        };
        columns(&mut row);
        self.buffer.push(b'\n');
        self.count += 1;
        if self.buffer.len() >= PIECE {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        (self.sent)(self.count);
        Ok(())
    }

    /// Sends what is left and says how many rows there were.
    pub fn finish(mut self) -> io::Result<u64> {
        self.send()?;
        Ok(self.count)
    }
}

/// One row being written. A method a kind of value; each adds the next column.
pub struct Row<'a> {
    line: &'a mut Vec<u8>,
    first: bool,
}

impl Row<'_> {
    fn separate(&mut self) {
        if !self.first {
            self.line.push(b'\t');
        }
        self.first = false;
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        for &byte in value.as_bytes() {
            match byte {
                b'\\' => self.line.extend_from_slice(b"\\\\"),
                b'\n' => self.line.extend_from_slice(b"\\n"),
                b'\r' => self.line.extend_from_slice(b"\\r"),
                b'\t' => self.line.extend_from_slice(b"\\t"),
                _ => self.line.push(byte),
            }
        }
        self
    }

    pub fn null(&mut self) -> &mut Self {
        self.separate();
        self.line.extend_from_slice(b"\\N");
        self
    }

    pub fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Numbers, booleans and uuids: whatever prints without a character that COPY escapes.
    pub fn plain(&mut self, value: impl Display) -> &mut Self {
        self.separate();
        // Writing into a Vec cannot fail.
        let _ = write!(self.line, "{value}");
        self
    }

    pub fn maybe_plain(&mut self, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.plain(value),
            None => self.null(),
        }
    }

    /// A moment; read as UTC also by columns without a time zone.
    pub fn time(&mut self, at: Micros) -> &mut Self {
        match jiff::Timestamp::from_microsecond(at) {
            Ok(time) => self.plain(time),
            Err(_) => self.null(),
        }
    }

    pub fn maybe_time(&mut self, at: Option<Micros>) -> &mut Self {
        match at {
            Some(at) => self.time(at),
            None => self.null(),
        }
    }

    pub fn json(&mut self, value: &serde_json::Value) -> &mut Self {
        self.text(&value.to_string())
    }

    pub fn maybe_json(&mut self, value: Option<&serde_json::Value>) -> &mut Self {
        match value {
            Some(value) => self.json(value),
            None => self.null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_escapes_what_copy_would_misread() {
        let mut out = Vec::new();
        let mut sent = |_| {};
        let mut rows = Rows::new(&mut out, &mut sent);
        rows.row(|row| {
            row.text("a\tb\\N\nc")
                .null()
                .plain(-5)
                .time(1_500_000)
                .text("")
                .plain(true);
        })
        .unwrap();
        rows.row(|row| {
            row.json(&serde_json::json!({"q": "\"\\"}));
        })
        .unwrap();
        assert_eq!(rows.finish().unwrap(), 2);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\tb\\\\N\\nc\t\\N\t-5\t1970-01-01T00:00:01.5Z\t\ttrue\n{\"q\":\"\\\\\"\\\\\\\\\"}\n"
        );
    }

    #[test]
    fn large_tables_go_out_in_pieces() {
        let mut out = Vec::new();
        let mut pieces = Vec::new();
        let mut sent = |count| pieces.push(count);
        let mut rows = Rows::new(&mut out, &mut sent);
        let long = "x".repeat(1000);
        for _ in 0..1000 {
            rows.row(|row| {
                row.text(&long);
            })
            .unwrap();
        }
        rows.finish().unwrap();
        assert_eq!(out.len(), 1001 * 1000);
        assert!(pieces.len() > 3);
        assert_eq!(pieces.last(), Some(&1000));
    }
}
