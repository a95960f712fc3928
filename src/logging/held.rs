//! Lines that wait to be written together. Pure: knows no descriptor, and nothing of what the lines say.

/// The most bytes of one write: a pipe takes so many at once or none of them (PIPE_BUF of pipe(7)), so that no line is torn and
/// none mixed with another process's.
pub const MOST: usize = 4096;

/// Lines that are not written yet, whole and in order.
#[derive(Debug, Default)]
pub struct Held(Vec<u8>);

impl Held {
    pub const fn none() -> Held {
        Held(Vec::new())
    }

    /// Keeps a line; those before it are written first where it doesn't fit beside them.
    pub fn push(&mut self, line: &[u8], write: impl FnOnce(&[u8])) {
        if self.0.len() + line.len() > MOST {
            self.release(write);
        }
        self.0.extend_from_slice(line);
    }

    /// Everything is written at once.
    pub fn release(&mut self, write: impl FnOnce(&[u8])) {
        if !self.0.is_empty() {
            write(&self.0);
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_in_order_and_as_many_at_a_time_as_fit() {
        let mut held = Held::none();
        let mut writes: Vec<Vec<u8>> = Vec::new();
        let lines: Vec<Vec<u8>> = [10, 4000, 86, 1, 4096, 5, 5]
            .iter()
            .zip(b'a'..)
            .map(|(length, filler)| vec![filler; *length])
            .collect();
        for line in &lines {
            held.push(line, |bytes| writes.push(bytes.to_vec()));
        }
        held.release(|bytes| writes.push(bytes.to_vec()));
        held.release(|_| panic!("nothing is left"));
        let lengths: Vec<usize> = writes.iter().map(Vec::len).collect();
        assert_eq!(lengths, [4096, 1, 4096, 10]);
        assert_eq!(writes.concat(), lines.concat());
    }
}
