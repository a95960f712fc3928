//! When rows are sent to the log table, and how many: one step for every end of a sending. Pure: no clock, no database.

use std::time::{Duration, Instant};

/// The most rows of one statement.
const MOST: usize = 500;
/// How long a row may wait for others to share its statement.
const GATHER: Duration = Duration::from_millis(200);
/// After a failure. A restarted server is found within a second, and a dead one costs nothing.
const PAUSE: Duration = Duration::from_millis(500);

/// How a sending ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Written,
    /// The table refused a value of one of the rows.
    Unfit,
    /// Anything else: the database is away, the table is missing, a permission lacks. The rows are not in the table as far as is known.
    Failed,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// So many rows leave the queue.
    Forget(usize),
    /// The same, after an outage.
    Recovered(usize),
    /// The oldest row is given up.
    Refuse,
    /// An outage begins: the operator should hear of it.
    Complain,
    Nothing,
}

#[derive(Debug)]
pub struct Pace {
    /// The most rows of the next statement: fewer while the one that the table refuses is searched for.
    batch: usize,
    /// Rows under way.
    sending: Option<usize>,
    last: Instant,
    pause_until: Option<Instant>,
    failing: bool,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace {
            batch: MOST,
            sending: None,
            last: now,
            pause_until: None,
            failing: false,
        }
    }

    /// How many rows to send now at the most; `None`: nothing to do. In a `hurry` nothing waits for company.
    pub fn due(&self, now: Instant, waiting: usize, hurry: bool) -> Option<usize> {
        let paused = self.pause_until.is_some_and(|until| now < until);
        let gathered = hurry || waiting >= MOST || now.duration_since(self.last) >= GATHER;
        (waiting > 0 && self.sending.is_none() && !paused && gathered).then_some(self.batch)
    }

    pub fn sent(&mut self, now: Instant, rows: usize) {
        self.sending = Some(rows);
        self.last = now;
    }

    pub fn ended(&mut self, now: Instant, ended: Ended) -> Effect {
        let Some(rows) = self.sending.take() else {
            return Effect::Nothing;
        };
        self.pause_until = None;
        match ended {
            Ended::Written => {
                self.batch = (self.batch * 2).min(MOST);
                match std::mem::take(&mut self.failing) {
                    true => Effect::Recovered(rows),
                    false => Effect::Forget(rows),
                }
            }
            Ended::Unfit if rows > 1 => {
                self.batch = rows / 2;
                Effect::Nothing
            }
            Ended::Unfit => Effect::Refuse,
            Ended::Failed => {
                self.pause_until = Some(now + PAUSE);
                match std::mem::replace(&mut self.failing, true) {
                    true => Effect::Nothing,
                    false => Effect::Complain,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_gather_unless_they_are_many_or_it_is_the_end() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let later = start + GATHER;
        for (now, waiting, hurry, due) in [
            (start, 1, false, None),
            (start, MOST, false, Some(MOST)),
            (start, 1, true, Some(MOST)),
            (later, 1, false, Some(MOST)),
            (later, 0, true, None),
        ] {
            assert_eq!(pace.due(now, waiting, hurry), due, "{waiting} {hurry}");
        }
        pace.sent(later, 1);
        assert_eq!(pace.due(later + GATHER, MOST, true), None, "one at a time");
    }

    #[test]
    fn table() {
        use Effect::*;
        use Ended::*;
        let start = Instant::now();
        let mut pace = Pace::new(start);
        // (rows sent, how it ended, what follows, the next batch)
        for (step, (rows, ended, effect, batch)) in [
            (10, Written, Forget(10), MOST),
            (10, Failed, Complain, MOST),
            (10, Failed, Nothing, MOST),
            (10, Written, Recovered(10), MOST),
            (10, Written, Forget(10), MOST),
            (10, Unfit, Nothing, 5),
            (5, Unfit, Nothing, 2),
            (2, Written, Forget(2), 4),
            (4, Failed, Complain, 4),
            (4, Unfit, Nothing, 2),
            (1, Unfit, Refuse, 2),
            (2, Written, Recovered(2), 4),
        ]
        .into_iter()
        .enumerate()
        {
            pace.sent(start, rows);
            assert_eq!(pace.ended(start, ended), effect, "step {step}");
            let pause = if ended == Failed {
                PAUSE
            } else {
                Duration::ZERO
            };
            if ended == Failed {
                assert_eq!(pace.due(start, 1, true), None, "step {step}: a pause");
            }
            assert_eq!(pace.due(start + pause, 1, true), Some(batch), "step {step}");
        }
        assert_eq!(pace.ended(start, Written), Nothing, "nothing was under way");
    }
}
