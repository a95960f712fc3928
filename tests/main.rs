//! All integration tests in one binary: linking PostgreSQL's client once is enough.

mod harness;

mod check_edges;
mod check_tools;
mod cli;
mod cli_call;
mod cli_demo;
mod clients;
mod conformance;
mod db_calls;
mod db_cancel;
mod db_cluster;
mod db_harness;
mod db_logins;
mod db_outage;
mod db_pooler;
mod demo;
mod http_corpus;
mod http_wire;
mod mcp_content;
mod mcp_eras;
mod mcp_modern;
mod mcp_tokens;
mod mcp_transport;
mod process_admission;
mod process_change;
mod process_control;
mod process_database;
mod process_hangups;
mod process_hygiene;
mod process_recycle;
mod process_slow_clients;
mod process_stop;
mod process_subscriptions;
mod process_watch;
mod swf_tools;
