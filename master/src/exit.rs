//! Exit codes: what the master's mean to a script or a service manager, and what a worker's mean to the master.
//!
//! The master's follow sysexits.h where it has a fitting number.

/// Stopped as asked.
pub const CLEAN: u8 = 0;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The listening socket cannot be had.
pub const CANNOT_BIND: u8 = 69;
/// A fault of the program or of the system under it.
pub const INTERNAL: u8 = 70;
/// Workers died again and again before any became ready.
pub const CRASH_LOOP: u8 = 75;
/// The configuration is wrong; trying again without a change is pointless.
pub const CONFIGURATION: u8 = 78;

/// A worker has drained, or makes way for its replacement.
pub const WORKER_DONE: i32 = 0;
/// A worker cannot boot, and no other could: the configuration is at fault.
pub const WORKER_FATAL: i32 = 3;
/// A worker cannot boot now; trying again may help.
pub const WORKER_TRANSIENT: i32 = 4;
/// A worker panicked outside of any request.
pub const WORKER_PANIC: i32 = 101;
