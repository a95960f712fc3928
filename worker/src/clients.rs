//! Client connections in the loop: accepting, reading, writing, deadlines, closing. Feeds the table in `connection` and carries
//! its effects out. Knows nothing of what a request means.

use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Interest, Token};

use crate::client::{Client, Moved};
use crate::connection::{Effect, Input, State, step};
use crate::event_loop::Worker;
use crate::http::{Progress, Stage};
use crate::listener::Accepted;
use crate::record::End;
use crate::settings::{
    BODY_LEAST, BODY_MOST, BODY_RATE, BRIEF_GRACE, GRACE, LINGER, LINGER_BYTES, WRITE_STALL,
};
use crate::token;

/// At most so many connections are taken at once outside a drain, lest a burst all lands on one worker.
const ACCEPT_BURST: usize = 4;
/// So many connections are asked to make room, if each turns out to have a request.
const EVICTIONS: usize = 8;

impl Worker {
    pub fn client(&mut self, key: usize) -> Option<&mut Client> {
        token::find(&mut self.clients, &self.generations, key)
    }

    /// One wake-up, one connection: the rest wakes again, here or in a sibling.
    /// True when another may be waiting behind it.
    pub fn accept_one(&mut self) -> bool {
        let Some(listener) = &mut self.listener else {
            return false;
        };
        match listener.accept(self.now) {
            Accepted::Connection(stream) => {
                self.admit_connection(Client::new(stream));
                true
            }
            Accepted::Gone => true,
            Accepted::Empty => false,
            Accepted::Exhausted(errno) => {
                log::error!(
                    "cannot accept: {errno}; pausing. Raise the descriptor limit (LimitNOFILE=) or lower limit-connections"
                );
                false
            }
        }
    }

    /// Takes connections whose wake-up a full sibling was given and could not use.
    pub fn rescue(&mut self) {
        for _ in 0..ACCEPT_BURST {
            let armed = self
                .listener
                .as_ref()
                .is_some_and(crate::listener::Listener::armed);
            if !armed || !self.accept_one() {
                return;
            }
        }
    }

    fn admit_connection(&mut self, mut client: Client) {
        if self.clients.len() >= self.settings.limits.connections {
            self.evict();
        }
        let entry = self.clients.vacant_entry();
        let index = entry.key();
        if self.generations.len() <= index {
            self.generations.resize(index + 1, 0);
        }
        self.generations[index] = self.generations[index].wrapping_add(1);
        let key = token::client(index, self.generations[index]);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self
            .poll
            .registry()
            .register(&mut client.stream, Token(key), interest)
        {
            log::warn!("cannot watch a new connection: {error}; dropping it");
            return;
        }
        entry.insert(client);
        self.slot().counters.accepted.add(1);
        self.set_deadline(key, Some(self.now + self.settings.deadlines.head));
        self.guarded(key, |worker| worker.advance(key));
        if self.clients.len() >= self.settings.limits.connections {
            self.arm();
        }
    }

    /// True when some connection may be closed for a new one.
    pub fn evictable(&self) -> bool {
        self.longest_idle().is_some()
    }

    // The connection that has been idle longest makes room (sozu evicts the same way), else one that lingers. A client that was
    // served a moment ago is at work and may be about to speak: it learns from its next answer to come anew (see `next_framing`).
    fn longest_idle(&self) -> Option<usize> {
        let keep_alive = self.settings.deadlines.keep_alive;
        let idle = |client: &Client| match client.state {
            State::Linger => true,
            State::Idle { first: false } => client
                .timer
                .deadline()
                .is_some_and(|deadline| deadline + GRACE <= self.now + keep_alive),
            _ => false,
        };
        self.clients
            .iter()
            .filter(|(_, client)| idle(client))
            .min_by_key(|(_, client)| (client.state == State::Linger, client.timer.deadline()))
            .map(|(index, _)| token::client(index, self.generations[index]))
    }

