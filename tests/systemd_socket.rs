//! Socket activation: systemd listens, so that nobody is refused while the service is away, and the service takes exactly the
//! socket that it is given.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::json;

use crate::harness::http::Connection;
use crate::harness::instance::Instance;
use crate::harness::mcp::{Answer, Post};
use crate::harness::systemd::{self, Machine};
use crate::harness::wait;

/// Requests on a connection of a client that keeps it.
const KEPT: u64 = 20;

/// An instance whose socket listens, and that doesn't run yet.
fn listening<'m>(machine: &'m Machine, name: &str) -> Instance<'m> {
    let instance = Instance::new(machine, name, "");
    let address = instance.address();
    instance.drop_in(
        "socket",
        &format!("[Socket]\nListenStream=\nListenStream={address}\n"),
    );
    // What the configuration says must not matter.
    instance.configure("host = \"127.0.0.9\"");
    machine.systemctl(&["start", &instance.unit("socket")]);
    instance
}

#[test]
fn the_first_client_starts_the_service() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = listening(machine, "first");
    assert_eq!(instance.property("ActiveState"), "inactive");
    // A worker answers as soon as it can; that the pool is ready reaches systemd a moment later.
    instance.health();
    wait::until("systemd knows too", || instance.is_active());
    // systemd(1) and the master and both workers: one socket for all.
    let master = instance.master();
    let environment = machine.read(&format!("/proc/{master}/environ"));
    assert!(
        environment.contains("LISTEN_FDNAMES=mcp"),
        "{environment:?}"
    );
    machine.systemctl(&["stop", &instance.service()]);
    instance.health();
}

#[test]
fn two_sockets_are_one_too_many() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "two", "");
    let (one, other) = (
        instance.address(),
        Instance::new(machine, "two-more", "").address(),
    );
    instance.drop_in(
        "socket",
        &format!("[Socket]\nListenStream=\nListenStream={one}\nListenStream={other}\n"),
    );
    instance.drop_in("service", "[Service]\nRestart=no\n");
    machine.systemctl(&["start", &instance.unit("socket")]);
    let (code, _) = machine.run("systemctl", &["start", &instance.service()]);
    assert_eq!(code, Some(1));
    assert_eq!(instance.property("ExecMainStatus"), "69");
    let (priority, line) = instance.line("exactly one socket");
    assert_eq!(priority, 3, "{line}");
}

#[test]
fn clients_lose_nothing_across_restarts_reloads_and_upgrades() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = listening(machine, "restarts");
    let (service, config) = (
        instance.service(),
        format!("/etc/tine/{}.toml", instance.name),
    );
    instance.start();
    let hammer = Hammer::default();
    machine.inside(|| {
        thread::scope(|scope| {
            for number in 0..9 {
                let (hammer, address) = (&hammer, instance.address());
                scope.spawn(move || hammer.client(address, number));
            }
            let _stop = Stop(&hammer.stop);
            let mut masters = vec![instance.master()];
            for _ in 0..5 {
                for verb in ["restart", "reload"] {
                    hammer.until_more(150);
                    machine.systemctl(&[verb, &service]);
                }
                masters.push(instance.master());
                hammer.until_more(150);
                let upgraded = machine.run("tine", &["upgrade", "--config", &config]);
                assert_eq!(upgraded.0, Some(0), "{}", upgraded.1);
                assert_eq!(instance.master(), masters[masters.len() - 1], "in place");
            }
            hammer.until_more(150);
            masters.dedup();
            assert_eq!(masters.len(), 6, "every restart gave a new master");
        });
    });
    let lost = hammer.lost.into_inner().expect("no client panicked");
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Clients that notice every request that was refused, reset, or answered with something else.
#[derive(Default)]
struct Hammer {
    stop: AtomicBool,
    answered: AtomicU64,
    lost: Mutex<Vec<String>>,
}

/// Ends the clients also when the test has failed.
struct Stop<'h>(&'h AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Hammer {
    fn until_more(&self, answers: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + answers;
        wait::until("more answers", || {
            self.answered.load(Ordering::Relaxed) >= goal
        });
    }

    /// Every second client keeps its connection.
    fn client(&self, address: SocketAddr, number: u64) {
        let keeps = number % 2 == 1;
        let mut id = number * 1_000_000;
        while !self.stop.load(Ordering::Relaxed) {
            match Connection::try_open(address) {
                Ok(mut connection) => self.requests(&mut connection, address, keeps, &mut id),
                Err(fault) => self.lose(format!("client {number}: connect: {fault}")),
            }
        }
    }

    fn requests(
        &self,
        connection: &mut Connection,
        address: SocketAddr,
        keeps: bool,
        id: &mut u64,
    ) {
        for turn in 0..if keeps { KEPT } else { 1 } {
            *id += 1;
            let post = Post::legacy("ping", json!(null)).id(json!(*id));
            let post = match keeps {
                true => post,
                false => post.header("Connection", "close"),
            };
            let sent = connection.try_send(&post.bytes(address));
            match sent.and_then(|()| connection.try_response()) {
                Ok(response) => {
                    let closes = response.closes();
                    let answer = Answer(response);
                    if answer.status() != 200 || answer.message()["id"] != json!(*id) {
                        self.lose(format!("request {id}: {answer:?}"));
                    }
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    if closes {
                        return;
                    }
                }
                // An idle connection may be ended at any moment; the client asks again on a new one (RFC 9112, 9.3.1).
                Err(fault) if turn > 0 && fault.kind() == ErrorKind::UnexpectedEof => return,
                Err(fault) => return self.lose(format!("request {id}, turn {turn}: {fault}")),
            }
        }
    }

    fn lose(&self, what: String) {
        self.lost.lock().expect("no client panicked").push(what);
    }
}

#[test]
fn a_unix_socket_is_served_and_survives_the_service() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "unix", "");
    instance.drop_in(
        "socket",
        "[Socket]\nListenStream=\nListenStream=/run/tine/unix.socket\nSocketMode=0666\n",
    );
    machine.systemctl(&["start", &instance.unit("socket")]);
    let health = || {
        let mut connection = Connection::open_unix(&machine.path("/run/tine/unix.socket"));
        connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.response().status
    };
    assert_eq!(health(), 200);
    machine.systemctl(&["restart", &instance.service()]);
    assert_eq!(health(), 200);
    machine.systemctl(&["stop", &instance.service()]);
    assert_eq!(health(), 200, "started by its socket again");
}
