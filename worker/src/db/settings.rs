//! A database as the operator configured it: a connection string in libpq's two forms, and the pool's own numbers.
//! Reads files of certificates, through [`Files`]; knows nothing of sockets.

mod url;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postgres::Config;
use postgres::config::{
    ChannelBinding, Host, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs,
};
use rustls::pki_types::ServerName;

use super::pool::Pool;
use super::socket::{Address, Keepalive};
use super::tls::{Roots, Tls, Verify};
use crate::files::{FileError, Files};

/// Where Debian's PostgreSQL keeps its Unix socket: libpq's default host there.
const DEFAULT_HOST: &str = "/var/run/postgresql";
const DEFAULT_PORT: u16 = 5432;

/// The numbers and switches of a pool that are not part of the connection string.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections of one worker, opened as they are needed. 1 to [`Pool::MAX_CONNECTIONS`].
    pub connections: usize,
    /// Jobs that may wait for a connection.
    pub queue: usize,
    /// The server is a transaction pooler (pgbouncer `pool_mode = transaction`). Found out at the first call where it
    /// shows, so the setting only saves that call's second attempt.
    pub pooler: bool,
    /// `application_name` unless the connection string has one.
    pub application_name: String,
    /// Certificates that sign the server's, in PEM, where the connection string names none with `sslrootcert`.
    pub tls_ca: Option<PathBuf>,
    /// The session's `TimeZone`.
    pub time_zone: String,
    /// `statement_timeout` and `lock_timeout` that a session starts with; each call sets its own.
    pub statement_timeout: Duration,
    /// One attempt on one address, until the server is ready for a call. The connection string's `connect_timeout` wins.
    pub connect_timeout: Duration,
    /// A connection without a call for so long is closed.
    pub idle_timeout: Duration,
    /// Prepared statements kept on one connection.
    pub prepared: NonZeroUsize,
    /// The most bytes of rows that one call may read before it is cancelled ([`super::DbError::TooLarge`]).
    pub read_limit: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connections: 4,
            queue: 64,
            pooler: false,
            application_name: "tine".to_string(),
            tls_ca: None,
            time_zone: "UTC".to_string(),
            statement_timeout: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(600),
            prepared: const { NonZeroUsize::new(256).unwrap() },
            read_limit: 64 << 20,
        }
    }
}

/// A checked database: everything a pool needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database's name in the configuration, for messages.
    pub name: String,
    pub options: Options,
    pub(super) login: Login,
    pub(super) places: Vec<Place>,
    pub(super) shuffle: bool,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) tls: Option<Arc<Tls>>,
    /// The whole of the connection string, for [`Settings::connect_blocking`].
    pub(super) config: Config,
}

/// Who we are to the server, and which server we accept.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<Vec<u8>>,
    pub(super) application_name: String,
    /// `options` of the connection string: command-line options for the session.
    pub(super) options: Option<String>,
    pub(super) channel_binding: ChannelBinding,
    pub(super) attributes: TargetSessionAttrs,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// One host of the connection string, in the order to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Address(Target),
    /// A name that must be resolved first.
    Name {
        host: String,
        port: u16,
    },
}

/// An address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: Address,
    /// The name that a certificate must carry; `None` for Unix sockets, which need no TLS.
    pub(super) server_name: Option<ServerName<'static>>,
}

