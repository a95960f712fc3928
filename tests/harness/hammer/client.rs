//! One client of the hammer: connects, asks, reads, compares, and begins anew.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tally::{How, Loss, Tally};
use super::{Habit, PATIENCE, Shared};
use crate::harness::http::{Connection, End, Response};
use crate::harness::mcp::{Era, Post};

/// The most requests that are sent at once.
const PIPELINE: u64 = 6;
/// A client that was refused does not ask again faster than this.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Answered from memory, for every client the same.
    Initialize,
    /// Answered from memory; names the generation.
    List,
    /// A call that reads.
    Stamp,
    /// A call that reads and takes its time.
    Slow,
    /// A call that writes.
    Record,
}

/// One numbered request.
#[derive(Debug, Clone, Copy)]
struct Question {
    number: u64,
    kind: Kind,
    era: Era,
}

pub(super) struct Client {
    shared: Arc<Shared>,
    habit: Habit,
    /// The next request's number; no two clients share one.
    next: u64,
    /// Not processed by the server, as it has said.
    again: VecDeque<Question>,
    tally: Tally,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, habit: Habit) -> Client {
        // All clients of the process, not of one hammer: its successor may use the same database.
        static CLIENTS: AtomicU64 = AtomicU64::new(1);
        Client {
            shared,
            habit,
            next: CLIENTS.fetch_add(1, SeqCst) << 40,
            again: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn run(mut self) -> Tally {
        while !self.stopped() || !self.again.is_empty() {
            let began = Instant::now();
            match Connection::try_open(self.shared.address) {
                Ok(connection) => {
                    connection.set_read_timeout(PATIENCE);
                    self.tally.connections += 1;
                    self.converse(connection);
                }
                Err(fault) => {
                    self.lose(How::Refused, None, began, &fault);
                    thread::sleep(AFTER_REFUSAL);
                }
            }
        }
        self.tally
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(SeqCst)
    }

    /// Until the connection or the test is over.
    fn converse(&mut self, mut connection: Connection) {
        loop {
            let began = Instant::now();
            match connection.has_ended() {
                Ok(false) => {}
                // Told in time.
                Ok(true) => return,
                Err(fault) => return self.lose(How::Reset, None, began, &fault),
            }
            let depth = match self.habit {
                Habit::Pipelining => 2 + self.next % (PIPELINE - 1),
                Habit::Close | Habit::KeepAlive => 1,
            };
            let questions: Vec<Question> = (0..depth).map(|_| self.question()).collect();
            let oldest = self.shared.oldest.load(SeqCst);
            if let Err(fault) = connection.try_send(&self.bytes(&questions)) {
                return self.lose(How::Reset, questions.first(), began, &fault);
            }
            for (place, question) in questions.iter().enumerate() {
                let answer = match connection.try_response() {
                    Ok(answer) => answer,
                    Err(fault) => {
                        let how = how(&fault, connection.is_within_answer());
                        for question in &questions[place..] {
                            self.lose(how, Some(question), began, &fault);
                        }
                        return;
                    }
                };
                self.check(*question, &answer, oldest);
                if answer.closes() {
                    let rest = &questions[place + 1..];
                    self.tally.resent += rest.len() as u64;
                    self.again.extend(rest);
                    if connection.end() == End::Reset {
                        self.lose(How::Reset, Some(question), began, &"behind the last answer");
                    }
                    return;
                }
            }
            if self.habit == Habit::Close || (self.stopped() && self.again.is_empty()) {
                return;
            }
        }
    }

    fn question(&mut self) -> Question {
        if let Some(question) = self.again.pop_front() {
            return question;
        }
        self.next += 1;
        let number = self.next;
        let kind = match number % 40 {
            39 => Kind::Slow,
            at if at % 8 == 0 => Kind::Initialize,
            at if at % 8 == 1 => Kind::List,
            at if at % 8 < 4 => Kind::Record,
            _ => Kind::Stamp,
        };
        let era = if number.is_multiple_of(3) {
            Era::Legacy
        } else {
            Era::Modern
        };
        Question { number, kind, era }
    }

    fn bytes(&self, questions: &[Question]) -> Vec<u8> {
        let bytes = questions.iter().flat_map(|question| {
            let post = question.post();
            // Every other one leaves the closing to the server, the others close themselves.
            let post = if self.habit == Habit::Close && question.number.is_multiple_of(2) {
                post.header("Connection", "close")
            } else {
                post
            };
            post.bytes(self.shared.address)
        });
        bytes.collect()
    }

    fn check(&mut self, question: Question, answer: &Response, oldest: u64) {
        let newest = self.shared.newest.load(SeqCst);
        match question.fault(answer, oldest, newest) {
            None => {
                self.tally.answered += 1;
                self.tally.recorded += u64::from(matches!(question.kind, Kind::Record));
                self.shared.answered.fetch_add(1, SeqCst);
            }
            Some(fault) => self.tally.wrong.push(format!(
                "{question:?}: {fault}: {} {}",
                answer.status,
                answer.text()
            )),
        }
    }

    fn lose(
        &mut self,
        how: How,
        question: Option<&Question>,
        sent: Instant,
        why: &dyn std::fmt::Display,
    ) {
        self.tally.lost.push(Loss {
            how,
            what: format!("{:?} client, {question:?}: {why}", self.habit),
            writes: question.is_some_and(|question| matches!(question.kind, Kind::Record)),
            sent,
            noticed: Instant::now(),
        });
    }
}

fn how(fault: &io::Error, begun: bool) -> How {
    match fault.kind() {
        ErrorKind::UnexpectedEof if begun => How::Cut,
        ErrorKind::UnexpectedEof => How::Closed,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => How::Silence,
        _ => How::Reset,
    }
}

impl Question {
    fn post(&self) -> Post {
        let post = match self.kind {
            Kind::Initialize => Post::legacy(
                "initialize",
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "hammer", "version": "1"}}),
            ),
            Kind::List if self.era == Era::Legacy => Post::legacy("tools/list", Value::Null),
            Kind::List => Post::modern("tools/list", Value::Null),
            Kind::Stamp => Post::call(self.era, "stamp", json!({"number": self.number})),
            Kind::Slow => Post::call(self.era, "slow", json!({"number": self.number})),
            Kind::Record => Post::call(self.era, "record", json!({"number": self.number})),
        };
        post.id(json!(self.number))
    }

    /// What is wrong with the answer.
    fn fault(&self, answer: &Response, oldest: u64, newest: u64) -> Option<String> {
        if answer.status != 200 {
            return Some("the status is not 200".into());
        }
        let Ok(message) = serde_json::from_slice::<Value>(&answer.body) else {
            return Some("the body is no JSON".into());
        };
        if message["id"] != json!(self.number) {
            return Some("the id is another's".into());
        }
        let result = &message["result"];
        let generation = match self.kind {
            Kind::Initialize if result["serverInfo"]["name"] == json!("tine") => return None,
            Kind::Initialize => None,
            Kind::List => listed_generation(result),
            Kind::Stamp | Kind::Slow | Kind::Record => {
                let row = &result["structuredContent"];
                if row["number"] != json!(self.number) {
                    return Some("the number is not the request's".into());
                }
                row["generation"].as_u64()
            }
        };
        match generation {
            None => Some("the result is no answer to this".into()),
            Some(generation) if (oldest..=newest).contains(&generation) => None,
            Some(_) => Some(format!("only generations {oldest} to {newest} were live")),
        }
    }
}

fn listed_generation(result: &Value) -> Option<u64> {
    let stamp = result["tools"]
        .as_array()?
        .iter()
        .find(|tool| tool["name"] == json!("stamp"))?;
    let description = stamp["description"].as_str()?;
    description
        .strip_prefix("Generation ")?
        .strip_suffix('.')?
        .parse()
        .ok()
}
