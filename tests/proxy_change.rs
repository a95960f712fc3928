//! Changes behind a proxy under load: workers are replaced, and no client of the proxy notices. What makes that certain is shown with a
//! listener in Tine's place, which lets connections and requests cross each other on purpose.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tine_worker::settings::{BRIEF_GRACE, GRACE};

use crate::harness::database::Database;
use crate::harness::http::Connection;
use crate::harness::mcp::{ERAS, Post};
use crate::harness::proxy::{Kind, Plan, Proxy};
use crate::harness::setup::Setup;
use crate::harness::stream::listen;
use crate::harness::wait;

/// Calls on connections that are kept as long as the proxy keeps them, until `stop` and for at least so many calls. Every call must be
/// answered with 200.
fn hammer(address: SocketAddr, name: &str, calls: usize, stop: &AtomicBool) {
    let mut connection = Connection::open(address);
    for call in 0.. {
        if call >= calls && stop.load(Ordering::Relaxed) {
            return;
        }
        let words = format!("{name} {call}");
        let post = Post::call(ERAS[call % 2], "echo", json!({"words": words}));
        connection.send(&post.bytes(address));
        let answer = connection
            .try_response()
            .unwrap_or_else(|fault| panic!("{name}, call {call}: {fault}"));
        assert_eq!(answer.status, 200, "{name}, call {call}: {}", answer.text());
        assert!(
            answer.text().contains(&words),
            "{name} got the answer of another"
        );
        // Half of them come on connections of their own.
        if answer.closes() || call % 40 > 20 {
            connection = Connection::open(address);
        }
    }
}

/// Four clients of each kind of proxy call while `meanwhile` runs.
fn under_load(proxies: &[Proxy], calls: usize, meanwhile: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for proxy in proxies {
            for number in 0..4 {
                let (stop, name) = (&stop, format!("{:?} {number}", proxy.kind));
                scope.spawn(move || hammer(proxy.address, &name, calls, stop));
            }
        }
        // The clients go when this thread's part is over, or has failed.
        let _stop = OnDrop(&stop);
        meanwhile();
    });
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn recycling_every_20_requests_loses_nothing_behind_a_proxy() {
    let server = Setup::new(&Database::fresh())
        .option("limit_max_requests = 20")
        .option("limit_max_requests_jitter = 10")
        .start();
    let before = server.worker_pids();
    under_load(&Proxy::all(server.address()), 250, || {});
    let after = server.worker_pids();
    assert!(
        after.iter().all(|pid| !before.contains(pid)),
        "every worker was replaced"
    );
}

#[test]
fn reloads_and_upgrades_lose_nothing_behind_a_proxy() {
    let server = Setup::new(&Database::fresh()).start();
    under_load(&Proxy::all(server.address()), 0, || {
        for signal in [
            Signal::SIGHUP,
            Signal::SIGUSR2,
            Signal::SIGHUP,
            Signal::SIGUSR2,
        ] {
            let before = server.health()["generation"].as_u64();
            server.signal(signal);
            wait::until("every worker is of a new generation", || {
                let health = server.health();
                let workers = health["workers"].as_array().expect("workers");
                health["generation"].as_u64() > before
                    && workers.iter().all(|worker| {
                        worker["generation"] == health["generation"] && worker["phase"] == "serving"
                    })
            });
        }
    });
}

/// As under systemd's socket activation: what comes while nobody serves waits in the socket's queue.
#[test]
fn restarts_on_a_socket_that_stays_lose_nothing_behind_a_proxy() {
    let database = Database::fresh();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let serve = || Setup::new(&database).socket(&socket).start();
    let mut server = serve();
    let proxies = Proxy::all(server.address());
    under_load(&proxies, 0, || {
        for _ in 0..3 {
            server.signal(Signal::SIGTERM);
            assert_eq!(server.wait().code(), Some(0));
            server = serve();
        }
    });
}

#[test]
fn a_subscriber_behind_a_proxy_is_told_of_new_tools() {
    const TOOL: &str = "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one\n";
    let server = Setup::new(&Database::fresh()).start();
    let proxies = Proxy::all(server.address());
    let wanted = json!({"toolsListChanged": true});
    let mut streams: Vec<Connection> = proxies
        .iter()
        .map(|proxy| {
            let mut stream = Connection::open(proxy.address);
            stream.send(&listen(json!(1), &wanted).bytes(proxy.address));
            stream.until(b"acknowledged");
            stream
        })
        .collect();
    fs::write(server.path("own/more.sql"), TOOL).expect("a tool's file");
    server.signal(Signal::SIGHUP);
    for stream in &mut streams {
        stream.until(b"notifications/tools/list_changed");
    }
}

