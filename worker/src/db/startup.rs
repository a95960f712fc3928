//! From a connected socket to a session that is ready for calls: SSLRequest, StartupMessage, authentication, and the
//! check of `target_session_attrs` (PostgreSQL manual, 55.2.1 "Start-up"). A pure state machine: messages in, messages
//! out; it never touches a socket.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::{ChannelBinding, TargetSessionAttrs};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::frontend;

use super::job::ServerError;
use super::settings::{Login, Settings};
use super::wire::{self, Columns, Garbled, Report};

/// The server's own session-idle guard: a worker that dies between BEGIN and COMMIT leaves locks no longer than this.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

/// What the machine wants next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send what was written, and bring what the server answers.
    Read,
    /// Send what was written, bring one byte with [`Startup::answered`].
    ReadByte,
    /// Make the TLS handshake, then call [`Startup::secured`].
    Handshake,
    /// The session is ready.
    Ready,
}

/// What the server told about itself and the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Process id and secret for a cancel request.
    pub(super) key: Option<(i32, i32)>,
    /// The session reported `default_transaction_read_only = on`, which PostgreSQL 14 and newer do.
    pub(super) read_only: bool,
    /// Major version, 0 when it is not told.
    pub(super) version: u32,
}

/// Why no session came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server said no.
    Server(Box<ServerError>),
    /// A pooler does not take session parameters at the start.
    Pooler(Box<ServerError>),
    /// We said no: no TLS, an authentication method that we don't have, the wrong kind of server.
    Ours(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Server(error) | Refusal::Pooler(error) => {
                write!(f, "{} ({})", error.message, error.sqlstate)
            }
            Refusal::Ours(reason) => f.write_str(reason),
        }
    }
}

impl From<Garbled> for Refusal {
    fn from(garbled: Garbled) -> Refusal {
        Refusal::Ours(garbled.to_string())
    }
}

enum State {
    /// SSLRequest is sent: `S` or `N`.
    Encryption,
    Handshake,
    /// StartupMessage is sent.
    Authentication,
    Scram(Box<ScramSha256>),
    /// The server proved that it knows the password as well.
    Proven,
    /// Logged in: parameters, key, ReadyForQuery.
    Parameters,
    /// Asked whether the server is a standby.
    Attributes {
        standby: Option<bool>,
    },
    Ready,
}

/// One attempt to start a session.
pub(super) struct Startup {
    state: State,
    parameters: Vec<(&'static str, String)>,
    login: Login,
    pooler: bool,
    tls_required: bool,
    /// `Some` while TLS is on; the inner value is the certificate's binding.
    binding: Option<Option<Vec<u8>>>,
    greeting: Greeting,
}

impl Startup {
    /// `encrypt`: whether to ask for TLS here (never on a Unix socket, nor in a second attempt without it).
    pub(super) fn begin(
        settings: &Settings,
        encrypt: bool,
        pooler: bool,
        out: &mut BytesMut,
    ) -> Result<(Startup, Next), Refusal> {
        let tls = settings.tls.as_ref();
        let mut startup = Startup {
            state: State::Authentication,
            parameters: parameters(settings, pooler),
            login: settings.login.clone(),
            pooler,
            tls_required: tls.is_some_and(|tls| tls.required),
            binding: None,
            greeting: Greeting::default(),
        };
        if !encrypt {
            startup.send_startup(out)?;
            return Ok((startup, Next::Read));
        }
        if tls.is_some_and(|tls| tls.direct) {
            startup.state = State::Handshake;
            return Ok((startup, Next::Handshake));
        }
        frontend::ssl_request(out);
        startup.state = State::Encryption;
        Ok((startup, Next::ReadByte))
    }

    /// The byte that answers SSLRequest. The caller has made sure that no further byte came with it: an attacker could
    /// have put it there in the clear (CVE-2021-23222).
    pub(super) fn answered(&mut self, byte: u8, out: &mut BytesMut) -> Result<Next, Refusal> {
        match byte {
            b'S' => {
                self.state = State::Handshake;
                Ok(Next::Handshake)
            }
            b'N' if self.tls_required => Err(Refusal::Ours(
                "the server has no TLS, and sslmode requires it".to_string(),
            )),
            b'N' => {
                self.send_startup(out)?;
                Ok(Next::Read)
            }
            _ => Err(Refusal::Ours(
                "the server does not understand a request for TLS".to_string(),
            )),
        }
    }

    /// The handshake is done; `binding` as of [`super::tls::end_point_binding`].
    pub(super) fn secured(
        &mut self,
        binding: Option<Vec<u8>>,
        out: &mut BytesMut,
    ) -> Result<Next, Refusal> {
        self.binding = Some(binding);
        self.send_startup(out)?;
        Ok(Next::Read)
    }

