//! One string that holds all kept text of a head, and the ranges into it. Knows nothing of header names.

/// A range of an [`Arena`]. Heads are bounded far below 4 GiB, so 32 bits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// The kept text of one head, reused for the next: no allocation for each header.
#[derive(Debug, Default)]
pub(super) struct Arena {
    text: String,
}

/// What a connection that waits for its next request may keep allocated.
const KEPT_CAPACITY: usize = 1024;

impl Arena {
    pub(super) fn text(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT_CAPACITY);
    }

    /// Adds a field value. Bytes that are not UTF-8 become U+FFFD, so that whoever compares the value sees that it
    /// is not ASCII (RFC 9110 section 5.5: a recipient should treat such bytes as opaque data).
    pub(super) fn push(&mut self, value: &[u8]) -> Span {
        let start = self.text.len();
        match std::str::from_utf8(value) {
            Ok(text) => self.text.push_str(text),
            Err(_) => self.text.push_str(&String::from_utf8_lossy(value)),
        }
        self.since(start)
    }

    /// Adds several field values as one list (RFC 9110 section 5.3: the lines of one field, joined by commas).
    pub(super) fn push_joined<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>) -> Span {
        let start = self.text.len();
        for value in values {
            if self.text.len() > start {
                self.text.push_str(", ");
            }
            self.push(value);
        }
        self.since(start)
    }

    fn since(&self, start: usize) -> Span {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: offset(start),
            end: offset(self.text.len()),
        }
    }
}
