//! Requests in the loop: a good head is routed, a complete one answered from memory or handed on as a call, and every answer
//! leaves through one door. Knows HTTP and the MCP room's answers; runs nothing itself.

use std::collections::VecDeque;

use crate::catalog::Caller;
use crate::client::{Asker, Batch, Takes};
use crate::connection::{Input, State};
use crate::event_loop::Worker;
use crate::http::{CONTINUE, Content, EventStream, Framing, HttpError, Reply};
use crate::mcp::{self, Answer, Answers, Fault, code};
use crate::record::End;
use crate::route::{Refused, Route, route};
use crate::settings::LATE;
use crate::token;

impl Worker {
    /// The head is good: decides where the request goes, so that a wrong path or a missing token is told before the body is read.
    pub fn head_done(&mut self, key: usize) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let Some(head) = client.reader.head() else {
            return;
        };
        match route(&self.settings, &self.served, head) {
            Ok(route) => client.route = Some(route),
            Err(refused) => {
                if head.content() == Content::None {
                    // Completes the request, so that the connection can go on behind the refusal.
                    let _ = client
                        .reader
                        .advance(&mut client.input, &self.settings.http);
                }
                self.refuse(key, &refused);
            }
        }
    }

    /// The client waits for leave to send its body (RFC 9110 §10.1.1), and it is going to be read.
    pub fn send_continue(&mut self, key: usize) {
        let Some(client) = self.client(key) else {
            return;
        };
        if client
            .reader
            .head()
            .is_some_and(|head| head.expect_continue())
        {
            client.output.extend_from_slice(CONTINUE);
            // Blocked or failed: it leaves with the answer, or the next read notices.
            let _ = client.flush();
        }
    }

    /// The whole request is here.
    pub fn complete(&mut self, key: usize) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        match client.route.take() {
            Some(Route::Health) => {
                let body =
                    crate::health::process(&self.settings, &self.board.snapshot(), self.mode);
                self.answer(key, &Reply::json(200, &[&body]));
            }
            Some(Route::DatabaseHealth) => self.probe(key),
            Some(Route::Mcp { served, token }) => self.message(key, served, token),
            // Refused at its head already.
            None => {}
        }
    }

    fn message(&mut self, key: usize, served: usize, token: Option<usize>) {
        let index = served;
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let (Some(head), Some(served)) = (client.reader.head(), self.served.get(index)) else {
            return;
        };
        let Some(toolset) = self.settings.catalog.toolset(served.toolset.as_deref()) else {
            return;
        };
        let token_index = token;
        let token = token.and_then(|index| self.settings.tokens.0.get(index));
        let endpoint = mcp::Endpoint {
            toolset,
            prepared: &served.prepared,
            outdated: crate::subscriptions::current(self.board, self.catalog) != self.catalog,
            caller: Caller {
                user: token.and_then(|token| token.user.as_deref()),
                token: token.map(|token| token.name.as_str()),
                now: jiff::Timestamp::now(),
                host: &self.host,
            },
        };
        let find = |wanted: &str| {
            head.mcp_params()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value)
        };
        let headers = mcp::Headers {
            protocol_version: head.mcp_protocol_version(),
            method: head.mcp_method(),
            name: head.mcp_name(),
            parameter: &find,
        };
        let asker = Asker {
            served: index,
            takes: Takes::of(head),
            token: token_index,
            began: self.now,
        };
        match mcp::answer(&endpoint, &headers, client.reader.body()) {
            Answers::One(Answer::Reply(reply)) => self.answer_message(key, &reply, asker.takes),
            Answers::One(Answer::Accepted) => self.answer(key, &Reply::new(202)),
            Answers::One(Answer::Call(call)) => self.start(key, call, asker, None),
            Answers::One(Answer::Refused(refused)) => {
                if let Some(reply) = self.refuse_call(key, &refused, asker) {
                    self.answer_message(key, &reply, asker.takes);
                }
            }
            Answers::One(Answer::Listen(listen)) => self.listen(key, listen, asker),
            Answers::Batch(answers) => {
                let batch = Batch {
                    started: self.now,
                    answers: Vec::new(),
                    rest: VecDeque::from(answers),
                };
                self.next_of_batch(key, batch, asker);
            }
        }
    }

    /// Goes on with a batch until one of its calls has to run, or all is answered.
    pub fn next_of_batch(&mut self, key: usize, mut batch: Batch, asker: Asker) {
        while let Some(answer) = batch.rest.pop_front() {
            match answer {
                Answer::Reply(reply) => batch.answers.push(reply.body),
                Answer::Accepted => {}
                Answer::Call(call) => return self.start(key, call, asker, Some(batch)),
                Answer::Refused(refused) => {
                    let reply = self.refuse_call(key, &refused, asker);
                    batch.answers.extend(reply.map(|reply| reply.body));
                }
                // Of another protocol revision than batches, so no client means it.
                Answer::Listen(listen) => {
                    let fault = Fault::new(
                        200,
                        code::INVALID_REQUEST,
                        "subscriptions/listen may not be part of a batch",
                    );
                    batch.answers.push(fault.reply(Some(&listen.id)).body);
                }
            }
        }
        if batch.answers.is_empty() {
            return self.answer(key, &Reply::new(202));
        }
        let mut body = vec![b'['];
        body.append(&mut batch.answers.join(&b','));
        body.push(b']');
        self.answer_message(key, &mcp::Reply { status: 200, body }, asker.takes);
    }

    /// Sends a JSON-RPC message, as a stream of one event to a client that takes nothing else.
    pub fn answer_message(&mut self, key: usize, reply: &mcp::Reply, takes: Takes) {
        if takes != Takes::Stream || reply.status != 200 {
            return self.answer(key, &Reply::json(reply.status, &[&reply.body]));
        }
        let Some(framing) = self.next_framing(key, false) else {
            return;
        };
        let date = self.date.at(self.unix_seconds);
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let stream = EventStream::open(framing, &[], date, &mut client.output);
        stream.event(&[&reply.body], &mut client.output);
        stream.finish(&mut client.output);
        self.answered(key, stream.keep_alive());
    }

    /// The one door: renders an answer behind whatever is still leaving.
    pub fn answer(&mut self, key: usize, reply: &Reply) {
        self.answer_and(key, reply, false);
    }

    /// The same, and the connection ends with it if `close`.
    pub fn answer_and(&mut self, key: usize, reply: &Reply, close: bool) {
        let Some(framing) = self.next_framing(key, close) else {
            return;
        };
        let date = self.date.at(self.unix_seconds);
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        reply.render(framing, date, &mut client.output);
        self.answered(key, framing.keep_alive);
    }

    /// How the answer is framed: whether the connection goes on is decided here, for every kind of answer.
    pub fn next_framing(&mut self, key: usize, close: bool) -> Option<Framing> {
        let close = close || self.draining.is_some() || self.hot() || self.crowded();
        let client = token::find(&mut self.clients, &self.generations, key)?;
        client.requests += 1;
        let mut framing = client
            .reader
            .head()
            .map_or(Framing::UNREADABLE, |head| head.framing());
        let last = client.requests >= self.settings.limits.keep_alive_requests;
        let closing = matches!(client.state, State::Writing { close: true });
        // A request that was not read to its end cannot be followed by another.
        framing.keep_alive =
            framing.keep_alive && !close && !last && !closing && client.reader.next_request();
        Some(framing)
    }

    /// A whole answer is in the output.
    pub fn answered(&mut self, key: usize, keep_alive: bool) {
        self.requests += 1;
        self.slot().counters.served.add(1);
        self.input(key, Input::Answer { close: !keep_alive });
    }

    // A full worker beside an idle one sends its keep-alive clients away one by one: a connection cannot be handed over.
    fn hot(&self) -> bool {
        let limit = self.settings.limits.concurrency;
        self.inflight * 4 >= limit * 3
            && limit >= 4
            && self.board.places_elsewhere(self.slot_number) > 0
    }

    // Without a place for one connection more, those that are in use must take turns.
    fn crowded(&self) -> bool {
        self.clients.len() >= self.settings.limits.connections
    }

    fn refuse(&mut self, key: usize, refused: &Refused) {
        let reply = refused.fault.reply(None);
        let headers: Vec<(&str, &str)> = refused
            .header
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.answer(
            key,
            &Reply {
                headers: &headers,
                ..Reply::json(reply.status, &[&reply.body])
            },
        );
    }

    /// Bytes that are no request.
    pub fn refuse_framing(&mut self, key: usize, error: &HttpError) {
        let reply =
            Fault::new(error.status(), code::INVALID_REQUEST, error.to_string()).reply(None);
        self.answer_and(key, &Reply::json(reply.status, &[&reply.body]), true);
    }

    /// The request did not arrive in time.
    pub fn answer_timeout(&mut self, key: usize) {
        let reply = Fault::new(
            408,
            code::INVALID_REQUEST,
            "The request did not arrive in time",
        )
        .reply(None);
        self.answer_and(key, &Reply::json(reply.status, &[&reply.body]), true);
    }

    /// No place came free for the call.
    pub fn answer_busy(&mut self, key: usize) {
        self.slot().counters.rejected.add(1);
        let call = self.give_up(key, End::Refused);
        let fault = Fault::new(
            503,
            code::OVERLOADED,
            "All workers are busy; try again in a second",
        );
        let reply = mcp::call_fault(call.as_deref(), fault);
        self.answer_and(
            key,
            &Reply {
                headers: &[("Retry-After", "1")],
                ..Reply::json(503, &[&reply.body])
            },
            true,
        );
    }

    /// The call outlived its deadline although the database layer should have ended it.
    pub fn answer_late(&mut self, key: usize) {
        if self.answer_health(key) {
            return;
        }
        // Where the loop itself stood still, both deadlines have come up at once.
        if self
            .stalled
            .is_none_or(|stalled| self.now.duration_since(stalled) > LATE * 2)
        {
            self.broken("a database pool did not end a call at its deadline");
        }
        let call = self.give_up(key, End::Timeout);
        let fault = Fault::new(504, code::TIMEOUT, "The call did not end in time");
        let reply = mcp::call_fault(call.as_deref(), fault);
        self.answer_and(key, &Reply::json(504, &[&reply.body]), true);
    }
}
