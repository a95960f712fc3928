//! Splits a `.sql` tool file into the TOML of its first comment and the SQL after it. Keeps byte offsets, so that a
//! fault in either part points into the file. Reads neither part.
//!
//! The markers `/*+++` and `+++*/` make the whole file valid SQL for any editor, as Hugo's `+++` makes TOML visible
//! to its readers.

use std::ops::Range;

const OPEN: &str = "/*+++";
const CLOSE: &str = "+++*/";

/// Where the parts of a file are, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub toml: Range<usize>,
    pub sql: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SplitError {
    /// The file does not begin with the opening marker.
    Missing,
    /// The opening marker at this offset is never closed.
    Unclosed(usize),
}

pub(crate) fn split(text: &str) -> Result<Parts, SplitError> {
    let body = text.trim_start_matches('\u{feff}').trim_start();
    let start = text.len() - body.len();
    let Some(rest) = body.strip_prefix(OPEN) else {
        return Err(SplitError::Missing);
    };
    let toml_start = start + OPEN.len();
    let Some(length) = rest.find(CLOSE) else {
        return Err(SplitError::Unclosed(start));
    };
    let toml = toml_start..toml_start + length;
    let sql = toml.end + CLOSE.len()..text.len();
    Ok(Parts { toml, sql })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_byte_ranges_of_the_file() {
        let text = "\u{feff}\n/*+++\ntitle = \"é\"\n+++*/\nSELECT 1";
        let parts = split(text).unwrap();
        assert_eq!(&text[parts.toml], "\ntitle = \"é\"\n");
        assert_eq!(&text[parts.sql], "\nSELECT 1");
    }

    #[test]
    fn missing_and_unclosed_markers_are_told_apart() {
        assert_eq!(split("SELECT 1"), Err(SplitError::Missing));
        assert_eq!(split(""), Err(SplitError::Missing));
        assert_eq!(split("  /*+++ a = 1"), Err(SplitError::Unclosed(2)));
    }
}
