//! What one client and the master say to each other, and how long each may take: bytes in, an order out, lines out. Pure:
//! no descriptor, no clock.
//!
//! ```text
//!            order              outcome
//! Ordering ─────────▶ Waiting ─────────▶ Leaving ──▶ Gone     Gone also: 5 s without an order, 5 s without reading,
//!     ╰──── wrong order, too long ──────────▲                 too much unread, the client's end
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::order::{self, Order, Outcome};
use crate::backoff::Time;

/// How long a client may take for its order, and to read what is written to it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest order, its line end included.
pub(super) const ORDER_BYTES: usize = 1024 + 4096;
/// Answers that a client has not read; the largest state of a pool is a third of it.
const UNREAD_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The order has not come whole.
    Ordering { until: Time },
    /// The order is being carried out, which has deadlines of its own. `until`: when all that is written must have been read.
    Waiting { order: Order, until: Option<Time> },
    /// The outcome is written.
    Leaving { until: Time },
    /// Nothing more to say.
    Gone,
}

/// A conversation in writing, for the next image of the process, whose clock is the same.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Unfinished {
    Ordering { until: Time, heard: Vec<u8> },
    Waiting { order: Order },
}

#[derive(Debug)]
pub(super) struct Conversation {
    stage: Stage,
    order: Vec<u8>,
    unsaid: Vec<u8>,
}

impl Conversation {
    pub(super) fn new(now: Time) -> Conversation {
        Conversation {
            stage: Stage::Ordering {
                until: now.saturating_add(PATIENCE),
            },
            order: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    /// Goes on where it was, in the next image of the process.
    pub(super) fn resumed(unfinished: Unfinished) -> Conversation {
        let (stage, order) = match unfinished {
            Unfinished::Ordering { until, heard } => (Stage::Ordering { until }, heard),
            Unfinished::Waiting { order } => (Stage::Waiting { order, until: None }, Vec::new()),
        };
        Conversation {
            stage,
            order,
            unsaid: Vec::new(),
        }
    }

    /// What is to be written down of it; `None` when its client does not read, or has heard everything.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        match self.stage {
            Stage::Ordering { until } => Some(Unfinished::Ordering {
                until,
                heard: self.order.clone(),
            }),
            Stage::Waiting { order, .. } if self.unsaid.is_empty() => {
                Some(Unfinished::Waiting { order })
            }
            _ => None,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// The order that its client waits for.
    pub(super) fn waits_for(&self) -> Option<Order> {
        match self.stage {
            Stage::Waiting { order, .. } => Some(order),
            _ => None,
        }
    }

    /// For whom the order was: what follows a tab on its line.
    pub(super) fn meant_for(&self) -> Option<String> {
        let line = self.order.split(|byte| *byte == b'\n').next()?;
        let (_, whom) = split(line);
        whom.map(|whom| String::from_utf8_lossy(whom).trim_end().to_owned())
    }

    /// How many bytes of the order it would take.
    pub(super) fn missing(&self) -> usize {
        match self.stage {
            Stage::Ordering { .. } => ORDER_BYTES - self.order.len(),
            _ => 0,
        }
    }

    pub(super) fn unsaid(&self) -> &[u8] {
        &self.unsaid
    }

    /// When to call [`Conversation::tick`].
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Ordering { until } | Stage::Leaving { until } => Some(until),
            Stage::Waiting { until, .. } => until,
            Stage::Gone => None,
        }
    }

    /// Takes at most [`Conversation::missing`] bytes. What follows an order's line is not looked at.
    pub(super) fn hear(&mut self, now: Time, bytes: &[u8]) -> Option<Order> {
        if !matches!(self.stage, Stage::Ordering { .. }) {
            return None;
        }
        self.order.extend_from_slice(bytes);
        let end = self.order.iter().position(|byte| *byte == b'\n');
        match end.and_then(|end| self.order.get(..end)) {
            Some(line) => match Order::parse(split(line).0) {
                Ok(order) => {
                    self.stage = Stage::Waiting { order, until: None };
                    return Some(order);
                }
                Err(outcome) => self.finish(now, &outcome),
            },
            None if self.order.len() >= ORDER_BYTES => {
                let text = format!("an order has at most {ORDER_BYTES} bytes");
                self.finish(now, &Outcome::no(text));
            }
            None => {}
        }
        None
    }

    /// The client will write no more. Whoever has ordered may still read.
    pub(super) fn ended(&mut self) {
        if matches!(self.stage, Stage::Ordering { .. }) {
            self.stage = Stage::Gone;
        }
    }

    /// The client can no longer be reached.
    pub(super) fn lost(&mut self) {
        self.stage = Stage::Gone;
    }

    /// Says how the order goes on.
    pub(super) fn tell(&mut self, now: Time, text: &str) {
        if let Stage::Waiting { order, until } = self.stage {
            self.stage = Stage::Waiting {
                order,
                until: until.or(Some(now.saturating_add(PATIENCE))),
            };
            self.say(&order::progress(text));
        }
    }

    /// Says the last word.
    pub(super) fn finish(&mut self, now: Time, outcome: &Outcome) {
        if matches!(self.stage, Stage::Ordering { .. } | Stage::Waiting { .. }) {
            self.stage = Stage::Leaving {
                until: now.saturating_add(PATIENCE),
            };
            self.say(&outcome.line());
        }
    }

