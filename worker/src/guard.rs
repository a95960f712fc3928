//! A panic in the work for one client costs that client's request and nothing else: it is answered, the worker goes on with the others,
//! and asks to be replaced, because nobody knows what the panic left half done. Knows nothing of what the work is.
//!
//! From HTTP servers whose requests are tasks of their own: hyper and Go's net/http lose one request by a panic, not the process.
//! A panic elsewhere in the loop ends the worker, as before.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::State;
use crate::event_loop::Worker;
use crate::http::Reply;
use crate::mcp::{self, Fault, code};
use crate::record::End;

impl Worker {
    /// Does the work for one client.
    pub fn guarded(&mut self, key: usize, work: impl FnOnce(&mut Worker)) {
        let waiting = self.client(key).map_or(0, |client| client.output.len());
        // What a panic leaves behind is looked at here, and goes with the worker soon.
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        if done.is_err() {
            self.panicked(key, waiting);
        }
    }

    // `waiting`: bytes that waited for the client before the work; what has come behind them may be half an answer.
    fn panicked(&mut self, key: usize, waiting: usize) {
        self.broken("a panic while a request was handled");
        let call = self.give_up(key, End::Internal);
        let Some(client) = self.client(key) else {
            return;
        };
        let answerable = matches!(
            client.state,
            State::Head | State::Body | State::Queued | State::Running
        );
        if !answerable || client.output.len() < waiting {
            return self.close(key);
        }
        client.output.truncate(waiting);
        let id = mcp::request_id(client.reader.body());
        let fault = Fault::new(
            500,
            code::INTERNAL,
            "An internal fault; the server's log has more",
        );
        let reply = match call {
            Some(call) => mcp::call_fault(Some(&call), fault),
            None => fault.reply(id.as_deref()),
        };
        self.answer_and(key, &Reply::json(reply.status, &[&reply.body]), true);
        self.advance(key);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use crate::testing::Bench;

    #[test]
    fn a_panic_costs_its_own_request_and_a_wish_to_be_replaced() {
        let mut bench = Bench::new();
        let (mut one, key) = bench.connect();
        let (mut other, other_key) = bench.connect();
        let body = r#"{"jsonrpc":"2.0","id":"x7","method":"ping"}"#;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        one.write_all(head.as_bytes()).unwrap();
        bench.read(key);
        bench
            .worker
            .guarded(key, |_| panic!("on purpose, in a test"));
        assert!(bench.worker.wish.exists());
        bench.worker.close(key);
        let mut answer = String::new();
        one.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("Connection: close"), "{answer}");
        assert!(answer.contains("\"code\":-32603"), "{answer}");
        other.write_all(head.as_bytes()).unwrap();
        other.write_all(body.as_bytes()).unwrap();
        bench.read(other_key);
        let mut answer = [0; 12];
        other.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[test]
    fn half_an_answer_is_never_sent() {
        let mut bench = Bench::new();
        let (mut client, key) = bench.connect();
        bench.worker.guarded(key, |worker| {
            if let Some(client) = worker.client(key) {
                client
                    .output
                    .extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-");
            }
            panic!("on purpose, in a test");
        });
        assert!(bench.worker.client(key).is_none(), "nothing was asked");
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
    }
}
