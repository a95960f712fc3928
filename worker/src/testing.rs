//! For unit tests of the loop's rooms: a worker whose loop does not run, a client's sockets, and its master's end of the channel.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tine_scoreboard::Scoreboard;
use tine_scoreboard::control::{Channel, Received, ToMaster};

use crate::catalog::{Catalog, LoadContext};
use crate::event_loop::Worker;
use crate::files::Files;
use crate::settings::{Deadlines, Health, Limits, Settings};
use crate::{Boot, assemble, auth, http, mcp, token};

/// A worker and everything around it.
pub struct Bench {
    pub worker: Worker,
    pub board: &'static Scoreboard,
    master: Channel,
    address: SocketAddr,
}

impl Bench {
    pub fn new() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (master, control) = Channel::pair().expect("a channel");
        let board = Scoreboard::create(2, 4).expect("a board");
        let boot = Boot {
            settings: Arc::new(settings()),
            slot: 0,
            board,
            listener: OwnedFd::from(listener),
            control,
        };
        let Ok(worker) = assemble(boot) else {
            panic!("no worker");
        };
        Bench {
            worker,
            board,
            master,
            address,
        }
    }

    /// A connection that the worker has accepted: the client's socket, and the client's key.
    pub fn connect(&mut self) -> (TcpStream, usize) {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        assert!(self.worker.accept_one(), "it waits in the queue");
        let index = self.worker.clients.len() - 1;
        (stream, token::client(index, self.worker.generations[index]))
    }

    /// The loop's turn for this client, as if its socket had become readable.
    pub fn read(&mut self, key: usize) {
        if let Some(client) = self.worker.client(key) {
            client.readable = true;
        }
        self.worker.advance(key);
    }

    /// The next message to the master.
    pub fn heard(&self) -> Option<ToMaster> {
        match self.master.recv().expect("the channel") {
            Received::Message(message) => Some(message),
            Received::Empty | Received::Closed => None,
        }
    }
}

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        limits: Limits {
            concurrency: 4,
            connections: 16,
            subscriptions: 4,
            requests: None,
            memory: None,
            keep_alive_requests: 100,
        },
        deadlines: Deadlines {
            head: seconds(5),
            keep_alive: seconds(75),
            request: seconds(10),
            queue: seconds(1),
            drain: seconds(15),
        },
        http: http::Limits::default(),
        paths: vec!["/mcp".into()],
        health: Health {
            path: "/health".into(),
            database_path: String::new(),
            databases: Vec::new(),
            service: "test".into(),
        },
        allowed: auth::Allowed {
            hosts: vec!["*".into()],
            origins: vec!["*".into()],
        },
        tokens: auth::Tokens(Vec::new()),
        server: mcp::ServerInfo {
            name: "test".into(),
            title: None,
            version: "1".into(),
        },
        caching: mcp::Caching {
            ttl_ms: 1000,
            public: true,
        },
        instructions: None,
        databases: Vec::new(),
        effects: Arc::default(),
        catalog: Arc::new(Catalog::load(&[], &LoadContext::default(), &Files::disk()).0),
        default_toolset: None,
        log_calls: Default::default(),
        log_table: None,
    }
}
