//! Deadlines of client connections: a heap that is looked at once a turn of the loop. Knows only times and keys.
//!
//! A connection's deadline moves with every request, so an entry is left where it is when the deadline moves later, and
//! looked at again when it comes up (the lazy re-arming that HAProxy does with its task wait queue). A busy keep-alive connection then costs
//! one heap operation every few seconds instead of several a request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// One connection's timer; lives in the connection.
#[derive(Debug, Default, Clone, Copy)]
pub struct Timer {
    deadline: Option<Instant>,
    /// When the heap's entry comes up: never after `deadline`.
    entry: Option<Instant>,
}

impl Timer {
    /// When its connection's patience ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// The heap.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Sets or clears the deadline of the connection that `key` names.
    pub fn set(&mut self, timer: &mut Timer, key: usize, deadline: Option<Instant>) {
        timer.deadline = deadline;
        if let Some(deadline) = deadline
            && timer.entry.is_none_or(|entry| deadline < entry)
        {
            timer.entry = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// When to look next.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an entry that is due; ask [`Timers::due`] with its connection's timer whether the deadline really passed.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, usize)> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    /// True when the deadline has passed; a deadline that moved later gets a new entry.
    pub fn due(&mut self, timer: &mut Timer, entry: (Instant, usize), now: Instant) -> bool {
        if timer.entry != Some(entry.0) {
            return false; // an older entry; a nearer one is, or was, in the heap
        }
        timer.entry = None;
        match timer.deadline {
            None => false,
            Some(deadline) if deadline <= now => {
                timer.deadline = None;
                true
            }
            later => {
                self.set(timer, entry.1, later);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deadline_fires_once_at_its_last_setting() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        timers.set(&mut timer, 7, Some(at(100)));
        timers.set(&mut timer, 7, Some(at(300)));
        assert_eq!(timers.heap.len(), 1, "moving later adds nothing");
        let mut fired = Vec::new();
        for ms in [50, 100, 200, 300, 400] {
            while let Some(entry) = timers.pop(at(ms)) {
                if timers.due(&mut timer, entry, at(ms)) {
                    fired.push(ms);
                }
            }
        }
        assert_eq!(fired, [300]);
        timers.set(&mut timer, 7, Some(at(900)));
        timers.set(&mut timer, 7, Some(at(500)));
        timers.set(&mut timer, 7, None);
        while let Some(entry) = timers.pop(at(1000)) {
            assert!(
                !timers.due(&mut timer, entry, at(1000)),
                "a cleared deadline never fires"
            );
        }
        assert!(timers.next().is_none());
    }
}
