//! Real sockets, bound and connected to.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tine-listen-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).expect("folder");
    path
}

fn tcp(host: &str, port: u16) -> Result<Listener, BindError> {
    bind(
        Address::Tcp {
            host: host.to_owned(),
            port,
        },
        511,
    )
}

fn port(listener: &Listener) -> u16 {
    match listener.local() {
        Local::Tcp(address) => address.port(),
        Local::Unix(path) => panic!("bound to {}", path.display()),
    }
}

#[test]
fn tcp_by_address_by_name_and_by_ipv6() {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    for host in ["127.0.0.1", "localhost", "::1", "[::1]"] {
        if host.contains(':') && !has_ipv6 {
            continue;
        }
        let listener = tcp(host, 0).expect(host);
        assert_ne!(port(&listener), 0, "the chosen port is known");
        let Local::Tcp(address) = listener.local().clone() else {
            panic!("{host}")
        };
        TcpStream::connect(address).expect("listens");
        assert_eq!(address.is_ipv6(), host.contains(':'), "{host}");
        let status = OFlag::from_bits_retain(fcntl(&listener, FcntlArg::F_GETFL).expect("flags"));
        assert!(status.contains(OFlag::O_NONBLOCK));
        assert_eq!(
            fcntl(&listener, FcntlArg::F_GETFD).expect("flags"),
            1,
            "closed on exec"
        );
    }
}

#[test]
fn a_taken_port_an_unknown_name_and_a_foreign_address_are_told_apart() {
    let first = tcp("127.0.0.1", 0).expect("bind");
    let error = tcp("127.0.0.1", port(&first)).expect_err("taken");
    assert_eq!(error.exit_code(), 69);
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{}", port(&first))) && text.contains("another process"),
        "{text}"
    );
    let text = tcp("no-such-host.invalid", 1)
        .expect_err("unknown")
        .to_string();
    assert!(text.contains("no-such-host.invalid"), "{text}");
    let text = tcp("192.0.2.1", 0).expect_err("not ours").to_string();
    assert!(text.contains("no interface"), "{text}");
    let text = tcp("2001:db8::1", 80).expect_err("not ours").to_string();
    assert!(text.contains("[2001:db8::1]:80"), "{text}");
}

#[test]
fn a_port_can_be_bound_again_at_once() {
    let listener = tcp("127.0.0.1", 0).expect("bind");
    let port = port(&listener);
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let (fd, _) = listener.into_parts();
    let server = TcpListener::from(fd);
    server.set_nonblocking(false).expect("blocking");
    // The side that closes first keeps the port in TIME_WAIT.
    drop(server.accept().expect("accept"));
    assert_eq!(client.read(&mut [0]).expect("end"), 0);
    drop((client, server));
    tcp("127.0.0.1", port).expect("bind again");
}

#[test]
fn a_unix_socket_has_its_mode_and_is_removed() {
    let _turn = MASK.lock().expect("turn");
    let folder = folder("mode");
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let path = folder.join("s");
        let listener = bind(
            Address::Unix {
                path: path.clone(),
                mode,
            },
            511,
        )
        .expect("bind");
        assert_eq!(
            path.metadata().expect("file").permissions().mode() & 0o777,
            mode
        );
        UnixStream::connect(&path).expect("listens");
        let (_open, file) = listener.into_parts();
        file.expect("bound here").remove();
        assert!(!path.exists());
    }
    fs::remove_dir_all(folder).expect("remove");
}

#[test]
fn a_living_server_is_refused_a_stale_file_replaced_and_other_files_spared() {
    let _turn = MASK.lock().expect("turn");
    let folder = folder("stale");
    let path = folder.join("s");
    let again = || {
        bind(
            Address::Unix {
                path: path.clone(),
                mode: 0o600,
            },
            511,
        )
    };
    let first = again().expect("bind");
    assert!(matches!(again(), Err(BindError::Alive(_))));
    // A server whose queue is full is alive too.
    let full = folder.join("full");
    let _busy = bind(
        Address::Unix {
            path: full.clone(),
            mode: 0o600,
        },
        1,
    )
    .expect("bind");
    let _waiting: Vec<()> = (0..8).map_while(|_| unix_connect_now(&full)).collect();
    assert!(matches!(
        bind(
            Address::Unix {
                path: full,
                mode: 0o600
            },
            1
        ),
        Err(BindError::Alive(_))
    ));

    drop(first);
    assert!(path.exists(), "a killed server leaves its file");
    let second = again().expect("nobody listens on the stale file");
    fs::remove_file(&path).expect("remove");
    let third = again().expect("bind");
    let (_second_fd, second_file) = second.into_parts();
    second_file.expect("file").remove();
    UnixStream::connect(&path).expect("the second one does not remove the third one's file");
    drop(third);

    fs::remove_file(&path).expect("remove");
    fs::write(&path, "notes").expect("write");
    assert!(matches!(again(), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).expect("read"), "notes");
    let nowhere = bind(
        Address::Unix {
            path: folder.join("no/s"),
            mode: 0o600,
        },
        1,
    )
    .expect_err("no folder");
    assert!(
        nowhere.to_string().contains("folder must exist"),
        "{nowhere}"
    );
    let long = bind(
        Address::Unix {
            path: folder.join("x".repeat(120)),
            mode: 0o600,
        },
        1,
    )
    .expect_err("too long");
    assert!(long.to_string().contains("107 bytes"), "{long}");
    fs::remove_dir_all(folder).expect("remove");
}

/// One more client in the queue, which stays there; `None` when the queue is full.
fn unix_connect_now(path: &std::path::Path) -> Option<()> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK,
        None,
    )
    .expect("socket");
    nix::sys::socket::connect(fd.as_raw_fd(), &UnixAddr::new(path).expect("address")).ok()?;
    std::mem::forget(fd);
    Some(())
}

#[test]
fn only_a_listening_stream_socket_is_inherited() {
    let _turn = MASK.lock().expect("turn");
    let listening = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listening.local_addr().expect("address");
    let adopted = bind(Address::Inherited(listening.into()), 511).expect("adopt");
    assert_eq!(*adopted.local(), Local::Tcp(address));
    let status = OFlag::from_bits_retain(fcntl(&adopted, FcntlArg::F_GETFL).expect("flags"));
    assert!(status.contains(OFlag::O_NONBLOCK));

    let connected = TcpStream::connect(address).expect("connect");
    let text = bind(Address::Inherited(connected.into()), 511)
        .expect_err("connected")
        .to_string();
    assert!(text.contains("does not listen"), "{text}");
    let file = fs::File::open("/dev/null").expect("open");
    let text = bind(Address::Inherited(file.into()), 511)
        .expect_err("file")
        .to_string();
    assert!(text.contains("no stream socket"), "{text}");

    let folder = folder("inherited");
    let path = folder.join("s");
    let unix = UnixListener::bind(&path).expect("bind");
    let adopted = bind(Address::Inherited(unix.into()), 511).expect("adopt");
    assert_eq!(*adopted.local(), Local::Unix(path));
    assert!(
        adopted.into_parts().1.is_none(),
        "its file is not ours to remove"
    );
    fs::remove_dir_all(folder).expect("remove");
}
