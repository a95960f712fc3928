//! Supervision of worker processes: binds, forks, watches, replaces, stops.
//!
//! The master is single-threaded for life and knows nothing of HTTP, MCP or SQL: what is served is a [`Service`] to it. What to
//! do is decided in one place without a system call ([`pool`]), and done in another ([`run()`]). Nothing that a worker does
//! can make the master wait: every wait has a deadline, no lock lies in shared memory, and a worker's numbers are read as
//! untrusted.
//!
//! | room | job |
//! |---|---|
//! | [`settings`] | how many, how long, and the chain of deadlines |
//! | [`exit`] | exit codes of master and workers |
//! | [`listen`] | the one listening socket |
//! | [`control`] | the control socket: orders of an operator, and their answers |
//! | [`pool`] | the policy: a pure `step` over events |
//! | `service` | what the master is given to run |
//! | `backoff` | how soon a dead worker is replaced, and when to give up |
//! | `fork` | the order of steps around fork(2) |
//! | `signals` | signals as readable events |
//! | `reap` | dead children, from the kernel |
//! | `notify` | what the service manager is told |
//! | `run` | the loop: reads events, carries out actions |
//!
//! The model is unicorn's master loop, which one can read in one sitting, with s6-supervise's idea that the whole policy
//! is one visible table.

#![warn(missing_docs)]

mod backoff;
pub mod control;
pub mod exit;
mod fork;
pub mod listen;
mod notify;
pub mod pool;
mod reap;
mod run;
mod service;
pub mod settings;
mod signals;

pub use control::{ControlError, ControlSocket};
pub use listen::{Address, BindError, Listener, Local, bind};
pub use run::{Check, Handover, Start, VARIABLES, resume, run};
pub use service::{Adopted, Child, Program, Service};
pub use settings::{ChainError, Settings, SettingsError, check_chain};
