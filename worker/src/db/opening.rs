//! From a list of hosts to one ready session: each address in its turn, each with its own deadline. Drives
//! [`Startup`] over a [`Link`]; knows nothing of calls or of the pool.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use mio::{Registry, Token};

use super::link::{Filled, Link};
use super::resolve::{Answer, Question, Resolver};
use super::settings::{Place, Settings, Target, server_name};
use super::socket::{Address, Socket};
use super::startup::{Greeting, Next, Refusal, Startup};
use super::tls;
use super::wire::Garbled;

/// What an opening needs of its surroundings.
pub(super) struct Surroundings<'a> {
    pub(super) settings: &'a Settings,
    pub(super) registry: &'a Registry,
    pub(super) resolver: &'a mut Resolver,
    pub(super) token: Token,
    pub(super) now: Instant,
}

/// A session just opened.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) target: Target,
    pub(super) greeting: Greeting,
}

/// How far it came.
pub(super) enum Progress {
    Pending,
    Open(Box<Opened>),
    /// No address would do. The text names each and its reason.
    Failed(String),
    /// The server is a pooler: begin anew, in pooler mode.
    Pooler(String),
}

/// One session being opened.
pub(super) struct Opening {
    pooler: bool,
    places: VecDeque<Place>,
    stage: Stage,
    deadline: Instant,
    faults: Vec<String>,
}

enum Stage {
    /// Between two places.
    Choosing,
    Resolving(Question),
    Attempting(Box<Attempt>),
}

/// One address, with or without TLS.
struct Attempt {
    target: Target,
    encrypt: bool,
    link: Link,
    /// `None` while the socket is connecting.
    startup: Option<Startup>,
    next: Next,
}

