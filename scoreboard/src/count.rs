//! Numbers of the board that one process writes and all may read, and the list of what a worker counts.
//!
//! Nothing here knows where on the page a number stands.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A number that only grows while its worker lives; single writer, so `Relaxed` is enough.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.set(0);
    }
}

/// A number that goes up and down; single writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, n: u32) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value last set.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes the list of counters once and derives from it the shared line, its plain copy, and the walk over both.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What a worker has done since it was forked. Written by the slot's worker only.
        #[derive(Debug, Default)]
        #[repr(C, align(64))]
        pub struct Counters { $($(#[$doc])* pub $name: Counter,)+ }

        /// A copy of [`Counters`] in plain numbers, or a sum of several.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)+ }

        impl Counters {
            /// The counts as they stand.
            pub fn totals(&self) -> Totals {
                Totals { $($name: self.$name.get(),)+ }
            }

            /// Master: replaces the counts.
            pub(crate) fn set(&self, totals: &Totals) {
                $(self.$name.set(totals.$name);)+
            }

            pub(crate) fn clear(&self) {
                $(self.$name.clear();)+
            }
        }

        impl Totals {
            /// Name and value of every count, in the order of the page.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }

        impl std::ops::AddAssign for Totals {
            // Wrapping, because a crashed worker may have left any number behind.
            fn add_assign(&mut self, other: Totals) {
                $(self.$name = self.$name.wrapping_add(other.$name);)+
            }
        }
    };
}

counters! {
    /// Client connections accepted.
    accepted,
    /// Requests answered, whatever the status.
    served,
    /// Requests answered 503 because the pool was full.
    rejected,
    /// Connections or requests ended by a deadline.
    timeouts,
    /// Requests refused by the HTTP reader.
    bad_requests,
    /// Requests given up unanswered, for example at the drain deadline.
    aborted,
    /// Calls that the database failed.
    database_errors,
    /// Calls cancelled because the client left.
    cancelled,
    /// Tool calls begun.
    tool_calls,
    /// Tool calls answered with an error result.
    tool_errors,
}