/// Why a database's configuration cannot be used. Never has a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    database: String,
    message: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {}: {}", self.database, self.message)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Understands a `postgresql://` URL or a `key=value` string as libpq does (PostgreSQL manual, 34.1.1 "Connection
    /// Strings"), for the parameters that `postgres::Config` knows and `sslmode=verify-ca|verify-full` and `sslrootcert`.
    /// What they refer to is read now, through `files`: a pool never reads a file.
    ///
    /// # Errors
    /// What of the string, the options or the files can't be used.
    pub fn parse(
        name: &str,
        url: &str,
        options: &Options,
        files: &Files,
    ) -> Result<Settings, SettingsError> {
        let fail = |message: String| SettingsError {
            database: name.to_string(),
            message,
        };
        if !(1..=Pool::MAX_CONNECTIONS).contains(&options.connections) {
            return Err(fail(format!(
                "connections is {}; set it to a number from 1 to {}",
                options.connections,
                Pool::MAX_CONNECTIONS
            )));
        }
        let mut parts = url::split(url).map_err(fail)?;
        if parts.root_certificate.is_none() {
            parts.root_certificate = options
                .tls_ca
                .as_ref()
                .map(|file| file.display().to_string());
        }
        let mut config: Config = parts
            .rest
            .parse()
            .map_err(|fault: postgres::Error| fail(describe(&fault)))?;
        let verify = parts.apply_mode(&mut config).map_err(fail)?;
        let places = places(&config).map_err(fail)?;
        let needs_tls = config.get_ssl_mode() != SslMode::Disable
            && places.iter().any(|place| {
                !matches!(
                    place,
                    Place::Address(Target {
                        server_name: None,
                        ..
                    })
                )
            });
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let required = config.get_ssl_mode() == SslMode::Require;
        if direct && !required {
            return Err(fail(
                "sslnegotiation=direct needs sslmode=require or a stronger one".to_string(),
            ));
        }
        let tls = if needs_tls {
            let roots = parts.roots(verify, files).map_err(fail)?;
            let tls = Tls::new(verify, &roots, required, direct, files).map_err(fail)?;
            Some(Arc::new(tls))
        } else {
            None
        };
        let user = match config.get_user() {
            Some(user) => user.to_string(),
            None => files.user().map_err(|fault| {
                fail(match fault {
                    FileError::Unrecorded => format!("the user's name is not known: {fault}"),
                    _ => "the connection string names no user".to_string(),
                })
            })?,
        };
        let login = Login {
            database: config.get_dbname().unwrap_or(&user).to_string(),
            user,
            password: config.get_password().map(<[u8]>::to_vec),
            application_name: config
                .get_application_name()
                .unwrap_or(&options.application_name)
                .to_string(),
            options: config.get_options().map(str::to_string),
            channel_binding: config.get_channel_binding(),
            attributes: config.get_target_session_attrs(),
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(DEFAULT_HOST);
        }
        config.user(&login.user);
        let mut options = options.clone();
        if let Some(&timeout) = config.get_connect_timeout() {
            options.connect_timeout = timeout;
        }
        Ok(Settings {
            name: name.to_string(),
            options,
            login,
            places,
            shuffle: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
            keepalive: Keepalive::of(&config),
            tls,
            config,
        })
    }
}

fn describe(fault: &postgres::Error) -> String {
    let detail = std::error::Error::source(fault)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("the connection string cannot be read{detail}")
}

/// Pairs hosts, addresses and ports as libpq does: lists of equal length, or one port for all.
fn places(config: &Config) -> Result<Vec<Place>, String> {
    let (hosts, addresses, ports) = (
        config.get_hosts(),
        config.get_hostaddrs(),
        config.get_ports(),
    );
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(format!(
            "{} hosts but {} hostaddr; give one address for each host",
            hosts.len(),
            addresses.len()
        ));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(format!(
            "{count} hosts but {} ports; give one port, or one for each host",
            ports.len()
        ));
    }
    let mut places = Vec::with_capacity(count);
    for index in 0..count {
        let port = ports
            .get(index)
            .or(ports.first())
            .copied()
            .unwrap_or(DEFAULT_PORT);
        let default = Host::Unix(PathBuf::from(DEFAULT_HOST));
        let host = hosts.get(index).or(if addresses.is_empty() {
            Some(&default)
        } else {
            None
        });
        places.push(match (host, addresses.get(index)) {
            (Some(Host::Unix(folder)), _) => {
                let socket = folder.join(format!(".s.PGSQL.{port}"));
                Place::Address(Target {
                    address: Address::Unix(socket),
                    server_name: None,
                })
            }
            (Some(Host::Tcp(host)), Some(&ip)) => Place::Address(Target {
                address: Address::Tcp((ip, port).into()),
                server_name: Some(server_name(host)?),
            }),
            (Some(Host::Tcp(host)), None) => match host.parse() {
                Ok(ip) => Place::Address(Target::at(ip, port)),
                Err(_) => {
                    server_name(host)?;
                    Place::Name {
                        host: host.clone(),
                        port,
                    }
                }
            },
            (None, Some(&ip)) => Place::Address(Target::at(ip, port)),
            // Unreachable by the choice of `count`; the default host covers it.
            (None, None) => continue,
        });
    }
    Ok(places)
}

/// The name that the host's certificate must carry.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_string()).map_err(|_| format!("{host:?} is not a host name"))
}

impl Target {
    fn at(ip: std::net::IpAddr, port: u16) -> Target {
        Target {
            address: Address::Tcp((ip, port).into()),
            server_name: Some(ServerName::from(ip)),
        }
    }
}

fn exists(file: &Path, files: &Files) -> Result<bool, String> {
    files
        .exists(file)
        .map_err(|fault| format!("{} cannot be looked for: {fault}", file.display()))
}

impl url::Parts {
    /// Where certificates of authorities come from, by libpq's order.
    fn roots(&self, verify: Verify, files: &Files) -> Result<Roots, String> {
        Ok(match self.root_certificate.as_deref() {
            Some("system") => Roots::System,
            Some(path) => Roots::File(PathBuf::from(path)),
            None if verify == Verify::Nothing => Roots::None,
            None => {
                let file = std::env::var_os("HOME")
                    .map(|home| PathBuf::from(home).join(".postgresql/root.crt"));
                match file {
                    Some(file) if exists(&file, files)? => Roots::File(file),
                    _ => Roots::System,
                }
            }
        })
    }
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
