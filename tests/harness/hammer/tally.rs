//! What the hammer's clients saw, and the verdict. Knows neither sockets nor MCP.

use std::fmt;
use std::time::Instant;

use crate::harness::database::Database;

/// How a request was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The connection was refused.
    Refused,
    /// Reset by the server.
    Reset,
    /// A FIN instead of the answer.
    Closed,
    /// A FIN in the middle of the answer.
    Cut,
    /// Nothing came.
    Silence,
}

/// One lost request.
#[derive(Debug, Clone)]
pub struct Loss {
    pub how: How,
    /// What it was, for people.
    pub what: String,
    /// Whether the server may have written its number.
    pub writes: bool,
    /// Before the first byte of the connection or the request left.
    pub sent: Instant,
    pub noticed: Instant,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.noticed.duration_since(self.sent);
        write!(out, "{:?} after {after:?}: {}", self.how, self.what)
    }
}

/// The sum.
#[derive(Debug, Default)]
pub struct Tally {
    pub connections: u64,
    /// Right answers.
    pub answered: u64,
    /// Right answers of the tool `record`.
    pub recorded: u64,
    /// Sent anew because the connection's last answer had been announced before their turn.
    pub resent: u64,
    pub lost: Vec<Loss>,
    /// Answers with a wrong status, number or generation.
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.connections += other.connections;
        self.answered += other.answered;
        self.recorded += other.recorded;
        self.resent += other.resent;
        self.lost.extend(other.lost);
        self.wrong.extend(other.wrong);
    }

    /// Panics unless every request got its own answer.
    pub fn assert_nothing_lost(&self) {
        self.assert_nothing_wrong();
        let shown: Vec<String> = self.lost.iter().take(5).map(Loss::to_string).collect();
        assert!(
            self.lost.is_empty(),
            "{} of {} requests were lost: {shown:#?}",
            self.lost.len(),
            self.answered
        );
        assert!(self.answered > 0, "nothing was asked");
    }

    /// Panics if an answer was not the request's own.
    pub fn assert_nothing_wrong(&self) {
        assert!(
            self.wrong.is_empty(),
            "{} of {} answers were wrong: {:#?}",
            self.wrong.len(),
            self.answered,
            &self.wrong[..self.wrong.len().min(5)]
        );
    }

    /// Panics unless what was answered was written, once; what was lost may have been written or not.
    pub fn assert_recorded_once(&self, database: &Database) {
        let row = database
            .owner()
            .query_one("SELECT count(*) FROM record", &[])
            .expect("the table");
        let written = u64::try_from(row.get::<_, i64>(0)).expect("a count");
        let unsure = self.lost.iter().filter(|loss| loss.writes).count() as u64;
        assert!(
            (self.recorded..=self.recorded + unsure).contains(&written),
            "{written} rows for {} answers and {unsure} losses",
            self.recorded
        );
    }
}
