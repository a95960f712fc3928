//! Executes a program in place of this process, and takes over descriptors by their numbers on the other side of it.
//!
//! Everything is closed on exec but what is named, so nothing leaks into the next program by forgetting it. Knows nothing of
//! what the descriptors are.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::execve;

use crate::service::Program;

/// Names the descriptor that an executed check answers to.
pub(super) const CHECK: &str = "TINE_CHECK";
/// Names the descriptor of the written part of a hand-over.
pub(super) const HANDOVER: &str = "TINE_HANDOVER";
/// The variables that only this program sets for itself; see `descriptor`.
pub const VARIABLES: [&str; 2] = [CHECK, HANDOVER];

/// The descriptor that the variable names, if it is set.
pub(super) fn descriptor(variable: &str) -> Result<Option<OwnedFd>, String> {
    let Some(number) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let wrong = || {
        format!(
            "{variable}={} is set, but is none of an operator's variables: unset it",
            number.display()
        )
    };
    let number: RawFd = number
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(wrong)?;
    if number <= 2 {
        return Err(wrong());
    }
    own(number).map(Some).map_err(|_| wrong())
}

/// Takes a descriptor by its number, and closes it on exec from now on.
pub(super) fn own(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: the number comes from the program that was executed before, in place of which this one runs, or from the master
    // that started this check; both leave it open for nobody but the one who calls this, once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) => Ok(fd),
        Err(error) => {
            // It is not open: closing it would be another's.
            std::mem::forget(fd);
            Err(error)
        }
    }
}

/// Executes the program in place of this one, with the variable set to the number, and with these descriptors left open. Returns
/// only when it can't, with the reason; the descriptors are closed on exec again then.
pub(super) fn execute(program: &Program, variable: &str, number: RawFd, keep: &[RawFd]) -> String {
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let environment = std::env::vars_os()
        .filter(|(name, _)| !VARIABLES.iter().any(|ours| name == ours))
        .map(|(name, value)| {
            let mut line = name;
            line.push("=");
            line.push(value);
            line
        })
        .chain([OsString::from(format!("{variable}={number}"))]);
    let environment: Result<Vec<CString>, _> = environment
        .map(|line| CString::new(line.into_vec()))
        .collect();
    let arguments: Result<Vec<CString>, _> = program
        .arguments
        .iter()
        .map(|argument| text(argument))
        .collect();
    let path = text(program.path.as_os_str());
    let (Ok(environment), Ok(arguments), Ok(path)) = (environment, arguments, path) else {
        return "its path or arguments hold a NUL byte".to_owned();
    };
    let result = leave_open(keep, true).and_then(|()| execve(&path, &arguments, &environment));
    let _ = leave_open(keep, false);
    match result {
        Ok(never) => match never {},
        Err(error) => format!("{} can't be executed: {error}", program.path.display()),
    }
}

fn leave_open(numbers: &[RawFd], open: bool) -> nix::Result<()> {
    let flags = if open {
        FdFlag::empty()
    } else {
        FdFlag::FD_CLOEXEC
    };
    numbers.iter().try_for_each(|number| {
        // SAFETY: the caller owns the descriptors and keeps them open during the call.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(fd, FcntlArg::F_SETFD(flags)).map(drop)
    })
}
