//! Rows that wait for the log table, bounded in number and size. Knows no database.

use std::collections::VecDeque;

use log::LevelFilter;

/// The most rows that wait, and the most bytes that they may take.
const ROWS: usize = 10_000;
const BYTES: usize = 16 << 20;

pub struct Queue {
    pub level: LevelFilter,
    pub process: u32,
    rows: VecDeque<String>,
    bytes: usize,
    /// Rows that did not fit, and those that the table refused.
    dropped: u64,
}

impl Queue {
    pub fn new(level: LevelFilter, process: u32) -> Queue {
        Queue {
            level,
            process,
            rows: VecDeque::new(),
            bytes: 0,
            dropped: 0,
        }
    }

    pub fn push(&mut self, row: String) {
        if self.rows.len() >= ROWS || self.bytes + row.len() > BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += row.len();
        self.rows.push_back(row);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The oldest rows as a JSON array: at most so many, which stay, and how many they are. Never more than about `bytes`.
    pub fn first(&self, most: usize, bytes: usize) -> (String, usize) {
        let mut array = String::from("[");
        let mut count = 0;
        for row in self.rows.iter().take(most) {
            if count > 0 {
                if array.len() + row.len() > bytes {
                    break;
                }
                array.push(',');
            }
            array.push_str(row);
            count += 1;
        }
        array.push(']');
        (array, count)
    }

    /// The oldest rows are in the table.
    pub fn written(&mut self, count: usize) {
        let gone = self.rows.drain(..count.min(self.rows.len()));
        self.bytes -= gone.map(|row| row.len()).sum::<usize>();
    }

    /// The oldest row never will be.
    pub fn refused(&mut self) {
        self.written(1);
        self.dropped += 1;
    }

    /// How many rows were dropped since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(LevelFilter::Info, 7)
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let mut queue = queue();
        for n in 0..ROWS + 5 {
            queue.push(n.to_string());
        }
        assert_eq!((queue.len(), queue.take_dropped()), (ROWS, 5));
        assert_eq!(queue.take_dropped(), 0, "told once");
        assert_eq!(
            queue.first(3, 1000),
            ("[0,1,2]".to_owned(), 3),
            "the oldest are kept"
        );
        queue.written(2);
        queue.push("new".into());
        assert_eq!((queue.len(), queue.take_dropped()), (ROWS - 1, 0));
        let mut queue = self::queue();
        queue.push("x".repeat(BYTES));
        queue.push("y".into());
        assert_eq!((queue.len(), queue.take_dropped()), (1, 1));
        queue.written(1);
        queue.push("y".into());
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn rows_are_taken_by_number_and_by_size() {
        let mut queue = queue();
        for row in ["1", "2", "3"] {
            queue.push(row.into());
        }
        assert_eq!(queue.first(2, 1000), ("[1,2]".to_owned(), 2));
        assert_eq!(queue.first(9, 2), ("[1]".to_owned(), 1), "one at the least");
        queue.refused();
        queue.written(5);
        assert_eq!(
            (queue.len(), queue.first(9, 9).1, queue.take_dropped()),
            (0, 0, 1)
        );
    }
}
