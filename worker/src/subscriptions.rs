//! Subscriptions in the loop: streams on which clients wait to be told that the tools have changed. From the request that opens one,
//! through its keep-alives, to the result that ends it. Knows nothing of tools but one number for all lists of them.
//!
//! A subscription is a connection in the loop and nothing else: no thread, no place among the calls in flight, no deadline but that
//! of its next keep-alive. A worker's own tools never change. A reload replaces the worker, so what it has to tell is what its
//! master has written on the scoreboard: which lists the current configuration serves.
//!
//! The official Python SDK ends the streams of clients that don't read, and gives no client a second chance to fall behind; so does
//! this. What nobody can know who looks at one worker: while workers are replaced one by one, a client that was told at once may list its
//! tools at a worker that is still the old one. So it is told again when no old one is left.

use tine_scoreboard::Scoreboard;

use crate::client::Asker;
use crate::connection::Input;
use crate::event_loop::Worker;
use crate::http::{Buffer, EventStream, Reader, Reply, accepts};
use crate::mcp::{self, Fault, Listen, code};
use crate::settings::{STREAM_KEEP_ALIVE, STREAM_LOST};
use crate::token;

/// A subscriber for whom more than this waits, in bytes, reads too little to be told anything.
const UNREAD_MOST: usize = 16 * 1024;

/// An open stream.
pub struct Subscription {
    listen: Listen,
    known: Known,
    stream: EventStream,
    /// Index of the toolset's prepared answers.
    served: usize,
}

/// What a subscriber can know of the tools: that which it may have found when it was last told, or when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// The number of the lists.
    catalog: u64,
    /// No worker was left that serves others.
    settled: bool,
}

impl Known {
    /// Whether there is more to know.
    fn outdated(self, now: Known) -> bool {
        self.catalog != now.catalog || (now.settled && !self.settled)
    }
}

/// The number of the lists that the current configuration serves. A board on which no master has written one says nothing new: it is the
/// worker's `own`.
pub fn current(board: &Scoreboard, own: u64) -> u64 {
    match board.header().catalog() {
        0 => own,
        catalog => catalog,
    }
}

impl Worker {
    /// Opens a stream, or says why not.
    pub fn listen(&mut self, key: usize, listen: Listen, asker: Asker) {
        let Some(client) = self.client(key) else {
            return;
        };
        let accept = client.reader.head().and_then(|head| head.accept());
        if !accepts(accept, "text/event-stream") {
            let message = "subscriptions/listen is answered by a stream: send Accept: application/json, text/event-stream";
            let fault = Fault::new(406, code::INVALID_REQUEST, message);
            let reply = fault.reply(Some(&listen.id));
            return self.answer(key, &Reply::json(reply.status, &[&reply.body]));
        }
        if self.subscriptions >= self.settings.limits.subscriptions() {
            return self.refuse_subscription(key, &listen);
        }
        // Whatever ends the stream ends the connection.
        let Some(framing) = self.next_framing(key, true) else {
            return;
        };
        let known = Known {
            catalog: self.catalog,
            settled: self.board.catalog_settled(),
        };
        let date = self.date.at(self.unix_seconds);
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let stream = EventStream::open(framing, &[], date, &mut client.output);
        stream.event(&[&mcp::acknowledged(&listen)], &mut client.output);
        // A request of many bytes must not hold them for as long as its stream is open.
        client.reader = Reader::new();
        client.input = Buffer::new();
        if let Err(error) = client.stream.notice_loss_within(STREAM_LOST) {
            log::debug!("cannot set a subscriber's timeout: {error}");
        }
        client.subscription = Some(Box::new(Subscription {
            listen,
            known,
            stream,
            served: asker.served,
        }));
        self.subscriptions += 1;
        self.requests += 1;
        self.slot().counters.served.add(1);
        self.input(key, Input::Listen);
        self.set_deadline(key, Some(self.now + STREAM_KEEP_ALIVE));
        if self.draining.is_some() {
            self.end_subscription(key);
        }
    }

    fn refuse_subscription(&mut self, key: usize, listen: &Listen) {
        self.slot().counters.rejected.add(1);
        let message = "No more subscriptions here; try again later, or list the tools again when their ttlMs is over";
        let fault = Fault::new(503, code::OVERLOADED, message);
        let reply = fault.reply(Some(&listen.id));
        // Closed, so that the next attempt may come to another worker.
        self.answer_and(
            key,
            &Reply {
                headers: &[("Retry-After", "1")],
                ..Reply::json(reply.status, &[&reply.body])
            },
            true,
        );
    }

    /// Tells every subscriber what it has not been told yet.
    pub fn tell_subscribers(&mut self) {
        let now = self.known_now();
        let keys: Vec<usize> = self
            .clients
            .iter()
            .filter(|(_, client)| {
                client.subscription.as_ref().is_some_and(|subscription| {
                    subscription.listen.tools && subscription.known.outdated(now)
                })
            })
            .map(|(index, _)| token::client(index, self.generations[index]))
            .collect();
        for key in keys {
            self.tell(key, now);
            self.advance(key);
        }
    }

