//! A listening socket passed by a service manager: the protocol of sd_listen_fds(3), for exactly one socket.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::{BindError, Listener, local_of, set_flags};

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// Takes the socket that `LISTEN_FDS` and `LISTEN_PID` announce to this process, if they do. It can be taken once; later
/// calls return `None`.
///
/// To be called early in `main`: descriptor 3 is believed to be the passed one.
pub fn inherited() -> Result<Option<OwnedFd>, BindError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let variable = |name| std::env::var(name).ok();
    if !announced(
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_PID").as_deref(),
        std::process::id(),
    )? {
        return Ok(None);
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    if !is_open(FIRST) {
        return Err(BindError::Inherited(
            "LISTEN_FDS announces descriptor 3, but it is closed".to_owned(),
        ));
    }
    // SAFETY: the descriptor is open, the protocol passes it to this process, and nothing else takes it (TAKEN).
    Ok(Some(unsafe { OwnedFd::from_raw_fd(FIRST) }))
}

/// Whether the service manager has passed this process its socket, taken or not. Stays true across an execution in place.
pub fn is_passed() -> bool {
    let variable = |name| std::env::var(name).ok();
    let (fds, pid) = (variable("LISTEN_FDS"), variable("LISTEN_PID"));
    announced(fds.as_deref(), pid.as_deref(), std::process::id()).unwrap_or(false)
}

/// Takes the descriptor that the parent process left open under this number (`--fd`). To be called once for a number, and
/// early: what is open under it is believed to be the passed socket.
pub fn descriptor(number: RawFd) -> Result<OwnedFd, BindError> {
    if number < FIRST || !is_open(number) {
        return Err(BindError::Inherited(format!(
            "descriptor {number} is not an open descriptor from 3 on"
        )));
    }
    // SAFETY: the descriptor is open and not a standard stream; by the contract above nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: asked of the kernel by number only; a closed descriptor is an error.
    fcntl(
        unsafe { std::os::fd::BorrowedFd::borrow_raw(number) },
        FcntlArg::F_GETFD,
    )
    .is_ok()
}

fn announced(fds: Option<&str>, pid: Option<&str>, me: u32) -> Result<bool, BindError> {
    let (Some(fds), Some(pid)) = (fds, pid) else {
        return Ok(false);
    };
    if pid.parse() != Ok(me) {
        // Meant for another process; the variables leaked.
        return Ok(false);
    }
    match fds {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(BindError::Inherited(format!(
            "LISTEN_FDS={fds}, but exactly one socket is understood; give the .socket unit one ListenStream="
        ))),
    }
}

/// Makes a passed descriptor our listener.
pub(super) fn adopt(fd: OwnedFd) -> Result<Listener, BindError> {
    let wrong = |what: &str| {
        BindError::Inherited(format!(
            "{what}; the .socket unit needs ListenStream= and Accept=no"
        ))
    };
    if getsockopt(&fd, sockopt::SockType) != Ok(SockType::Stream) {
        return Err(wrong("the descriptor is no stream socket"));
    }
    if getsockopt(&fd, sockopt::AcceptConn) != Ok(true) {
        return Err(wrong("the socket does not listen"));
    }
    let local = local_of(&fd).ok_or_else(|| wrong("the socket is neither TCP nor unix"))?;
    set_flags(&fd).map_err(|error| BindError::Inherited(error.to_string()))?;
    // The file of an inherited unix socket belongs to whoever made it.
    Ok(Listener {
        fd,
        local,
        file: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_socket_for_exactly_this_process() {
        for (fds, pid, expected) in [
            (None, None, Some(false)),
            (Some("1"), None, Some(false)),
            (None, Some("7"), Some(false)),
            (Some("1"), Some("8"), Some(false)),
            (Some("2"), Some("8"), Some(false)),
            (Some("0"), Some("7"), Some(false)),
            (Some("1"), Some("7"), Some(true)),
            (Some("2"), Some("7"), None),
            (Some("x"), Some("7"), None),
            (Some("-1"), Some("7"), None),
        ] {
            assert_eq!(
                announced(fds, pid, 7).ok(),
                expected,
                "LISTEN_FDS={fds:?} LISTEN_PID={pid:?}"
            );
        }
    }
}
