//! What a service manager hears, on a socket that stands for its own.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{PATIENCE, Pool, binary, children};

struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    fn new(test: &str) -> Manager {
        let name = format!("tine-{test}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("name");
        let socket = UnixDatagram::bind_addr(&address).expect("bind");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Manager {
            socket,
            name: format!("@{name}"),
        }
    }

    fn start(&self, options: &[&str], variables: &[(&str, &str)]) -> Pool {
        let mut command = Command::new(binary());
        command
            .args(options)
            .env("NOTIFY_SOCKET", &self.name)
            .envs(variables.iter().copied());
        Pool::start_command(command)
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).expect("a datagram");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    /// Whether nobody feeds the watchdog for so long, sooner or later.
    fn is_silent_for(&self, span: Duration) -> bool {
        let (began, mut fed) = (Instant::now(), Instant::now());
        self.socket.set_read_timeout(Some(span)).expect("timeout");
        while fed.elapsed() < span && began.elapsed() < 20 * span {
            let mut buffer = [0; 256];
            if let Ok(length) = self.socket.recv(&mut buffer)
                && &buffer[..length] == b"WATCHDOG=1"
            {
                fed = Instant::now();
            }
        }
        self.socket
            .set_read_timeout(Some(PATIENCE))
            .expect("timeout");
        fed.elapsed() >= span
    }

    /// The next datagram that does not feed the watchdog.
    fn hear_news(&self) -> String {
        loop {
            let datagram = self.hear();
            if datagram != "WATCHDOG=1" {
                return datagram;
            }
        }
    }
}

/// The status of a pool that nobody has asked anything.
fn status(text: &str) -> String {
    format!("STATUS={text}; 0 in flight, 0 served, 0 refused, 0 crashed")
}

fn microseconds() -> u64 {
    tine_scoreboard::monotonic_ns() / 1000
}

#[test]
fn a_change_is_told_with_its_time_and_ends_with_ready_whatever_came_of_it() {
    let manager = Manager::new("change");
    let config = std::env::temp_dir().join(format!("tine-change-{}", std::process::id()));
    std::fs::write(&config, "word=one").expect("write");
    let option = format!("config={}", config.display());
    let program = format!("program={}", binary().display());
    let mut pool = manager.start(&["workers=1", &option, &program], &[]);
    while manager.hear_news() != "READY=1" {}
    assert_eq!(
        manager.hear_news(),
        status("1 of 1 workers ready, generation 1")
    );
    for (signal, text, what, refused) in [
        (Signal::SIGHUP, "word=two", "reload", None),
        (
            Signal::SIGHUP,
            "wrong",
            "reload",
            Some("the configuration is wrong"),
        ),
        (
            Signal::SIGUSR2,
            "wrong",
            "upgrade",
            Some("the configuration is wrong"),
        ),
        (Signal::SIGUSR2, "word=three", "upgrade", None),
    ] {
        std::fs::write(&config, text).expect("write");
        let before = microseconds();
        pool.signal(signal);
        let datagram = manager.hear_news();
        let time = datagram
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap_or_else(|| panic!("{datagram:?}"));
        let time: u64 = time.parse().expect("microseconds");
        assert!(before <= time && time <= microseconds(), "{before} {time}");
        let mut last = String::new();
        loop {
            match manager.hear_news() {
                datagram if datagram == "READY=1" => break,
                datagram => last = datagram,
            }
        }
        match refused {
            Some(why) => assert!(
                last.contains(&format!("{what} refused")) && last.contains(why),
                "{last}"
            ),
            None => assert!(!last.contains(what), "{last}"),
        }
    }
    pool.signal(Signal::SIGTERM);
    while manager.hear_news() != "STOPPING=1" {}
    assert_eq!(pool.exit(), 0);
    let _ = std::fs::remove_file(config);
}

#[test]
fn boot_and_stop_are_told_in_order() {
    let manager = Manager::new("boot");
    let mut pool = manager.start(&["workers=2"], &[]);
    assert_eq!(
        manager.hear_news(),
        status("0 of 2 workers ready, generation 1")
    );
    assert_eq!(
        manager.hear_news(),
        status("1 of 2 workers ready, generation 1")
    );
    assert_eq!(manager.hear_news(), "READY=1");
    assert_eq!(
        manager.hear_news(),
        status("2 of 2 workers ready, generation 1")
    );
    pool.await_ready();
    pool.signal(Signal::SIGTERM);
    assert_eq!(manager.hear_news(), "STOPPING=1");
    assert_eq!(pool.exit(), 0);
}

#[test]
fn a_pool_that_never_gets_ready_never_says_so() {
    let manager = Manager::new("broken");
    let mut pool = manager.start(&["workers=1", "boot=exit:3"], &[]);
    assert_eq!(
        manager.hear_news(),
        status("0 of 1 workers ready, generation 1")
    );
    assert_eq!(manager.hear_news(), "STOPPING=1");
    assert_eq!(pool.exit(), 78);
}

#[test]
fn the_watchdog_is_fed_while_a_worker_turns() {
    let manager = Manager::new("watchdog");
    let mut pool = manager.start(&["workers=1"], &[("WATCHDOG_USEC", "300000")]);
    pool.await_ready();
    for _ in 0..5 {
        while manager.hear() != "WATCHDOG=1" {}
    }
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
}

/// Whoever is forked is stopped at once, so that no replacement helps: the service manager must hear that by silence.
#[test]
fn the_watchdog_starves_while_the_whole_pool_stands_still() {
    let manager = Manager::new("wedged");
    let options = ["workers=2", "heartbeat=600", "tick=100", "grace=300"];
    let mut pool = manager.start(&options, &[("WATCHDOG_USEC", "300000")]);
    pool.await_ready();
    let master = pool.pid();
    let thawed = AtomicBool::new(false);
    let starved = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !thawed.load(SeqCst) {
                for worker in children(master) {
                    // It may be gone by now.
                    let _ = kill(Pid::from_raw(worker.cast_signed()), Signal::SIGSTOP);
                }
            }
        });
        let starved = manager.is_silent_for(Duration::from_secs(1));
        thawed.store(true, SeqCst);
        starved
    });
    for worker in children(master) {
        let _ = kill(Pid::from_raw(worker.cast_signed()), Signal::SIGCONT);
    }
    manager
        .socket
        .set_read_timeout(Some(PATIENCE))
        .expect("timeout");
    assert!(starved, "the watchdog is still fed");
    while manager.hear() != "WATCHDOG=1" {}
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
}
