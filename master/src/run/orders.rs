//! Orders from the control socket: each becomes a command of the policy, and what came of it the client's answer.
//!
//! Nothing here decides either. An order whose outcome takes time leaves its client waiting in the socket.

use super::{Master, now};
use crate::control::{ClientId, Order, Outcome};
use crate::exit;
use crate::pool::{Command, Event};
use crate::service::Service;

impl<S: Service> Master<S> {
    pub(super) fn take_orders(&mut self) {
        let orders = self
            .open
            .control
            .as_mut()
            .map(|control| control.turn(now()));
        for (client, order) in orders.unwrap_or_default() {
            if let Some(outcome) = self.obey(client, order) {
                self.finish(client, &outcome);
            }
        }
    }

    /// `None` when the outcome is not known yet.
    fn obey(&mut self, client: ClientId, order: Order) -> Option<Outcome> {
        match order {
            Order::Status => Some(self.status()),
            Order::Stop { quick } => {
                // Who asks again wants to wait with the first; a signal has no other word for quick.
                if quick || !self.board.header().shutting_down() {
                    let stop = if quick {
                        Command::QuickStop
                    } else {
                        Command::Stop
                    };
                    self.apply(Event::Command(stop));
                }
                self.progress(client, "stopping");
                None
            }
            Order::More => Some(self.resize(Command::More)),
            Order::Fewer => Some(self.resize(Command::Fewer)),
            Order::Reload => self.change(client, Command::Reload),
            Order::Upgrade => self.change(client, Command::Upgrade),
        }
    }

    /// Whoever orders a change waits for the one that begins after the order: what is under way may have read the files before
    /// they were changed.
    fn change(&mut self, client: ClientId, command: Command) -> Option<Outcome> {
        if self.board.header().shutting_down() {
            return Some(Outcome::no("the server is stopping"));
        }
        // Who has left waits for nothing; so there are never more than clients.
        let control = self.open.control.as_ref();
        self.waiting
            .retain(|(client, _)| control.is_some_and(|control| control.has(*client)));
        self.waiting.push((client, self.pool.next_change()));
        self.apply(Event::Command(command));
        None
    }

    /// A change has ended: those who waited for it, or for an earlier one that it made needless, hear how.
    pub(super) fn answer(&mut self, change: u64, ok: bool, text: &str) {
        let outcome = if ok {
            Outcome::yes(text)
        } else {
            Outcome::no(text)
        };
        let answered: Vec<(ClientId, u64)> = self
            .waiting
            .extract_if(.., |(_, awaited)| *awaited <= change)
            .collect();
        for (client, _) in answered {
            self.finish(client, &outcome);
        }
    }

    /// Those who wait for the change under way hear what is being done.
    pub(super) fn tell_waiting(&mut self, text: &str) {
        for index in 0..self.waiting.len() {
            if let Some((client, awaited)) = self.waiting.get(index).copied()
                && awaited < self.pool.next_change()
            {
                self.progress(client, text);
            }
        }
    }

    fn resize(&mut self, command: Command) -> Outcome {
        let before = self.pool.target();
        self.apply(Event::Command(command));
        let workers = self.pool.target();
        if self.board.header().shutting_down() {
            Outcome::no("the server is stopping")
        } else if workers == before {
            Outcome::no(format!("{workers} is the limit"))
        } else {
            let plural = if workers == 1 { "" } else { "s" };
            Outcome::yes(format!("{workers} worker{plural}"))
        }
    }

    fn status(&self) -> Outcome {
        let pool = self.board.snapshot();
        let (pid, target) = (self.pid.as_raw(), self.pool.target());
        let mut fields = serde_json::Map::new();
        fields.insert("pid".to_owned(), pid.into());
        fields.insert("target".to_owned(), target.into());
        fields.insert("summary".to_owned(), self.pool.summary().into());
        fields.insert("stopping".to_owned(), pool.shutting_down.into());
        fields.extend(pool.document());
        let text = format!("master: pid {pid}; {}\n{pool}", self.pool.summary());
        Outcome::yes(text).with(fields)
    }

    fn progress(&mut self, client: ClientId, text: &str) {
        if let Some(control) = &mut self.open.control {
            control.tell(now(), client, text);
        }
    }

    fn finish(&mut self, client: ClientId, outcome: &Outcome) {
        if let Some(control) = &mut self.open.control {
            control.finish(now(), client, outcome);
        }
    }

    /// The last that the master does with its clients: `code` is its exit code.
    pub(super) fn close_control(&mut self, code: u8) {
        if let Some(control) = self.open.control.take() {
            control.leave(now(), |order| match (order, code) {
                (Order::Stop { .. }, exit::CLEAN) => Outcome::yes("stopped"),
                (Order::Stop { .. }, code) => {
                    Outcome::no(format!("stopped with exit code {code}; the log says why"))
                }
                (_, _) => Outcome::no("the server has stopped"),
            });
        }
    }
}
