//! Endings: what master and signals ask for, and a drain that loses nothing. Knows the order in which things are let go.
//!
//! From puma: accept until nothing is left before the listener is closed, since a connection in the queue is a client already.
//! From nginx and RFC 9112 §9.6: answer, say `Connection: close`, send FIN, read on.

use std::time::Duration;

use tine_scoreboard::control::{Received, ToMaster, ToWorker};

use crate::connection::{Input, State};
use crate::event_loop::Worker;
use crate::record::End;
use crate::signals::Asked;
use crate::token;

/// A quick stop's patience.
const QUICK: Duration = Duration::from_millis(100);
/// After a drain's deadline the kernel ends a worker that did not end itself (alarm(2)), even if nobody is left to kill it.
const ALARM_MARGIN: Duration = Duration::from_secs(5);

impl Worker {
    pub fn read_control(&mut self) {
        loop {
            match self.control.recv::<ToWorker>() {
                Ok(Received::Message(ToWorker::Drain { deadline_ms })) => {
                    self.begin_drain(Duration::from_millis(deadline_ms.into()))
                }
                Ok(Received::Message(ToWorker::Quick)) => self.begin_drain(QUICK),
                Ok(Received::Empty) => return,
                // The master is gone: nobody would replace or stop this worker, and the port must come free.
                Ok(Received::Closed) => return self.begin_drain(self.settings.deadlines.drain),
                Err(error) => {
                    log::error!("the control channel failed: {error}; draining");
                    return self.begin_drain(self.settings.deadlines.drain);
                }
            }
        }
    }

    pub fn read_signals(&mut self) {
        match self.signals.take() {
            Some(Asked::Quick) => self.begin_drain(QUICK),
            Some(Asked::Drain) => self.begin_drain(self.settings.deadlines.drain),
            None => {}
        }
    }

    /// Takes no new work from now on. A second call can only bring the end nearer.
    pub fn begin_drain(&mut self, patience: Duration) {
        let deadline = self.now + patience;
        if let Some(current) = self.draining {
            self.draining = Some(current.min(deadline));
            return;
        }
        self.draining = Some(deadline);
        nix::unistd::alarm::set(
            u32::try_from((patience + ALARM_MARGIN).as_secs()).unwrap_or(u32::MAX),
        );
        log::debug!(
            "draining {} connections, at most {} ms",
            self.clients.len(),
            patience.as_millis()
        );
        self.close_listener();
        // Only now: who hears of it may rely on it that whoever comes from now on is served by others.
        let _ = self.control.send(&ToMaster::Draining);
        let input = if self.board.header().shutting_down() {
            Input::Drain
        } else {
            Input::Retire
        };
        let keys: Vec<usize> = self
            .clients
            .iter()
            .map(|(index, _)| token::client(index, self.generations[index]))
            .collect();
        for key in keys {
            self.guarded(key, |worker| worker.drain_client(key, input));
        }
    }

    fn drain_client(&mut self, key: usize, input: Input) {
        // A request may have arrived that was not reported yet: it is served, not cut off.
        if let Some(client) = self.client(key)
            && matches!(client.state, State::Idle { .. })
        {
            client.readable = true;
            self.advance(key);
        }
        self.input(key, input);
        self.advance(key);
    }

    fn close_listener(&mut self) {
        let Some(listener) = &mut self.listener else {
            return;
        };
        if let Err(error) = listener.disarm() {
            log::warn!("cannot leave the listener: {error}");
        }
        // Bounded, because a flood of new connections must not keep a worker from its drain.
        for _ in 0..self.settings.limits.connections {
            if !self.accept_one() {
                break;
            }
        }
        self.listener = None;
    }

    /// Drops every connection; how many had a request unanswered.
    pub fn abandon_all(&mut self) -> usize {
        let keys: Vec<usize> = self
            .clients
            .iter()
            .map(|(index, _)| token::client(index, self.generations[index]))
            .collect();
        let mut unanswered = 0;
        for key in keys {
            let Some(client) = self.client(key) else {
                continue;
            };
            if !matches!(client.state, State::Idle { .. } | State::Linger) {
                unanswered += 1;
                self.slot().counters.aborted.add(1);
            }
            self.give_up(key, End::Cancelled);
            self.close(key);
        }
        unanswered
    }
}