    fn say(&mut self, line: &[u8]) {
        if self.unsaid.len() + line.len() > UNREAD_BYTES {
            self.stage = Stage::Gone;
        } else {
            self.unsaid.extend_from_slice(line);
        }
    }

    /// So many bytes of [`Conversation::unsaid`] were taken. Taking them one by one gains no time.
    pub(super) fn said(&mut self, bytes: usize) {
        self.unsaid.drain(..bytes.min(self.unsaid.len()));
        if self.unsaid.is_empty() {
            self.stage = match self.stage {
                Stage::Waiting { order, .. } => Stage::Waiting { order, until: None },
                Stage::Leaving { .. } => Stage::Gone,
                stage => stage,
            };
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.stage = Stage::Gone;
        }
    }
}

fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = line.splitn(2, |byte| *byte == b'\t');
    (parts.next().unwrap_or_default(), parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Duration::from_secs(100);
    const LATER: Time = Duration::from_secs(103);
    const DEADLINE: Time = Duration::from_secs(105);

    /// Every stage against everything that can happen, at `LATER`. `+` after a stage: its deadline moved.
    #[test]
    fn the_table_of_every_stage_against_every_event() {
        type Event = (&'static str, fn(&mut Conversation));
        let events: [Event; 10] = [
            ("part", |c| assert_eq!(c.hear(LATER, b"stat"), None)),
            ("order", |c| {
                let waited = c.missing() > 0;
                assert_eq!(c.hear(LATER, b"status\nmore\n").is_some(), waited);
            }),
            ("wrong", |c| assert_eq!(c.hear(LATER, b"dance\n"), None)),
            ("long", |c| {
                assert_eq!(c.hear(LATER, &[b'x'; ORDER_BYTES]), None)
            }),
            ("ended", Conversation::ended),
            ("tell", |c| c.tell(LATER, "going on")),
            ("finish", |c| c.finish(LATER, &Outcome::yes("done"))),
            ("some", |c| c.said(1)),
            ("all", |c| c.said(usize::MAX)),
            ("late", |c| c.tick(DEADLINE)),
        ];
        let table = "
            stage     part      order     wrong     long      ended     tell      finish    some      all       late
            Ordering  Ordering  Waiting   Leaving+  Leaving+  Gone      Ordering  Leaving+  Ordering  Ordering  Gone
            Waiting   Waiting   Waiting   Waiting   Waiting   Waiting   Waiting+  Leaving+  Waiting   Waiting   Waiting
            Unread    Unread    Unread    Unread    Unread    Unread    Unread    Leaving+  Unread    Waiting   Gone
            Leaving   Leaving   Leaving   Leaving   Leaving   Leaving   Leaving   Leaving   Leaving   Gone      Gone
            Gone      Gone      Gone      Gone      Gone      Gone      Gone      Gone      Gone      Gone      Gone";
        let mut rows = table.lines().skip(1).map(|line| line.split_whitespace());
        let names: Vec<&str> = rows.next().expect("a heading").skip(1).collect();
        assert_eq!(names, events.map(|(name, _)| name));
        for mut row in rows {
            let stage = row.next().expect("a stage");
            for ((name, event), expected) in events.iter().zip(row) {
                let mut conversation = in_stage(stage);
                event(&mut conversation);
                assert_eq!(shown(&conversation), expected, "{stage} {name}");
            }
        }
    }

    fn in_stage(name: &str) -> Conversation {
        let mut conversation = Conversation::new(NOW);
        if name != "Ordering" {
            assert_eq!(conversation.hear(NOW, b"reload\n"), Some(Order::Reload));
        }
        match name {
            "Unread" => conversation.tell(NOW, "going on"),
            "Leaving" => conversation.finish(NOW, &Outcome::yes("done")),
            "Gone" => conversation.lost(),
            _ => {}
        }
        conversation
    }

    fn shown(conversation: &Conversation) -> String {
        let (name, until) = match conversation.stage {
            Stage::Ordering { until } => ("Ordering", Some(until)),
            Stage::Waiting {
                until: Some(until), ..
            } if until == DEADLINE => ("Unread", None),
            Stage::Waiting { until, .. } => ("Waiting", until),
            Stage::Leaving { until } => ("Leaving", Some(until)),
            Stage::Gone => ("Gone", None),
        };
        let moved = until.is_some_and(|until| until != DEADLINE);
        format!("{name}{}", if moved { "+" } else { "" })
    }

    #[test]
    fn an_order_may_come_in_pieces_and_nothing_after_it_counts() {
        let mut conversation = Conversation::new(NOW);
        for byte in b"stop quick" {
            assert_eq!(conversation.hear(NOW, &[*byte]), None);
        }
        let order = conversation.hear(NOW, b"\nstop\n");
        assert_eq!(order, Some(Order::Stop { quick: true }));
        assert_eq!(conversation.missing(), 0);
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let mut conversation = in_stage("Waiting");
        let text = "x".repeat(1000);
        for _ in 0..UNREAD_BYTES {
            conversation.tell(NOW, &text);
            assert!(conversation.unsaid().len() <= UNREAD_BYTES);
        }
        assert!(conversation.is_gone());
    }
}
