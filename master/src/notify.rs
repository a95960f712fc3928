//! Tells the service manager how the pool is: sd_notify(3) in one file.
//!
//! One datagram a message to the socket that `NOTIFY_SOCKET` names, a path or, with a leading `@`, an abstract name. The
//! socket is non-blocking and what it refuses is dropped: a service manager that does not listen must not hold up the pool.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The variables of the service manager's protocols; none of a worker's business.
pub(crate) const VARIABLES: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// Silent when the process was not started by a service manager that listens.
pub(crate) struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    pub(crate) fn from_environment() -> Notifier {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
            return Notifier(None);
        };
        match open(&name) {
            Ok(open) => Notifier(Some(open)),
            Err(error) => {
                log::warn!(
                    "NOTIFY_SOCKET={name:?} cannot be used, the service manager hears nothing: {error}"
                );
                Notifier(None)
            }
        }
    }

    /// Sends the assignments, one a line, as one datagram.
    pub(crate) fn send(&self, assignments: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(assignments.as_bytes(), address)
        {
            log::debug!("the service manager did not take {assignments:?}: {error}");
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither a path nor an abstract name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// How often the watchdog must be fed at the latest, when there is one and it watches this process (sd_watchdog_enabled(3)).
pub(crate) fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    interval(
        variable("WATCHDOG_USEC").as_deref(),
        variable("WATCHDOG_PID").as_deref(),
        std::process::id(),
    )
}

fn interval(usec: Option<&str>, pid: Option<&str>, me: u32) -> Option<Duration> {
    let usec = usec?.parse().ok().filter(|usec| *usec > 0)?;
    match pid {
        Some(pid) if pid.parse() != Ok(me) => None,
        _ => Some(Duration::from_micros(usec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_reach_a_path_and_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("tine-notify-{}", std::process::id()));
        let by_path = UnixDatagram::bind(&path).expect("bind");
        let abstract_name = format!("tine-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("name");
        let by_name = UnixDatagram::bind_addr(&address).expect("bind");
        for (socket, name) in [
            (by_path, path.as_os_str()),
            (by_name, format!("@{abstract_name}").as_ref()),
        ] {
            Notifier(Some(open(name).expect("open"))).send("READY=1\nSTATUS=4 of 4 workers ready");
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).expect("datagram");
            assert_eq!(&buffer[..length], b"READY=1\nSTATUS=4 of 4 workers ready");
        }
        std::fs::remove_file(&path).expect("remove");
        assert!(open("relative".as_ref()).is_err());
    }

    #[test]
    fn nobody_listening_costs_nothing() {
        Notifier(None).send("READY=1");
        Notifier(Some(open("/nonexistent/socket".as_ref()).expect("open"))).send("READY=1");
    }

    #[test]
    fn the_watchdog_counts_only_for_this_process() {
        assert_eq!(interval(None, None, 7), None);
        assert_eq!(interval(Some("0"), None, 7), None);
        assert_eq!(interval(Some("x"), None, 7), None);
        assert_eq!(
            interval(Some("20000000"), None, 7),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            interval(Some("20000000"), Some("7"), 7),
            Some(Duration::from_secs(20))
        );
        assert_eq!(interval(Some("20000000"), Some("8"), 7), None);
    }
}