    /// What the server told; complete once [`Next::Ready`] was returned.
    pub(super) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// One message of the server.
    pub(super) fn message(
        &mut self,
        tag: u8,
        mut body: &[u8],
        out: &mut BytesMut,
    ) -> Result<Next, Refusal> {
        match (tag, &mut self.state) {
            (
                wire::NOTICE_RESPONSE_TAG | wire::NEGOTIATE_TAG | wire::NOTIFICATION_RESPONSE_TAG,
                _,
            ) => {}
            (wire::ERROR_RESPONSE_TAG, _) => return Err(self.refused(Report::of(body)?)),
            (wire::AUTHENTICATION_TAG, State::Authentication | State::Scram(_) | State::Proven) => {
                self.authenticate(wire::take_i32(&mut body)?, body, out)?;
            }
            (wire::PARAMETER_STATUS_TAG, _) => {
                let (name, value) = (wire::take_text(&mut body)?, wire::take_text(&mut body)?);
                match name {
                    b"default_transaction_read_only" => self.greeting.read_only = value == b"on",
                    b"server_version" => self.greeting.version = major_version(value),
                    _ => {}
                }
            }
            (wire::BACKEND_KEY_DATA_TAG, State::Parameters) => {
                self.greeting.key = Some((wire::take_i32(&mut body)?, wire::take_i32(&mut body)?));
            }
            (wire::READY_FOR_QUERY_TAG, State::Parameters) => {
                if self.login.attributes == TargetSessionAttrs::Any {
                    self.state = State::Ready;
                    return Ok(Next::Ready);
                }
                // Our own default is read only, so `transaction_read_only` would tell nothing about the server.
                frontend::query("SELECT pg_catalog.pg_is_in_recovery()", out)
                    .map_err(unsendable)?;
                self.state = State::Attributes { standby: None };
            }
            (wire::DATA_ROW_TAG, State::Attributes { standby }) => {
                *standby = Columns::of(body)?
                    .next()?
                    .flatten()
                    .map(|value| value == b"t");
            }
            (wire::ROW_DESCRIPTION_TAG | wire::COMMAND_COMPLETE_TAG, State::Attributes { .. }) => {}
            (wire::READY_FOR_QUERY_TAG, State::Attributes { standby }) => {
                let standby = standby.ok_or(Garbled("no answer to whether it is a standby"))?;
                match (self.login.attributes, standby) {
                    (TargetSessionAttrs::ReadWrite, true) => {
                        return Err(Refusal::Ours(
                            "it is a standby (target_session_attrs=read-write)".to_string(),
                        ));
                    }
                    (TargetSessionAttrs::ReadOnly, false) => {
                        return Err(Refusal::Ours(
                            "it is the primary (target_session_attrs=read-only)".to_string(),
                        ));
                    }
                    _ => {}
                }
                self.state = State::Ready;
                return Ok(Next::Ready);
            }
            _ => return Err(Garbled("an unexpected message during the login").into()),
        }
        Ok(Next::Read)
    }

    fn send_startup(&mut self, out: &mut BytesMut) -> Result<(), Refusal> {
        let parameters = self
            .parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        frontend::startup_message(parameters, out).map_err(unsendable)?;
        self.state = State::Authentication;
        Ok(())
    }

    fn refused(&self, report: Report) -> Refusal {
        let error = Box::new(report.error);
        // pgbouncer: "unsupported startup parameter: statement_timeout", protocol_violation.
        if !self.pooler && error.sqlstate == "08P01" && error.message.contains("startup parameter")
        {
            Refusal::Pooler(error)
        } else {
            Refusal::Server(error)
        }
    }

    /// An Authentication message: `kind` by "Message Formats" of the manual.
    fn authenticate(
        &mut self,
        kind: i32,
        mut body: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let binding_required = self.login.channel_binding == ChannelBinding::Require;
        match (kind, &mut self.state) {
            (0, State::Scram(_)) => {
                return Err(Refusal::Ours(
                    "the server did not prove that it knows the password".to_string(),
                ));
            }
            (0, State::Authentication) if binding_required => {
                return Err(Refusal::Ours(
                    "the server asked for no channel binding (channel_binding=require)".to_string(),
                ));
            }
            (0, _) => self.state = State::Parameters,
            (3 | 5, State::Authentication) if binding_required => {
                return Err(Refusal::Ours(
                    "the server offers no channel binding (channel_binding=require)".to_string(),
                ));
            }
            (3, State::Authentication) => {
                frontend::password_message(self.password()?, out).map_err(unsendable)?
            }
            (5, State::Authentication) => {
                let salt = body
                    .first_chunk()
                    .ok_or(Garbled("an md5 request without its salt"))?;
                let hash = md5_hash(self.login.user.as_bytes(), self.password()?, *salt);
                frontend::password_message(hash.as_bytes(), out).map_err(unsendable)?;
            }
            (10, State::Authentication) => {
                let (mut plain, mut plus) = (false, false);
                loop {
                    match wire::take_text(&mut body)? {
                        b"" => break,
                        name if name == sasl::SCRAM_SHA_256.as_bytes() => plain = true,
                        name if name == sasl::SCRAM_SHA_256_PLUS.as_bytes() => plus = true,
                        _ => {}
                    }
                }
                let (mechanism, binding) = self.choose_mechanism(plain, plus)?;
                let scram = ScramSha256::new(self.password()?, binding);
                frontend::sasl_initial_response(mechanism, scram.message(), out)
                    .map_err(unsendable)?;
                self.state = State::Scram(Box::new(scram));
            }
            (11, State::Scram(scram)) => {
                scram.update(body).map_err(unproven)?;
                frontend::sasl_response(scram.message(), out).map_err(unsendable)?;
            }
            (12, State::Scram(scram)) => {
                scram.finish(body).map_err(unproven)?;
                self.state = State::Proven;
            }
            (2 | 6..=9, State::Authentication) => {
                return Err(Refusal::Ours(
                    "the server asks for Kerberos, GSSAPI or SSPI, which are not supported; use scram-sha-256".to_string(),
                ));
            }
            _ => return Err(Garbled("an unexpected step of the authentication").into()),
        }
        Ok(())
    }

