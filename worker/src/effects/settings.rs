//! What the operator allows tools to reach: programs, brokers, private addresses. Plain data, checked before any worker exists; the
//! connections to brokers are the worker's own and made on first use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::address::Network;
use super::cache::Cache;
use super::stomp::Channel;
use crate::files::Files;

#[derive(Debug, Default)]
pub struct Settings {
    pub programs: BTreeMap<String, Program>,
    pub brokers: BTreeMap<String, Broker>,
    /// Private addresses that HTTP requests may go to all the same.
    pub private: Vec<Network>,
    /// The worker's answers of HTTP servers.
    pub cache: Cache,
}

/// A program that tools may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    /// All of its environment beside PATH and LC_ALL.
    pub environment: BTreeMap<String, String>,
}

/// A STOMP broker.
pub struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    /// The virtual host that CONNECT names.
    pub(super) virtual_host: String,
    pub(super) login: Option<(String, String)>,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The worker's one connection to it.
    pub(super) channel: Channel,
}

/// Not the login.
impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a broker can't be used as it is configured; for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerError(pub String);

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BrokerError {}

/// The ports that ActiveMQ and RabbitMQ listen on.
const PORT: u16 = 61613;
const TLS_PORT: u16 = 61614;

impl Broker {
    /// A broker at `stomp://HOST[:PORT]` or `stomp+ssl://HOST[:PORT]`. `tls_ca`: certificates in PEM that sign the broker's; the
    /// system's when not given. The path of the URL is the virtual host, which is the host's name without one.
    ///
    /// # Errors
    /// The URL or the certificates can't be used.
    pub fn new(
        url: &str,
        login: Option<(String, String)>,
        tls_ca: Option<&Path>,
        files: &Files,
    ) -> Result<Broker, BrokerError> {
        let fail = |text: &str| BrokerError(text.to_owned());
        let (tls, rest) = if let Some(rest) = url.strip_prefix("stomp://") {
            (false, rest)
        } else if let Some(rest) = url.strip_prefix("stomp+ssl://") {
            (true, rest)
        } else {
            return Err(fail("a broker's URL begins with stomp:// or stomp+ssl://"));
        };
        let (place, virtual_host) = match rest.split_once('/') {
            Some((place, path)) => (place, path),
            None => (rest, ""),
        };
        if place.contains('@') {
            return Err(fail(
                "a login stands in `login` and `passcode`, not in the URL",
            ));
        }
        let (host, port) = host_and_port(place, if tls { TLS_PORT } else { PORT })
            .ok_or_else(|| fail("a broker's URL is stomp://HOST or stomp://HOST:PORT"))?;
        let tls = match tls {
            true => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    fail("the broker's host is no name that a certificate can have")
                })?;
                Some((Arc::new(tls_config(tls_ca, files)?), name))
            }
            false => None,
        };
        Ok(Broker {
            virtual_host: match virtual_host {
                "" => host.clone(),
                name => name.to_owned(),
            },
            host,
            port,
            login,
            tls,
            channel: Channel::default(),
        })
    }
}

fn host_and_port(place: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn tls_config(tls_ca: Option<&Path>, files: &Files) -> Result<ClientConfig, BrokerError> {
    let mut roots = RootCertStore::empty();
    match tls_ca {
        None => {
            let found = files.system_roots().map_err(|error| {
                BrokerError(format!(
                    "the system's root certificates can't be read: {error}"
                ))
            })?;
            roots.add_parsable_certificates(found);
        }
        Some(path) => {
            let fail = |error: &dyn fmt::Display| {
                BrokerError(format!("tls_ca: can't read {}: {error}", path.display()))
            };
            let pem = files.read(path).map_err(|error| fail(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| fail(&error))?;
                roots.add(certificate).map_err(|error| fail(&error))?;
            }
        }
    }
    if roots.is_empty() {
        return Err(BrokerError(
            "there is no root certificate to trust; give tls_ca a file in PEM form".to_owned(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BrokerError(format!("TLS can't be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_brokers() {
        let make = |url| Broker::new(url, None, None, &Files::disk());
        let broker = make("stomp://mq.example").unwrap();
        assert_eq!((broker.host.as_str(), broker.port), ("mq.example", 61613));
        assert_eq!(broker.virtual_host, "mq.example");
        let broker = make("stomp://[::1]:7000/vhost").unwrap();
        assert_eq!((broker.host.as_str(), broker.port), ("::1", 7000));
        assert_eq!(broker.virtual_host, "vhost");
        for (url, part) in [
            ("tcp://x", "begins with stomp://"),
            ("stomp://me:pw@x", "a login stands in"),
            ("stomp://x:port", "stomp://HOST"),
            ("stomp://", "stomp://HOST"),
        ] {
            let error = make(url).unwrap_err();
            assert!(error.0.contains(part), "{url}: {error}");
        }
    }
}