    fn tell(&mut self, key: usize, now: Known) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let Some(subscription) = &mut client.subscription else {
            return;
        };
        if client.output.len() > UNREAD_MOST {
            return self.input(key, Input::Broken);
        }
        subscription.known = now;
        let event = mcp::list_changed(&subscription.listen.id);
        subscription.stream.event(&[&event], &mut client.output);
    }

    fn known_now(&self) -> Known {
        Known {
            catalog: current(self.board, self.catalog),
            settled: self.board.catalog_settled(),
        }
    }

    /// Nothing was said for a while: a comment shows proxies, and us, that the stream lives.
    pub fn keep_subscription(&mut self, key: usize) {
        let now = self.now;
        if let Some(client) = token::find(&mut self.clients, &self.generations, key)
            && let Some(subscription) = &client.subscription
        {
            subscription.stream.comment("", &mut client.output);
            self.set_deadline(key, Some(now + STREAM_KEEP_ALIVE));
        }
    }

    /// Ends a stream as the protocol wants it: what is new, then the request's result, then the connection's end.
    pub fn end_subscription(&mut self, key: usize) {
        let now = self.known_now();
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let Some(subscription) = client.subscription.take() else {
            return;
        };
        self.subscriptions -= 1;
        let Subscription {
            listen,
            known,
            stream,
            served,
        } = *subscription;
        if listen.tools && known.catalog != now.catalog {
            stream.event(&[&mcp::list_changed(&listen.id)], &mut client.output);
        }
        if let Some(served) = self.served.get(served) {
            let result = mcp::subscription_result(&listen.id, &served.prepared);
            stream.event(&[&result], &mut client.output);
        }
        stream.finish(&mut client.output);
        self.input(key, Input::Answer { close: true });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use tine_scoreboard::Phase;

    use super::*;
    use crate::testing::Bench;

    /// Opens a stream; everything that it has said so far was read.
    fn subscribe(bench: &mut Bench, wanted: &str) -> (TcpStream, usize) {
        let (mut client, key) = bench.connect();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"subscriptions/listen","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}},"notifications":{{{wanted}}}}}}}"#
        );
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client
            .write_all(&[head, body].concat().into_bytes())
            .unwrap();
        bench.read(key);
        let said = heard(&mut client);
        assert!(said.contains("acknowledged"), "{said}");
        (client, key)
    }

    /// What has been sent and not read yet.
    fn heard(client: &mut TcpStream) -> String {
        client.set_nonblocking(true).unwrap();
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said);
        client.set_nonblocking(false).unwrap();
        String::from_utf8(said).unwrap()
    }

    fn changes(client: &mut TcpStream) -> usize {
        heard(client)
            .matches("notifications/tools/list_changed")
            .count()
    }

    #[test]
    fn subscribers_follow_the_number_on_the_board() {
        let mut bench = Bench::new();
        let own = bench.worker.catalog;
        bench.board.slot(0).hot.set_phase(Phase::Serving);
        let (mut tools, key) = subscribe(&mut bench, r#""toolsListChanged":true"#);
        let (mut others, _) = subscribe(&mut bench, r#""promptsListChanged":true"#);
        bench.worker.tell_subscribers();
        assert_eq!(changes(&mut tools), 0, "no master has said anything");
        bench.board.header().set_catalog(own);
        bench.worker.tell_subscribers();
        assert_eq!(
            changes(&mut tools),
            1,
            "it came before the pool was settled"
        );
        bench.worker.tell_subscribers();
        assert_eq!(changes(&mut tools), 0);
        // A reload begins; this worker stays the old one for a while.
        bench.board.header().set_catalog(own ^ 1);
        for times in [1, 0] {
            bench.worker.tell_subscribers();
            assert_eq!(changes(&mut tools), times);
        }
        bench.worker.end_subscription(key);
        bench.worker.advance(key);
        let end = heard(&mut tools);
        assert!(!end.contains("list_changed"), "{end}");
        assert!(end.contains(r#""id":5,"result""#), "{end}");
        assert_eq!(changes(&mut others), 0, "it did not ask for it");
        assert_eq!(bench.worker.subscriptions, 1);
    }

    #[test]
    fn a_change_that_comes_with_the_drain_is_told_before_the_end() {
        let mut bench = Bench::new();
        bench.board.header().set_catalog(bench.worker.catalog);
        let (mut client, key) = subscribe(&mut bench, r#""toolsListChanged":true"#);
        bench.board.header().set_catalog(bench.worker.catalog ^ 1);
        bench.worker.end_subscription(key);
        bench.worker.advance(key);
        let end = heard(&mut client);
        let (changed, result) = (end.find("list_changed"), end.find("\"result\""));
        assert!(changed.is_some() && changed < result, "{end}");
        assert!(end.ends_with("0\r\n\r\n"), "{end}");
    }

    #[test]
    fn what_nobody_reads_does_not_pile_up() {
        let mut bench = Bench::new();
        let (_client, key) = subscribe(&mut bench, r#""toolsListChanged":true"#);
        let stuck = vec![b' '; UNREAD_MOST + 1];
        bench.worker.client(key).unwrap().output = stuck;
        bench.board.header().set_catalog(bench.worker.catalog ^ 1);
        bench.worker.tell_subscribers();
        assert!(bench.worker.client(key).is_none(), "dropped");
        assert_eq!(bench.worker.subscriptions, 0);
    }

    #[test]
    fn a_subscriber_is_told_of_a_change_and_of_the_end_of_the_old_lists() {
        let known = |catalog, settled| Known { catalog, settled };
        for (before, now, outdated) in [
            // Nothing changes, or only how the pool stands.
            (known(1, true), known(1, true), false),
            (known(1, true), known(1, false), false),
            (known(1, false), known(1, false), false),
            // A reload begins, and ends.
            (known(1, true), known(2, false), true),
            (known(2, false), known(2, false), false),
            (known(2, false), known(2, true), true),
            // One that takes no time.
            (known(1, true), known(2, true), true),
            // It is taken back.
            (known(2, false), known(1, false), true),
            (known(1, false), known(1, true), true),
        ] {
            assert_eq!(before.outdated(now), outdated, "{before:?} {now:?}");
        }
    }
}