    fn evict(&mut self) {
        for _ in 0..EVICTIONS {
            let Some(key) = self.longest_idle() else {
                return;
            };
            // A request may have arrived that was not reported yet: it is served, and closing with bytes unread would be a reset.
            if let Some(client) = self.client(key) {
                client.readable = true;
            }
            self.advance(key);
            match self.client(key).map(|client| client.state) {
                None => return,
                Some(State::Idle { .. } | State::Linger) => return self.close(key),
                Some(_) => {}
            }
        }
    }

    pub fn client_event(&mut self, key: usize, event: &Event) {
        let Some(client) = self.client(key) else {
            return;
        };
        if event.is_readable() || event.is_read_closed() {
            client.readable = true;
            client.ended |= event.is_read_closed();
        }
        if event.is_error() {
            return self.input(key, Input::Broken);
        }
        self.advance(key);
    }

    /// Reads, handles and writes as far as the connection's state allows now.
    pub fn advance(&mut self, key: usize) {
        while let Some(client) = token::find(&mut self.clients, &self.generations, key) {
            let go_on = match client.state {
                State::Idle { .. } | State::Head | State::Body => self.receive(key),
                State::Writing { .. } => self.send(key),
                // The answer could not be delivered any more, and the work behind it is not free. A client that shuts its side and
                // still wants an answer is treated the same by nginx (status 499). The FIN may have come together with the request.
                State::Queued | State::Running | State::Streaming | State::Listening { .. }
                    if client.ended =>
                {
                    self.input(key, Input::HangUp);
                    false
                }
                State::Streaming => {
                    let moved = client.flush();
                    if moved == Moved::Failed {
                        self.input(key, Input::Broken);
                    }
                    false
                }
                State::Listening { .. } => {
                    match client.flush() {
                        Moved::Done => self.input(key, Input::Flushed),
                        Moved::Failed => self.input(key, Input::Broken),
                        Moved::Blocked | Moved::Ended => {}
                    }
                    false
                }
                State::Linger => self.linger(key),
                State::Queued | State::Running | State::Closed => false,
            };
            if !go_on {
                return;
            }
        }
    }

