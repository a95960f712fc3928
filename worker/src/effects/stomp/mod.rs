//! Publishes messages to a STOMP broker: one connection a worker and broker, made on first use, kept while it is used, a receipt awaited
//! for every message.
//!
//! Why this is ours: the clients on crates.io either are async (async-stomp) or have not been kept for years and speak no TLS
//! (stomp). What a publisher needs of STOMP 1.2 is CONNECT, SEND, RECEIPT and ERROR, which is this folder.

mod frame;

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};
use serde_json::Map;

use super::settings::Broker;
use super::{Message, Outcome, Settings, Whose};
use frame::{Frame, encode, take};

/// A connection that was not used for so long may have been forgotten by what stands between: another is made.
const IDLE: Duration = Duration::from_secs(60);

/// The worker's one connection to a broker, and who may use it now.
#[derive(Default)]
pub struct Channel {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    taken: bool,
    idle: Option<Connection>,
}

/// Why a message was not published.
enum StompError {
    /// It was not sent.
    NotSent(String),
    /// It was sent, and no receipt came.
    Unknown(String),
}

/// Publishes; whether the broker has it is known from its receipt alone.
pub fn perform(
    message: &Message,
    settings: &Settings,
    deadline: Instant,
    whose: &Whose,
) -> Outcome {
    let (tool, request) = (whose.tool.as_str(), whose.request.as_str());
    let Some(broker) = settings.brokers.get(&message.broker) else {
        return Outcome::failed(format!("the broker {} is not configured", message.broker));
    };
    let mut fields = Map::new();
    fields.insert("destination".into(), message.destination.clone().into());
    let published = broker.channel.with(deadline, |idle| {
        publish(broker, message, idle, deadline, whose)
    });
    let error = match published {
        Some(Ok(())) => {
            log::info!(tool, request; "broker {}: sent a message to {}", message.broker, message.destination);
            return Outcome::done(fields);
        }
        Some(Err(StompError::NotSent(reason))) => reason,
        Some(Err(StompError::Unknown(reason))) => {
            format!("{reason}; the message may or may not have been delivered")
        }
        None => "other messages were in the way for too long".to_owned(),
    };
    log::error!(
        tool, request;
        "broker {}: no message sent to {}: {error}", message.broker, message.destination
    );
    Outcome {
        fields,
        ..Outcome::failed(format!("the broker {}: {error}", message.broker))
    }
}

impl Channel {
    /// Runs with the idle connection, if there is one, alone; `None`: it was not free in time.
    fn with<T>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Option<Connection>) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        while state.taken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.free.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.taken = true;
        let connection = state.idle.take();
        drop(state);
        // Gives it back also if the work panics.
        let mut held = Held {
            channel: self,
            connection,
        };
        Some(work(&mut held.connection))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Held<'c> {
    channel: &'c Channel,
    connection: Option<Connection>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.taken = false;
        state.idle = self.connection.take();
        self.channel.free.notify_one();
    }
}

