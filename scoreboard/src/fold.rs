//! How the counts of a dead worker move to the retired totals, so that no reader sees them twice or not at all, and none ever waits
//! for the master. A sequence lock would not do: a master that loses the processor between its two halves is the rule on a busy machine,
//! and workers read these numbers while they serve.
//!
//! There are two copies of the retired totals, and one word, the [`View`], that says which of them counts and whose counts it includes
//! already. The master prepares the other copy, changes the word, and only then clears the worker's line: whatever it was doing when it
//! was stopped, the word is right. A reader starts over only when the word has changed meanwhile, so only when the master got on.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::count::{Counters, Totals};

/// Bits for the number of a slot plus one; a board has 65536 slots at most.
const SLOT_BITS: u32 = 17;

/// The word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// Raised with every change.
    sequence: u64,
    /// The copy that counts.
    copy: usize,
    /// The slot whose counts that copy includes, while its line is being cleared.
    pub(crate) included: Option<usize>,
}

impl View {
    fn of(word: u64) -> View {
        let slot = (word >> 1) & ((1 << SLOT_BITS) - 1);
        View {
            sequence: word >> (SLOT_BITS + 1),
            copy: usize::from(word & 1 == 1),
            included: usize::try_from(slot).unwrap_or(0).checked_sub(1),
        }
    }

    fn word(self) -> u64 {
        let slot = self.included.map_or(0, |slot| slot as u64 + 1);
        (self.sequence << (SLOT_BITS + 1)) | (slot << 1) | self.copy as u64
    }
}

/// The retired totals. Written by the master only.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Retired {
    word: AtomicU64,
    copies: [Counters; 2],
}

impl Retired {
    /// How to read what follows; [`Retired::holds`] says afterwards whether it was right all the time.
    pub(crate) fn view(&self) -> View {
        View::of(self.word.load(Ordering::Acquire))
    }

    /// The totals in this view.
    pub(crate) fn totals(&self, view: View) -> Totals {
        self.copies[view.copy].totals()
    }

    /// Whether nothing has changed since the view was taken.
    pub(crate) fn holds(&self, view: View) -> bool {
        // What was read before is not older than the word that is read now.
        fence(Ordering::Acquire);
        self.word.load(Ordering::Relaxed) == view.word()
    }

    /// Master: takes over the counts of the slot's dead worker; `clear` sets its line to zero.
    pub(crate) fn take_over(&self, slot: usize, counts: Totals, clear: impl FnOnce()) {
        let view = self.view();
        let mut sum = self.totals(view);
        sum += counts;
        let next = View {
            sequence: view.sequence + 1,
            copy: 1 - view.copy,
            included: Some(slot),
        };
        self.copies[next.copy].set(&sum);
        self.show(next);
        clear();
        self.show(View {
            sequence: next.sequence + 1,
            included: None,
            ..next
        });
    }

    fn show(&self, view: View) {
        self.word.store(view.word(), Ordering::Release);
        // Whoever sees what is written next sees this word too.
        fence(Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_word_and_back() {
        for (sequence, copy, included) in [
            (0, 0, None),
            (1, 1, Some(0)),
            (7, 0, Some(65535)),
            (1 << 40, 1, None),
        ] {
            let view = View {
                sequence,
                copy,
                included,
            };
            assert_eq!(View::of(view.word()), view);
        }
        assert_eq!(View::of(0).included, None, "a fresh page");
    }

    #[test]
    fn a_master_that_is_stopped_at_any_moment_leaves_numbers_that_add_up() {
        let retired = Retired::default();
        let line = Counters::default();
        line.served.add(7);
        let sum = |view: View| {
            let mut sum = retired.totals(view);
            if view.included != Some(3) {
                sum += line.totals();
            }
            sum.served
        };
        assert_eq!(sum(retired.view()), 7);
        let before = retired.view();
        retired.take_over(3, line.totals(), || {
            assert_eq!(sum(retired.view()), 7, "shown, not cleared");
            assert!(!retired.holds(before), "an older view is over");
            line.clear();
            assert_eq!(sum(retired.view()), 7, "shown and cleared");
        });
        let after = retired.view();
        assert_eq!(sum(after), 7);
        line.served.add(1);
        assert_eq!(sum(after), 8, "the next worker in the slot");
        assert!(retired.holds(after));
    }
}