    // True: call again.
    fn receive(&mut self, key: usize) -> bool {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return false;
        };
        let before = client.state;
        match client
            .reader
            .advance(&mut client.input, &self.settings.http)
        {
            Err(error) => {
                self.slot().counters.bad_requests.add(1);
                self.refuse_framing(key, &error);
                true
            }
            Ok(Progress::HeadDone) => {
                self.input(key, Input::Bytes);
                self.input(key, Input::HeadDone);
                self.head_done(key);
                true
            }
            Ok(Progress::Complete) => {
                self.complete(key);
                true
            }
            Ok(Progress::Incomplete(stage)) => {
                if matches!(before, State::Idle { .. }) && client.reader.started() {
                    self.input(key, Input::Bytes);
                    self.set_deadline(key, Some(self.now + self.settings.deadlines.head));
                } else if let (State::Body, Stage::Body { .. }) = (before, stage) {
                    self.body_deadline(key);
                }
                self.read_more(key)
            }
        }
    }

    // True: bytes came.
    fn read_more(&mut self, key: usize) -> bool {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return false;
        };
        if !client.readable {
            return false;
        }
        match client.read(&mut self.scratch) {
            Moved::Done => true,
            Moved::Blocked => false,
            Moved::Ended => {
                self.input(key, Input::HangUp);
                false
            }
            Moved::Failed => {
                self.input(key, Input::Broken);
                false
            }
        }
    }

    // Set once, when the body begins: a total, so that a drip of bytes cannot stretch it.
    fn body_deadline(&mut self, key: usize) {
        let now = self.now;
        let Some(client) = self.client(key) else {
            return;
        };
        if client.body_timed {
            return;
        }
        client.body_timed = true;
        self.send_continue(key);
        let Some(client) = self.client(key) else {
            return;
        };
        let allowance = match client.reader.head().map(|head| head.content()) {
            Some(crate::http::Content::Length(bytes)) => {
                (BODY_LEAST + Duration::from_secs(bytes / BODY_RATE)).min(BODY_MOST)
            }
            _ => BODY_MOST,
        };
        self.set_deadline(key, Some(now + allowance));
    }

    // True: the output is empty and the next request may be served.
    fn send(&mut self, key: usize) -> bool {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return false;
        };
        let sent = client.sent;
        match client.flush() {
            Moved::Done => {
                self.input(key, Input::Flushed);
                true
            }
            Moved::Blocked => {
                if client.sent > sent || !client.stalled {
                    client.stalled = true;
                    self.set_deadline(key, Some(self.now + WRITE_STALL));
                }
                false
            }
            Moved::Ended | Moved::Failed => {
                self.input(key, Input::Broken);
                false
            }
        }
    }

    fn linger(&mut self, key: usize) -> bool {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return false;
        };
        if !client.readable {
            return false;
        }
        match client.discard(&mut self.scratch) {
            Moved::Done if client.lingered <= LINGER_BYTES => true,
            Moved::Blocked => false,
            Moved::Done | Moved::Ended | Moved::Failed => {
                self.input(key, Input::Broken);
                false
            }
        }
    }

    /// Feeds one input to the connection's table and does what it says.
    pub fn input(&mut self, key: usize, input: Input) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let (next, effect) = step(client.state, input);
        client.state = next;
        match effect {
            Effect::Nothing => {}
            Effect::Close => self.close(key),
            Effect::Abandon => {
                self.slot().counters.cancelled.add(1);
                let end = match input {
                    Input::Expired => End::Timeout,
                    _ => End::Cancelled,
                };
                self.give_up(key, end);
                self.close(key);
            }
            Effect::Shut => {
                let shut = client.stream.shut();
                client.readable = true;
                match shut {
                    Ok(()) => self.set_deadline(key, Some(self.now + LINGER)),
                    Err(_) => self.close(key),
                }
            }
            Effect::Next => {
                client.body_timed = false;
                client.stalled = false;
                client.input.release();
                self.set_deadline(key, Some(self.now + self.settings.deadlines.keep_alive));
            }
            Effect::Grace => self.grace(key, GRACE),
            Effect::BriefGrace => self.grace(key, BRIEF_GRACE),
            Effect::AnswerTimeout => self.answer_timeout(key),
            Effect::AnswerBusy => self.answer_busy(key),
            Effect::AnswerLate => self.answer_late(key),
            Effect::KeepAlive => self.keep_subscription(key),
            Effect::EndStream => self.end_subscription(key),
        }
    }

    fn grace(&mut self, key: usize, patience: Duration) {
        let end = self.draining.unwrap_or(self.now);
        self.set_deadline(key, Some(end.min(self.now + patience)));
    }

    /// A deadline passed.
    pub fn expired(&mut self, key: usize) {
        let Some(client) = self.client(key) else {
            return;
        };
        match client.state {
            State::Head
            | State::Body
            | State::Running
            | State::Streaming
            | State::Listening { unread: true } => self.slot().counters.timeouts.add(1),
            State::Writing { .. } => self.slot().counters.aborted.add(1),
            _ => {}
        }
        if self.run_misplaced(key) {
            return;
        }
        self.input(key, Input::Expired);
        self.advance(key);
    }

    pub fn set_deadline(&mut self, key: usize, deadline: Option<Instant>) {
        if let Some(client) = token::find(&mut self.clients, &self.generations, key) {
            self.timers.set(&mut client.timer, key, deadline);
        }
    }

    /// Drops the connection. Its socket is closed with it.
    pub fn close(&mut self, key: usize) {
        if self.client(key).is_none() {
            return;
        }
        let mut client = self.clients.remove(token::index(key));
        self.subscriptions -= u32::from(client.subscription.is_some());
        let _ = self.poll.registry().deregister(&mut client.stream);
    }
}
