//! One cancel request on a connection of its own (PostgreSQL manual, 55.2.8 "Canceling Requests in Progress"). Encrypted
//! where its session is, as libpq's PQcancelBlocking does, because the secret key must not travel in the clear.
//! The server closes the connection after it has passed the signal on: until then a cancel could hit a later call.

use std::io;

use bytes::BytesMut;
use mio::{Registry, Token};
use postgres_protocol::message::frontend;

use super::link::{Filled, Link};
use super::opening::secure;
use super::settings::{Settings, Target};
use super::socket::Socket;

/// How it stands with a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    /// Delivered, or certainly never sent: no late cancel can come of it.
    Over,
    /// Sent, but its end was not seen: the session must not be used again.
    Unknown,
}

/// A cancel request under way.
pub(super) struct Cancel {
    link: Link,
    target: Target,
    request: BytesMut,
    encrypt: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Encryption,
    Handshake,
    Sent,
}

impl Cancel {
    /// Connects to the address of the session that `key` names.
    pub(super) fn begin(
        target: &Target,
        key: (i32, i32),
        encrypt: bool,
        settings: &Settings,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Cancel> {
        let socket = Socket::connect(&target.address, settings.keepalive, registry, token)?;
        let mut request = BytesMut::new();
        frontend::cancel_request(key.0, key.1, &mut request);
        let link = Link::new(socket);
        Ok(Cancel {
            link,
            target: target.clone(),
            request,
            encrypt,
            stage: Stage::Connecting,
        })
    }

    /// The socket is ready for something (or was just made).
    pub(super) fn ready(&mut self, hung_up: bool, settings: &Settings) -> Standing {
        match self.drive(hung_up, settings) {
            Ok(standing) => standing,
            Err(_) if self.stage == Stage::Sent => Standing::Unknown,
            Err(fault) => {
                log::warn!(
                    "database {}: a cancel request could not be sent: {fault}",
                    settings.name
                );
                Standing::Over
            }
        }
    }

    fn drive(&mut self, hung_up: bool, settings: &Settings) -> io::Result<Standing> {
        if self.stage == Stage::Connecting {
            if !self.link.connected()? {
                return Ok(Standing::Pending);
            }
            match &settings.tls {
                Some(tls) if self.encrypt && tls.direct => {
                    secure(&mut self.link, &self.target, settings)?;
                    self.stage = Stage::Handshake;
                }
                Some(_) if self.encrypt => {
                    frontend::ssl_request(&mut self.link.output);
                    self.stage = Stage::Encryption;
                }
                _ => self.send(),
            }
        }
        self.link.flush()?;
        loop {
            let filled = self.link.fill(hung_up)?;
            match self.stage {
                Stage::Encryption => match self.link.input.byte() {
                    Some(b'S') if self.link.input.is_empty() => {
                        secure(&mut self.link, &self.target, settings)?;
                        self.stage = Stage::Handshake;
                    }
                    Some(_) => return Err(io::Error::other("the server refused TLS for it")),
                    None => {}
                },
                Stage::Handshake
                    if self
                        .link
                        .tls()
                        .is_some_and(|session| !session.is_handshaking()) =>
                {
                    self.send()
                }
                _ => {}
            }
            self.link.flush()?;
            match filled {
                Filled::More => {}
                Filled::Drained => return Ok(Standing::Pending),
                Filled::Closed if self.stage == Stage::Sent => return Ok(Standing::Over),
                Filled::Closed => return Err(io::Error::other("the server closed the connection")),
            }
        }
    }

    fn send(&mut self) {
        self.link.output.extend_from_slice(&self.request);
        self.stage = Stage::Sent;
    }
}
