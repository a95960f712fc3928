//! What the integration tests share: a real server under real signals, a client that sees every byte,
//! and a PostgreSQL of their own. Knows nothing of any single test.

pub mod broker;
pub mod canned;
pub mod control;
pub mod database;
pub mod expect;
pub mod fake;
pub mod guide;
pub mod hammer;
pub mod http;
pub mod installed;
pub mod instance;
pub mod mcp;
pub mod network;
pub mod pooler;
pub mod process;
pub mod proxy;
pub mod server;
pub mod setup;
pub mod stream;
pub mod systemd;
pub mod wait;
pub mod web;
