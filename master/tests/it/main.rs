//! Real processes and real signals: the example pool, driven from outside.
//!
//! Nothing sleeps to wait for something: tests wait for a line of the log, an answer, or the end of a pipe, each with a
//! deadline far beyond what it takes.

mod crashes;
mod harness;
mod hygiene;
mod lifecycle;
mod listener;
mod manager;
mod orders;
mod place;
mod reload;
mod stop;
mod stuck;
mod upgrade;