enum Stop {
    Refused(Refusal),
    /// TLS itself failed.
    Handshake(io::Error),
    Io(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<Garbled> for Stop {
    fn from(garbled: Garbled) -> Stop {
        Stop::Refused(garbled.into())
    }
}

impl From<io::Error> for Stop {
    fn from(fault: io::Error) -> Stop {
        Stop::Io(fault)
    }
}

impl Opening {
    /// Starts with the first place, or with `known`, an address that works. `spin` chooses where to start when the hosts
    /// share the load.
    pub(super) fn begin(
        pooler: bool,
        known: Option<Target>,
        spin: usize,
        around: &mut Surroundings<'_>,
    ) -> (Opening, Progress) {
        let mut places: VecDeque<Place> = around.settings.places.iter().cloned().collect();
        if around.settings.shuffle {
            let count = places.len().max(1);
            places.rotate_left(spin % count);
        }
        if let Some(target) = known {
            places.push_front(Place::Address(target));
        }
        let mut opening = Opening {
            pooler,
            places,
            stage: Stage::Choosing,
            deadline: around.now,
            faults: Vec::new(),
        };
        let progress = opening.choose(around);
        (opening, progress)
    }

    /// When the address being tried has had its time.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The deadline has passed: on to the next address.
    pub(super) fn expire(&mut self, around: &mut Surroundings<'_>) -> Progress {
        let seconds = around.settings.options.connect_timeout.as_secs_f32();
        match std::mem::replace(&mut self.stage, Stage::Choosing) {
            Stage::Choosing => {}
            Stage::Resolving(question) => {
                self.fault(&question.host, &format!("no address within {seconds} s"))
            }
            Stage::Attempting(attempt) => {
                self.fault(
                    &attempt.target.address.to_string(),
                    &format!("no answer within {seconds} s"),
                );
            }
        }
        self.choose(around)
    }

    /// A name was resolved, maybe ours.
    pub(super) fn resolved(&mut self, answer: &Answer, around: &mut Surroundings<'_>) -> Progress {
        match &self.stage {
            Stage::Resolving(question) if *question == answer.question => {}
            _ => return Progress::Pending,
        }
        self.stage = Stage::Choosing;
        match (&answer.addresses, server_name(&answer.question.host)) {
            (Ok(addresses), Ok(name)) => {
                for &address in addresses.iter().rev() {
                    let target = Target {
                        address: Address::Tcp(address),
                        server_name: Some(name.clone()),
                    };
                    self.places.push_front(Place::Address(target));
                }
            }
            (Err(reason), _) => self.fault(&answer.question.host, reason),
            (_, Err(reason)) => self.fault(&answer.question.host, &reason),
        }
        self.choose(around)
    }

    /// The socket is ready for something.
    pub(super) fn ready(&mut self, hung_up: bool, around: &mut Surroundings<'_>) -> Progress {
        match std::mem::replace(&mut self.stage, Stage::Choosing) {
            Stage::Attempting(attempt) => match self.advance(attempt, hung_up, around) {
                Some(progress) => progress,
                None => self.choose(around),
            },
            other => {
                self.stage = other;
                Progress::Pending
            }
        }
    }

    /// Tries places until one is under way.
    fn choose(&mut self, around: &mut Surroundings<'_>) -> Progress {
        while let Some(place) = self.places.pop_front() {
            self.deadline = around.now + around.settings.options.connect_timeout;
            match place {
                Place::Name { host, port } => {
                    let question = Question { host, port };
                    match around.resolver.ask(&question, around.now) {
                        Ok(()) => {
                            self.stage = Stage::Resolving(question);
                            return Progress::Pending;
                        }
                        Err(reason) => self.fault(&question.host, &reason),
                    }
                }
                Place::Address(target) => {
                    let encrypt = around.settings.tls.is_some() && target.server_name.is_some();
                    if let Some(progress) = self.attempt(target, encrypt, around) {
                        return progress;
                    }
                }
            }
        }
        Progress::Failed(std::mem::take(&mut self.faults).join("; "))
    }

    fn attempt(
        &mut self,
        target: Target,
        encrypt: bool,
        around: &mut Surroundings<'_>,
    ) -> Option<Progress> {
        let keepalive = around.settings.keepalive;
        match Socket::connect(&target.address, keepalive, around.registry, around.token) {
            Ok(socket) => {
                let link = Link::new(socket);
                let attempt = Attempt {
                    target,
                    encrypt,
                    link,
                    startup: None,
                    next: Next::Read,
                };
                self.advance(Box::new(attempt), false, around)
            }
            Err(fault) => {
                self.fault(&target.address.to_string(), &fault.to_string());
                None
            }
        }
    }

    /// `None`: this address would not do, and its fault is noted.
    fn advance(
        &mut self,
        mut attempt: Box<Attempt>,
        hung_up: bool,
        around: &mut Surroundings<'_>,
    ) -> Option<Progress> {
        let stop = match attempt.drive(self.pooler, hung_up, around.settings) {
            Ok(true) => {
                let greeting = attempt
                    .startup
                    .as_ref()
                    .map(|startup| startup.greeting().clone())
                    .unwrap_or_default();
                let opened = Opened {
                    link: attempt.link,
                    target: attempt.target,
                    greeting,
                };
                return Some(Progress::Open(Box::new(opened)));
            }
            Ok(false) => {
                self.stage = Stage::Attempting(attempt);
                return Some(Progress::Pending);
            }
            Err(stop) => stop,
        };
        if let Stop::Refused(refusal @ Refusal::Pooler(_)) = &stop {
            return Some(Progress::Pooler(refusal.to_string()));
        }
        // sslmode=prefer means what libpq means: encryption if it works, else without (a pg_hba.conf may have only `hostnossl`).
        let optional =
            attempt.encrypt && !around.settings.tls.as_ref().is_some_and(|tls| tls.required);
        let encryption_failed = match &stop {
            Stop::Handshake(_) => true,
            Stop::Refused(Refusal::Server(error)) => error.sqlstate == "28000",
            _ => false,
        };
        let reason = match stop {
            Stop::Refused(refusal) => refusal.to_string(),
            Stop::Handshake(fault) => format!("TLS failed: {fault}"),
            Stop::Io(fault) => fault.to_string(),
        };
        self.fault(&attempt.target.address.to_string(), &reason);
        if optional && encryption_failed {
            return self.attempt(attempt.target, false, around);
        }
        None
    }

    fn fault(&mut self, place: &str, reason: &str) {
        self.faults.push(format!("{place}: {reason}"));
    }
}

impl Attempt {
    /// Goes as far as the bytes at hand allow. True once the session is ready.
    fn drive(&mut self, pooler: bool, hung_up: bool, settings: &Settings) -> Result<bool, Stop> {
        if self.startup.is_none() {
            if !self.link.connected()? {
                return Ok(false);
            }
            let (startup, next) =
                Startup::begin(settings, self.encrypt, pooler, &mut self.link.output)?;
            self.startup = Some(startup);
            self.follow(next, settings)?;
        }
        self.link.flush()?;
        loop {
            let filled = self.link.fill(hung_up).map_err(|fault| match self.next {
                Next::Handshake => Stop::Handshake(fault),
                _ => Stop::Io(fault),
            })?;
            if self.consume(settings)? {
                return Ok(true);
            }
            self.link.flush()?;
            match filled {
                Filled::More => {}
                Filled::Drained => return Ok(false),
                Filled::Closed => {
                    let closed =
                        io::Error::other("the server closed the connection during the login");
                    return Err(if self.next == Next::Handshake {
                        Stop::Handshake(closed)
                    } else {
                        closed.into()
                    });
                }
            }
        }
    }

    /// Everything that was received.
    fn consume(&mut self, settings: &Settings) -> Result<bool, Stop> {
        let Some(startup) = &mut self.startup else {
            return Ok(false);
        };
        loop {
            let next = match self.next {
                Next::Ready => return Ok(true),
                Next::Handshake => match self.link.tls() {
                    Some(session) if !session.is_handshaking() => {
                        let binding = tls::end_point_binding(session);
                        startup.secured(binding, &mut self.link.output)?
                    }
                    _ => return Ok(false),
                },
                Next::ReadByte => match self.link.input.byte() {
                    Some(_) if !self.link.input.is_empty() => {
                        return Err(Garbled(
                            "bytes in the clear after the answer to a request for TLS",
                        )
                        .into());
                    }
                    Some(byte) => {
                        let next = startup.answered(byte, &mut self.link.output)?;
                        if next == Next::Handshake {
                            secure(&mut self.link, &self.target, settings)?;
                        }
                        next
                    }
                    None => return Ok(false),
                },
                Next::Read => match self.link.input.message()? {
                    Some((tag, body)) => startup.message(tag, body, &mut self.link.output)?,
                    None => return Ok(false),
                },
            };
            self.next = next;
        }
    }

    fn follow(&mut self, next: Next, settings: &Settings) -> Result<(), Stop> {
        if next == Next::Handshake {
            secure(&mut self.link, &self.target, settings)?;
        }
        self.next = next;
        Ok(())
    }
}

/// Turns TLS on towards `target`.
pub(super) fn secure(link: &mut Link, target: &Target, settings: &Settings) -> io::Result<()> {
    let (Some(tls), Some(name)) = (&settings.tls, &target.server_name) else {
        return Err(io::Error::other("TLS was not asked for"));
    };
    link.secure(tls.session(name).map_err(io::Error::other)?);
    Ok(())
}
