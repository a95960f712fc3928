//! Bytes that arrived on a connection and are not read yet. Knows nothing of what they mean.

/// A queue of bytes with a read offset: consuming a request moves nothing, so a batch of pipelined requests is
/// never copied down request by request.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// An empty buffer; it allocates nothing before the first byte.
    pub const fn new() -> Buffer {
        Buffer {
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Everything that arrived and was not consumed.
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The number of unread bytes.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// True when nothing is unread.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what a read delivered. Consumed space is reclaimed when the allocation would otherwise grow.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `count` unread bytes (all of them, when there are fewer).
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Gives the memory of an empty buffer back, so that an idle connection costs none.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Buffer::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_moves_the_offset_and_appending_reclaims_it() {
        let mut buffer = Buffer::new();
        buffer.append(b"first second");
        buffer.consume(6);
        assert_eq!(buffer.unread(), b"second");
        let before = buffer.bytes.capacity();
        buffer.append(b" third");
        assert_eq!(buffer.unread(), b"second third");
        assert_eq!(
            buffer.bytes.capacity(),
            before,
            "the consumed space is used again"
        );
        buffer.consume(usize::MAX);
        assert!(buffer.is_empty());
        buffer.release();
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
