//! The rooms of the `tine` program, as a library, so that tests and benchmarks can reach its parts.

pub mod call;
pub mod check;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod compare;
mod completion;
pub mod config;
pub mod control;
pub mod demo;
pub mod exit;
pub mod fault;
pub mod flags;
pub mod install;
pub mod local;
pub mod logging;
pub mod options;
pub mod parts;
pub mod probe;
pub mod serve;
pub mod target;
pub mod terminal;
pub mod token;
pub mod tools;
pub mod version;