    /// SCRAM with or without channel binding, by libpq's rules for `channel_binding` (manual, 34.1.2).
    fn choose_mechanism(
        &mut self,
        plain: bool,
        plus: bool,
    ) -> Result<(&'static str, sasl::ChannelBinding), Refusal> {
        let wanted = self.login.channel_binding;
        match &mut self.binding {
            Some(binding) if plus && wanted != ChannelBinding::Disable => {
                if let Some(binding) = binding.take() {
                    return Ok((
                        sasl::SCRAM_SHA_256_PLUS,
                        sasl::ChannelBinding::tls_server_end_point(binding),
                    ));
                }
            }
            _ => {}
        }
        if wanted == ChannelBinding::Require {
            return Err(Refusal::Ours(
                "channel binding is not possible here (channel_binding=require)".to_string(),
            ));
        }
        if !plain {
            return Err(Refusal::Ours(
                "the server offers no SASL mechanism that we know (SCRAM-SHA-256)".to_string(),
            ));
        }
        // "We could, but the server did not offer it" lets the server notice a removed offer; a deliberate no must not say so.
        let could = self.binding.is_some() && !plus && wanted != ChannelBinding::Disable;
        let binding = if could {
            sasl::ChannelBinding::unrequested()
        } else {
            sasl::ChannelBinding::unsupported()
        };
        Ok((sasl::SCRAM_SHA_256, binding))
    }

    fn password(&self) -> Result<&[u8], Refusal> {
        self.login.password.as_deref().ok_or_else(|| {
            Refusal::Ours(
                "the server asks for a password, and the connection string has none".to_string(),
            )
        })
    }
}

fn unsendable(fault: std::io::Error) -> Refusal {
    Refusal::Ours(format!("a setting cannot be sent: {fault}"))
}

fn unproven(fault: std::io::Error) -> Refusal {
    Refusal::Ours(format!("SCRAM authentication failed: {fault}"))
}

/// `15.4 (Debian ...)` is 15, `9.6.1` is 9.
fn major_version(text: &[u8]) -> u32 {
    text.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |version, digit| {
            version
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit - b'0'))
        })
}

/// The session's parameters. A transaction pooler shares sessions among clients: it takes only those that it restores
/// for each client (pgbouncer's `track_extra_parameters` and the ones built in), so limits and read-only go into each transaction.
fn parameters(settings: &Settings, pooler: bool) -> Vec<(&'static str, String)> {
    let login = &settings.login;
    let millis = |duration: Duration| duration.as_millis().to_string();
    let mut list = vec![
        ("user", login.user.clone()),
        ("database", login.database.clone()),
        ("application_name", login.application_name.clone()),
        ("client_encoding", "UTF8".to_string()),
        ("DateStyle", "ISO".to_string()),
        ("TimeZone", settings.options.time_zone.clone()),
    ];
    if let Some(options) = &login.options {
        list.push(("options", options.clone()));
    }
    // Compiling a plan to machine code takes seconds, when most calls take milliseconds. An operator who wants it says so.
    let mentions_jit = |options: &String| options.contains("jit");
    if !pooler && !login.options.as_ref().is_some_and(mentions_jit) {
        list.push(("jit", "off".to_string()));
    }
    if !pooler {
        list.extend([
            ("default_transaction_read_only", "on".to_string()),
            (
                "statement_timeout",
                millis(settings.options.statement_timeout),
            ),
            ("lock_timeout", millis(settings.options.statement_timeout)),
            (
                "idle_in_transaction_session_timeout",
                millis(IDLE_IN_TRANSACTION),
            ),
        ]);
    }
    list
}

#[cfg(test)]
#[path = "startup_test.rs"]
mod tests;
