//! The hammer: a load of real clients that notices every answer that is lost, wrong, or somebody else's. Each client is a thread
//! with connections of its own and asks one numbered request after the other; the number must come back in the JSON-RPC id and in the
//! tool's answer, together with a generation of the tools that was live. Knows nothing of what is done to the server meanwhile.
//!
//! # What counts as lost
//!
//! A request is *lost* if it was written whole to a connection and no whole answer came back, unless the client had been told before:
//!
//! - by a `Connection: close` on an earlier answer of the connection (RFC 9112 §9.6): what was pipelined behind it was not processed,
//!   and is sent anew on another connection (§9.3.2). That it was indeed not processed is proved with the tool `record`, which refuses
//!   to write a number twice;
//! - by a FIN that could be read before the request was written: the client then connects anew before it asks.
//!
//! A FIN that crosses a request on its way *is* a loss here. RFC 9110 §9.2.2 forbids a client to repeat a POST by itself, so it would
//! have to tell its user. Lost too is what was refused, reset, cut off in the middle of an answer, or not answered within [`PATIENCE`].

mod client;
mod counters;
mod kill;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::database::Database;
use super::setup::Setup;
use super::wait;

use client::Client;
pub use counters::Counters;
pub use kill::Kill;
pub use tally::Tally;

/// Longer than any answer takes under this load, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the tool `record` writes to. The key turns a request that is served twice into an error.
pub const SCHEMA: &str = "CREATE TABLE record (number bigint PRIMARY KEY)";

/// The tools that the hammer calls, as files of this generation.
pub fn tools(generation: u64) -> [(&'static str, String); 3] {
    let file = |annotations: &str, sql: &str| {
        format!(
            "/*+++\ndescription = \"Generation {generation}.\"\nshape = \"row\"\n{annotations}[params.number]\n\
             type = \"integer\"\ndescription = \"Comes back.\"\n+++*/\n{sql}\n"
        )
    };
    let row = format!(":number AS number, {generation} AS generation");
    let stamp = file("", &format!("SELECT {row}"));
    let slow = file("", &format!("SELECT {row} FROM pg_sleep(0.1)"));
    let record = file(
        "annotations = { read_only = false }\n",
        &format!(
            "WITH new AS (INSERT INTO record (number) VALUES (:number) RETURNING number)\n\
             SELECT {row} FROM new"
        ),
    );
    [("stamp", stamp), ("slow", slow), ("record", record)]
}

/// A server with the hammer's tools of this generation.
pub fn setup(database: &Database, generation: u64) -> Setup {
    let setup = Setup::new(database);
    tools(generation)
        .iter()
        .fold(setup, |setup, (name, text)| setup.tool(name, text))
}

/// How a client uses its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// One request on each.
    Close,
    /// The next request after the last one's answer.
    KeepAlive,
    /// Several requests at once.
    Pipelining,
}

const HABITS: [Habit; 3] = [Habit::Close, Habit::KeepAlive, Habit::Pipelining];

/// What all clients look at.
struct Shared {
    address: SocketAddr,
    stop: AtomicBool,
    /// Generations of the tools from which an answer may come.
    oldest: AtomicU64,
    newest: AtomicU64,
    answered: AtomicU64,
}

/// Clients at work.
pub struct Hammer {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Hammer {
    /// Three clients of each habit at a server with tools of this generation.
    pub fn start(address: SocketAddr, generation: u64) -> Hammer {
        let shared = Arc::new(Shared {
            address,
            stop: AtomicBool::new(false),
            oldest: AtomicU64::new(generation),
            newest: AtomicU64::new(generation),
            answered: AtomicU64::new(0),
        });
        let clients = (0..3 * HABITS.len())
            .map(|number| {
                let client = Client::new(Arc::clone(&shared), HABITS[number % 3]);
                thread::spawn(move || client.run())
            })
            .collect();
        Hammer { shared, clients }
    }

    /// This generation may answer from now on: say so before the server can know of it.
    pub fn may_answer(&self, generation: u64) {
        self.shared.newest.store(generation, SeqCst);
    }

    /// No older generation than this one answers a request that is sent from now on.
    pub fn older_are_gone(&self, generation: u64) {
        self.shared.oldest.store(generation, SeqCst);
    }

    /// Waits for so many more answers.
    pub fn until_answered(&self, more: u64) {
        let enough = self.shared.answered.load(SeqCst) + more;
        wait::until("the clients get their answers", || {
            self.shared.answered.load(SeqCst) >= enough
                || self.clients.iter().all(JoinHandle::is_finished)
        });
    }

    /// Lets every client finish its request; what all of them saw.
    pub fn stop(self) -> Tally {
        self.shared.stop.store(true, SeqCst);
        let mut sum = Tally::default();
        for client in self.clients {
            sum.add(client.join().expect("a client ends"));
        }
        sum
    }
}
