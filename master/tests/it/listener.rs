//! Where the pool listens, from outside: unix sockets across deaths, inherited sockets, refusals.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Pool, ask, binary};

fn refused(listen: &str) -> (i32, String) {
    let output = Command::new(binary())
        .arg(format!("listen={listen}"))
        .output()
        .expect("run");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_taken_port_ends_with_69_and_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let (code, log) = refused(&address);
    assert_eq!(code, 69);
    assert!(
        log.contains(&address) && log.contains("another process listens there"),
        "{log}"
    );
}

#[test]
fn a_unix_socket_is_removed_at_the_end_replaced_when_stale_and_not_taken_from_the_living() {
    let path = std::env::temp_dir().join(format!("tine-pool-{}", std::process::id()));
    let option = format!("listen=unix:{}", path.display());
    let pool = Pool::ready(&[&option, "workers=2"]);
    pool.ask("pid");
    let (code, log) = refused(&format!("unix:{}", path.display()));
    assert_eq!(code, 69);
    assert!(log.contains("a server is listening there"), "{log}");
    pool.ask("pid");

    pool.signal(Signal::SIGKILL);
    pool.all_gone();
    assert!(path.exists(), "nobody was left to remove it");
    let mut heir = Pool::ready(&[&option, "workers=2"]);
    heir.ask("pid");
    heir.signal(Signal::SIGTERM);
    assert_eq!(heir.exit(), 0);
    assert!(!path.exists());
}

/// Whoever passed the socket still holds it, so clients that come between two runs wait for the next one.
#[test]
fn an_inherited_socket_survives_a_restart_with_its_queue() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("address").to_string();
    let pass = || OwnedFd::from(socket.try_clone().expect("clone"));
    let mut first = Pool::start_inheriting(pass(), &["workers=2"]);
    first.await_ready();
    assert_eq!(first.address, address);
    first.ask("pid");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.exit(), 0);
    // Connected while no pool runs.
    let waiting = {
        let address = address.clone();
        std::thread::spawn(move || ask(&address, "pid"))
    };
    let mut second = Pool::start_inheriting(pass(), &["workers=2"]);
    second.await_ready();
    let worker = waiting.join().expect("client").expect("an answer");
    assert!(second.workers().contains(&worker));
    second.signal(Signal::SIGTERM);
    assert_eq!(second.exit(), 0);
}