/// Far less than any proxy's default, far more than a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of the proxy, in Tine's place.
struct Upstream {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Upstream {
    fn accept(listener: &TcpListener) -> Upstream {
        let (stream, _) = wait::for_some("a connection of the proxy", || listener.accept().ok());
        stream.set_nonblocking(false).expect("a blocking stream");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Upstream {
            stream,
            unread: Vec::new(),
        }
    }

    /// False at the connection's end; HAProxy resets what it needs no more.
    fn more(&mut self) -> bool {
        let mut some = [0; 4096];
        let count = match self.stream.read(&mut some) {
            Err(fault) if fault.kind() == ErrorKind::ConnectionReset => 0,
            read => read.expect("bytes or the end in time"),
        };
        self.unread.extend_from_slice(&some[..count]);
        count > 0
    }

    fn head(&mut self) -> String {
        loop {
            if let Some(at) = self
                .unread
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                let head = self.unread.drain(..at + 4).collect();
                return String::from_utf8(head).expect("text").to_ascii_lowercase();
            }
            assert!(self.more(), "the proxy left before its head was complete");
        }
    }

    /// Reads a request and answers it; the connection may be used again.
    fn serve(&mut self) {
        let head = self.head();
        if head.contains("expect: 100-continue") {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .expect("to the proxy");
        }
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length: usize = length
            .lines()
            .next()
            .expect("a length")
            .parse()
            .expect("a length");
        while self.unread.len() < length {
            assert!(self.more(), "the proxy left before its body was complete");
        }
        self.unread.drain(..length);
        self.stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            .expect("to the proxy");
    }
}

/// A proxy of this kind before `upstream`, and two requests of one client with a pause between them.
fn asked_twice(kind: Kind, pause: Duration, upstream: impl FnOnce(TcpListener) + Send) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener
        .set_nonblocking(true)
        .expect("a listener with deadlines");
    let proxy = Plan::tcp(kind, listener.local_addr().expect("an address")).start();
    thread::scope(|scope| {
        let upstream = scope.spawn(move || upstream(listener));
        let mut client = Connection::open(proxy.address);
        for request in 0..2 {
            if request == 1 {
                thread::sleep(pause);
            }
            let ping = Post::legacy("ping", Value::Null);
            client.send(&ping.bytes(proxy.address));
            assert_eq!(client.response().status, 200);
        }
        upstream.join().expect("the upstream's part");
    });
}

/// A worker that is being replaced waits for its connections to speak, and one of a server that stops a little.
#[test]
fn kept_connections_are_given_up_before_tine_does() {
    let apache = include_str!("../systemd/proxies/apache.conf");
    assert!(apache.contains(" ttl=1 ") && GRACE > Duration::from_secs(1));
    let nginx = include_str!("../systemd/proxies/nginx.conf");
    assert!(
        nginx.contains(" keepalive_timeout 200ms;") && BRIEF_GRACE > Duration::from_millis(200)
    );
}

#[test]
fn apache_uses_no_connection_that_was_idle_for_a_second() {
    asked_twice(Kind::Apache, Duration::ZERO, |listener| {
        let mut kept = Upstream::accept(&listener);
        kept.serve();
        kept.serve();
    });
    asked_twice(Kind::Apache, Duration::from_millis(1100), |listener| {
        let mut first = Upstream::accept(&listener);
        first.serve();
        Upstream::accept(&listener).serve();
        assert!(!first.more(), "nothing comes on the first any more");
    });
}

#[test]
fn nginx_lets_go_of_a_kept_connection_by_itself() {
    asked_twice(Kind::Nginx, Duration::ZERO, |listener| {
        let mut kept = Upstream::accept(&listener);
        kept.serve();
        kept.serve();
        assert!(!kept.more(), "it ends without our doing");
    });
}

#[test]
fn haproxy_takes_a_connection_for_each_request() {
    asked_twice(Kind::Haproxy, Duration::ZERO, |listener| {
        let mut first = Upstream::accept(&listener);
        first.serve();
        Upstream::accept(&listener).serve();
        assert!(!first.more(), "nothing comes on the first any more");
    });
}