fn publish(
    broker: &Broker,
    message: &Message,
    idle: &mut Option<Connection>,
    deadline: Instant,
    whose: &Whose,
) -> Result<(), StompError> {
    let (tool, request) = (whose.tool.as_str(), whose.request.as_str());
    let kept = idle.take().and_then(Connection::usable);
    let mut connection = match kept {
        Some(connection) => connection,
        None => {
            let name = &message.broker;
            log::info!(tool, request; "broker {name}: connecting to {}:{}", broker.host, broker.port);
            let opened = Connection::open(broker, deadline);
            match &opened {
                Ok(_) => log::info!(tool, request; "broker {name}: connected, to send only"),
                Err(reason) => {
                    log::error!(tool, request; "broker {name}: can't connect: {reason}");
                }
            }
            opened.map_err(StompError::NotSent)?
        }
    };
    connection.send(message, deadline)?;
    connection.used = Instant::now();
    *idle = Some(connection);
    Ok(())
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

struct Connection {
    stream: Stream,
    input: Vec<u8>,
    receipts: u64,
    used: Instant,
}

impl Connection {
    fn open(broker: &Broker, deadline: Instant) -> Result<Connection, String> {
        let socket = connect(&broker.host, broker.port, deadline)?;
        let _ = socket.set_nodelay(true);
        let stream = match &broker.tls {
            None => Stream::Plain(socket),
            Some((config, name)) => {
                let session = ClientConnection::new(config.clone(), name.clone())
                    .map_err(|error| format!("TLS can't begin: {error}"))?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        };
        let mut connection = Connection {
            stream,
            input: Vec::new(),
            receipts: 0,
            used: Instant::now(),
        };
        let mut headers = vec![
            ("accept-version", "1.1,1.2"),
            ("host", broker.virtual_host.as_str()),
            // Nothing is said while nothing is to be published, on either side.
            ("heart-beat", "0,0"),
        ];
        if let Some((login, passcode)) = &broker.login {
            headers.extend([("login", login.as_str()), ("passcode", passcode.as_str())]);
        }
        connection.write(&encode("CONNECT", &headers, b""), deadline)?;
        let frame = connection.read(deadline)?;
        match frame.command.as_str() {
            "CONNECTED" => Ok(connection),
            "ERROR" => Err(format!("refused the login: {}", words(&frame))),
            other => Err(format!("answered {other} instead of CONNECTED")),
        }
    }

    /// None when the broker has closed it or has said something meanwhile, or nobody used it for long. A newline is nothing said: brokers
    /// send one behind a frame.
    fn usable(mut self) -> Option<Connection> {
        let blocking = |on: bool, connection: &Connection| connection.socket().set_nonblocking(!on);
        if self.used.elapsed() >= IDLE || blocking(false, &self).is_err() {
            return None;
        }
        let mut chunk = [0; 256];
        let quiet = loop {
            let read = match &mut self.stream {
                Stream::Plain(socket) => socket.read(&mut chunk),
                Stream::Tls(stream) => stream.read(&mut chunk),
            };
            match read {
                Ok(0) => break false,
                Ok(count) => self
                    .input
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        let silent = self.input.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        self.input.clear();
        (quiet && silent && blocking(true, &self).is_ok()).then_some(self)
    }

    fn send(&mut self, message: &Message, deadline: Instant) -> Result<(), StompError> {
        self.receipts += 1;
        let receipt = format!("tine-{}", self.receipts);
        let length = message.body.len().to_string();
        let mut headers = vec![
            ("destination", message.destination.as_str()),
            ("content-length", length.as_str()),
            ("receipt", receipt.as_str()),
        ];
        let own = message.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        let bytes = encode("SEND", &headers, message.body.as_bytes());
        self.write(&bytes, deadline).map_err(StompError::Unknown)?;
        loop {
            let frame = self.read(deadline).map_err(StompError::Unknown)?;
            match frame.command.as_str() {
                "RECEIPT" if frame.header("receipt-id") == Some(&receipt) => return Ok(()),
                // The broker closes the connection behind it (STOMP 1.2, ERROR).
                "ERROR" => {
                    let error = format!("refused the message: {}", words(&frame));
                    return Err(StompError::NotSent(error));
                }
                _ => {}
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Arms the socket so that the next read or write ends by then.
    fn arm(&self, deadline: Instant) -> Result<(), String> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it did not answer in time".to_owned());
        }
        let socket = self.socket();
        socket
            .set_read_timeout(Some(left))
            .and_then(|()| socket.set_write_timeout(Some(left)))
            .map_err(told)
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), String> {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            self.arm(deadline)?;
            let written = match &mut self.stream {
                Stream::Plain(socket) => socket.write(rest),
                Stream::Tls(stream) => stream.write(rest),
            };
            match written {
                Ok(0) => return Err("the connection broke off".to_owned()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
        self.arm(deadline)?;
        match &mut self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.flush().map_err(told),
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<Frame, String> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = take(&mut self.input)? {
                return Ok(frame);
            }
            self.arm(deadline)?;
            let read = match &mut self.stream {
                Stream::Plain(socket) => socket.read(&mut chunk),
                Stream::Tls(stream) => stream.read(&mut chunk),
            };
            match read {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(count) => self
                    .input
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
    }
}

fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, String> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("{host} has no address: {error}"))?;
    let mut last = format!("{host} has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it did not answer in time".to_owned());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == ErrorKind::TimedOut => last = told(error),
            Err(error) => last = format!("{address} can't be reached: {error}"),
        }
    }
    Err(last)
}

fn told(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it did not answer in time".to_owned(),
        _ => format!("the connection failed: {error}"),
    }
}

/// What the broker says of an error, on one line and not too long.
fn words(frame: &Frame) -> String {
    let message = frame.header("message").unwrap_or("no reason given");
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}
