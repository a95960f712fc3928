//! `[databases.NAME]` of `tine.toml`. Knows where a URL is kept, and keeps it secret; opens no connection.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::fault::Fault;

/// A database that tools may name.
#[derive(Clone, Debug)]
pub struct Database {
    pub name: String,
    /// The URL, or why it can't be had now. Only a command that connects needs it: see
    /// [`super::Settings::require_databases`].
    pub url: Result<Secret, Box<Fault>>,
    /// Connections per worker.
    pub connections: usize,
    /// Certificates that sign the server's, in PEM; the system's when not given.
    pub tls_ca: Option<PathBuf>,
    /// The session's time zone; UTC when not given.
    pub time_zone: Option<String>,
    pub pooler: Pooler,
}

/// What stands between a worker and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps a session for a connection.
    #[default]
    Session,
    /// A pooler that may change the session with every transaction (pgbouncer's `pool_mode = transaction`).
    Transaction,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: for the code that connects, never for a message.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A database URL without password and options: `user@host:port/database`.
    pub fn masked_url(&self) -> String {
        let Ok(config) = postgres::Config::from_str(&self.0) else {
            return "(not a PostgreSQL URL)".to_owned();
        };
        let ports = config.get_ports();
        let hosts = config.get_hosts().iter().enumerate().map(|(i, host)| {
            let host = match host {
                postgres::config::Host::Tcp(name) => name.clone(),
                postgres::config::Host::Unix(path) => path.display().to_string(),
            };
            match ports.get(i).or(ports.first()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            }
        });
        let hosts: Vec<String> = hosts.collect();
        let user = config
            .get_user()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        let database = config
            .get_dbname()
            .map(|name| format!("/{name}"))
            .unwrap_or_default();
        format!("{user}{}{database}", hosts.join(","))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let table = [
            (
                "postgres://bot:hunter2@db.example:5433/swf?sslmode=require",
                "bot@db.example:5433/swf",
            ),
            (
                "host=a,b user=bot password=hunter2 dbname=swf",
                "bot@a,b/swf",
            ),
            ("host=/run/postgresql dbname=swf", "/run/postgresql/swf"),
            ("hunter2", "(not a PostgreSQL URL)"),
        ];
        for (url, shown) in table {
            let secret = Secret::new(url);
            assert_eq!(secret.masked_url(), shown);
            assert_eq!(format!("{secret:?}"), "(secret)");
        }
    }
}
