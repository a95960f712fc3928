//! HAProxy over Tine on two hosts, each a network namespace with its own master: one host dies, comes back, the other is drained and
//! stopped, all under load. Nothing but the calls in flight on the host that died may fail.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::{self, Database};
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::network::{Host, Network};
use crate::harness::process;
use crate::harness::proxy::{Plan, Proxy};
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::Setup;
use crate::harness::wait;

const CLIENTS: usize = 8;
/// As `haproxy-hosts.cfg` has it.
const PORT: u16 = 8000;

/// What the clients saw.
#[derive(Default)]
struct Tally {
    answered: [AtomicUsize; CLIENTS],
    failed: Mutex<Vec<(usize, String)>>,
    stop: AtomicBool,
}

impl Tally {
    /// One client: calls, and notes every call that wasn't answered as it should be. Keeps its connection as long as HAProxy does.
    fn call(&self, client: usize, address: SocketAddr) {
        let mut connection = Connection::open(address);
        for call in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let words = format!("{client} {call}");
            let post = Post::call(ERAS[call % 2], "echo", json!({"words": words}));
            let post = post.header("Host", "monitor.example");
            let outcome = connection
                .try_send(&post.bytes(address))
                .and_then(|()| connection.try_response());
            let closed = match outcome {
                Ok(answer) if answer.status == 200 && answer.text().contains(&words) => {
                    self.answered[client].fetch_add(1, Ordering::Relaxed);
                    answer.closes()
                }
                other => {
                    let told = other.map(|answer| format!("{} {}", answer.status, answer.text()));
                    self.failed().push((client, format!("{told:?}")));
                    true
                }
            };
            if closed {
                connection = Connection::open(address);
            }
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Vec<(usize, String)>> {
        self.failed.lock().expect("no panic")
    }

    /// Waits until every client has had so many further answers.
    fn until_all_go_on(&self, answers: usize) {
        let count = |client: usize| self.answered[client].load(Ordering::Relaxed);
        let goals: Vec<usize> = (0..CLIENTS).map(|client| count(client) + answers).collect();
        wait::until("every client is served", || {
            (0..CLIENTS).all(|client| count(client) >= goals[client])
        });
    }
}

/// Ends the clients when the test's own part is over, or has failed.
struct Stop<'a>(&'a Tally);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

fn serve(host: &Host, database: &Database) -> Server {
    let setup = Setup::new(database)
        .binds_itself()
        .option(&format!("host = \"{}\"", host.address))
        .option(&format!("port = {PORT}"))
        .option(&format!(
            "allowed_hosts = [\"monitor.example\", \"localhost\", \"{}\"]",
            host.address
        ));
    host.run(|| setup.start())
}

/// A column of HAProxy's `show stat` for a server of the first backend.
fn stat(proxy: &Proxy, server: &str, column: &str) -> String {
    let table = proxy.admin("show stat");
    let mut lines = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().expect("a heading");
    let at = names
        .iter()
        .position(|name| name.trim_start_matches("# ") == column);
    let row = lines
        .find(|row| row[0] == "tine" && row[1] == server)
        .expect("a row");
    row[at.expect("a column")].to_owned()
}

fn until_state(proxy: &Proxy, server: &str, state: &str) {
    wait::until(&format!("{server} is {state}"), || {
        stat(proxy, server, "status") == state
    });
}

/// Waits until the host has answered so many further calls.
fn until_serves(host: &Host) {
    let calls = || {
        http::get((host.address, PORT).into(), "/health").json()["totals"]["tool_calls"].as_u64()
    };
    let before = calls();
    wait::until("the host gets calls", || {
        calls() > before.map(|calls| calls + 20)
    });
}

#[test]
fn one_host_dies_and_the_other_is_drained_and_no_other_call_fails() {
    let Some(network) = Network::new() else {
        return;
    };
    let database = Database::fresh();
    let (a, b, front) = (network.host(11), network.host(12), network.host(2));
    let (server_a, server_b) = (serve(&a, &database), serve(&b, &database));
    let proxy = front.run(|| Plan::hosts(front.address).start());
    let tally = Tally::default();
    network.run(|| {
        thread::scope(|scope| {
            let _stop = Stop(&tally);
            for client in 0..CLIENTS {
                let (tally, address) = (&tally, proxy.address);
                scope.spawn(move || tally.call(client, address));
            }
            until_serves(&a);
            until_serves(&b);
            assert_eq!(*tally.failed(), []);

            // It vanishes: first its network, so that not even the end of its connections is heard of.
            network.cut(&a);
            for pid in process::children(server_a.pid()) {
                kill_pid(pid, Signal::SIGKILL);
            }
            drop(server_a);
            until_state(&proxy, "a", "DOWN");
            tally.until_all_go_on(100);
            let lost = std::mem::take(&mut *tally.failed());
            for client in 0..CLIENTS {
                let its = lost.iter().filter(|(of, _)| *of == client).count();
                assert!(
                    its <= 1,
                    "one call of client {client} was in flight: {lost:?}"
                );
            }

            // It comes back by itself.
            network.join(&a);
            let server_a = serve(&a, &database);
            until_state(&proxy, "a", "UP");
            until_serves(&a);

            // The other one is taken out of service and stopped.
            proxy.admin("set server tine/b state drain");
            wait::until("b has nothing to do", || stat(&proxy, "b", "scur") == "0");
            let mut server_b = server_b;
            server_b.signal(Signal::SIGTERM);
            assert_eq!(server_b.wait().code(), Some(0));
            tally.until_all_go_on(100);
            let server_b = serve(&b, &database);
            proxy.admin("set server tine/b state ready");
            until_state(&proxy, "b", "UP");
            until_serves(&b);
            assert_eq!(*tally.failed(), []);
            drop((server_a, server_b));
        });
    });
}

#[test]
fn hosts_without_a_database_go_on_telling_so() {
    let Some(network) = Network::new() else {
        return;
    };
    let mut cluster = database::own_cluster();
    let database = Database::fresh_in(&cluster);
    let (a, b, front) = (network.host(11), network.host(12), network.host(2));
    let _servers = (serve(&a, &database), serve(&b, &database));
    let proxy = front.run(|| Plan::hosts(front.address).start());
    network.run(|| {
        let send = |post: Post| post.header("Host", "monitor.example").send(proxy.address);
        let echo = || send(Post::call(Era::Modern, "echo", json!({"words": "here"}))).tool_text();
        wait::until("calls are answered", || !echo().1);
        cluster.halt().expect("PostgreSQL stops");
        for server in ["a", "b"] {
            until_state(&proxy, server, "DOWN");
        }
        let (text, failed) = echo();
        assert!(failed && text.contains("Nothing was run"), "{text}");
        let list = send(Post::modern("tools/list", Value::Null)).result();
        assert!(
            list["tools"]
                .as_array()
                .is_some_and(|tools| !tools.is_empty())
        );
        cluster.relaunch().expect("PostgreSQL starts");
        for server in ["a", "b"] {
            until_state(&proxy, server, "UP");
        }
        assert!(!echo().1);
    });
}
