//! Exit codes of every command. A script may rely on each of them.

use std::process::ExitCode;

/// How a command ended. Codes from 64 are those of sysexits(3); 1 and 2 follow grep and diff: 1 is a "no", 2 is trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, also after an orderly stop by a signal.
    Clean = 0,
    /// The command ran, and the answer is no: faults found, a tool error, a difference.
    Failed = 1,
    /// The server or the database can't be reached.
    Unreachable = 2,
    /// The command line is wrong.
    Usage = 64,
    /// The address or the socket can't be bound.
    CannotBind = 69,
    /// A fault in Tine or in the operating system.
    Internal = 70,
    /// Workers died again and again before any was ready.
    CrashLoop = 75,
    /// The configuration or a tool file is wrong.
    Configuration = 78,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl Exit {
    /// What the master's exit code means.
    pub fn from_master(code: u8) -> Exit {
        use tine_master::exit;
        match code {
            exit::CLEAN => Exit::Clean,
            exit::USAGE => Exit::Usage,
            exit::CANNOT_BIND => Exit::CannotBind,
            exit::CRASH_LOOP => Exit::CrashLoop,
            exit::CONFIGURATION => Exit::Configuration,
            _ => Exit::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
