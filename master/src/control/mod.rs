//! The master's control socket: a few local clients, each with one order, and their answers.
//!
//! It knows descriptors and lines, and nothing of what an order does: [`ControlSocket::turn`] yields orders, and whoever
//! carries them out says how they went. Nothing here blocks, and everything is bounded: clients, bytes, and the time
//! that one may take, except to wait for an outcome. So the worst that a client can do to the master is to leave.
//!
//! The socket follows HAProxy's stats socket of the master (one order a line, an answer that ends). Who may speak is the
//! kernel's word, SO_PEERCRED of unix(7), and the file's mode only a first gate.

mod conversation;
mod error;
mod handover;
mod order;
#[cfg(test)]
mod tests;

use std::fs::DirBuilder;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    MsgFlags, SockFlag, accept4, getsockopt, recv, send, sockopt::PeerCredentials,
};
use nix::unistd::{Uid, geteuid};
use serde::{Deserialize, Serialize};

use crate::backoff::Time;
use crate::listen::{SocketFile, bind_file};
use conversation::{Conversation, ORDER_BYTES};

pub use error::ControlError;
pub(crate) use handover::Kept;
pub use order::{Order, Outcome};

/// Clients at a time.
pub const MOST_CLIENTS: usize = 16;
/// Connections taken before the rest of the master gets its turn.
const ACCEPTS_A_TURN: usize = 16;
/// Connections that the kernel keeps until they are taken.
const BACKLOG: u32 = 64;
/// How long the listener is left alone when the system cannot give a descriptor: it would be readable all the time.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A client, for as long as the socket lives; never given twice, so that what comes late misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientId(pub(crate) u64);

/// The socket, bound and listening, and its clients.
#[derive(Debug)]
pub struct ControlSocket {
    listener: OwnedFd,
    file: SocketFile,
    clients: Vec<Client>,
    next_id: u64,
    deaf_until: Option<Time>,
    /// The configuration of the server, in words that its clients use too; see [`ControlSocket::belonging_to`].
    owner: Option<String>,
}

#[derive(Debug)]
struct Client {
    id: ClientId,
    fd: OwnedFd,
    conversation: Conversation,
}

impl ControlSocket {
    /// Binds the socket at `path`, which only this user and root may connect to. Its folder is made when it is missing, a
    /// dead server's file replaced. The process must have one thread, because the file mode mask is changed for a moment.
    ///
    /// # Errors
    /// The folder cannot be made, or the socket cannot be bound; a living server's never is.
    pub fn bind(path: &Path) -> Result<ControlSocket, ControlError> {
        make_folder(path)?;
        let (listener, file) = bind_file(path, 0o600, BACKLOG).map_err(ControlError::Bind)?;
        Ok(ControlSocket {
            listener,
            file,
            clients: Vec::new(),
            next_id: 0,
            deaf_until: None,
            owner: None,
        })
    }

    /// Whose socket it is. An order that names somebody else, after a tab, came to a place that two servers derive alike, and is refused.
    #[must_use]
    pub fn belonging_to(self, owner: String) -> ControlSocket {
        ControlSocket {
            owner: Some(owner),
            ..self
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// What to wait for before the next [`ControlSocket::turn`]. A client that waits is watched for its end alone.
    pub fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener =
            (self.deaf_until.is_none()).then(|| (self.listener.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().map(|client| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, client.conversation.missing() > 0);
            flags.set(PollFlags::POLLOUT, !client.conversation.unsaid().is_empty());
            (client.fd.as_fd(), flags)
        });
        listener.into_iter().chain(clients)
    }

    /// When to take the next turn, whatever the descriptors say.
    pub fn next_deadline(&self) -> Option<Time> {
        let clients = self.clients.iter();
        let deadlines = clients.filter_map(|client| client.conversation.deadline());
        deadlines.chain(self.deaf_until).min()
    }

    /// Does all that can be done without waiting: takes connections, reads orders, writes answers, drops who is too slow.
    /// Returns the orders that are whole now; each is to be answered with [`ControlSocket::finish`].
    pub fn turn(&mut self, now: Time) -> Vec<(ClientId, Order)> {
        let mut orders = Vec::new();
        if self.deaf_until.is_some_and(|until| now >= until) {
            self.deaf_until = None;
        }
        let owner = self.owner.as_deref();
        for client in &mut self.clients {
            client.turn(now, owner, &mut orders);
        }
        self.forget_the_gone();
        if self.deaf_until.is_none() {
            self.accept(now, &mut orders);
            self.forget_the_gone();
        }
        orders
    }

    /// Whether the client is still there, as far as the last turn saw.
    pub fn has(&self, id: ClientId) -> bool {
        self.clients.iter().any(|client| client.id == id)
    }

    /// Says how the order goes on. Nothing happens when the client has left.
    pub fn tell(&mut self, now: Time, id: ClientId, text: &str) {
        if let Some(client) = self.client(id) {
            client.conversation.tell(now, text);
            client.write();
        }
    }

    /// Says how the order ended; the connection ends when that is read. Nothing happens when the client has left.
    pub fn finish(&mut self, now: Time, id: ClientId, outcome: &Outcome) {
        if let Some(client) = self.client(id) {
            client.conversation.finish(now, outcome);
            client.write();
        }
        self.forget_the_gone();
    }

    /// Ends the socket with the pool: whoever still waits gets its last word, and the file is removed if it is still ours.
    /// These connections are left to the end of the process, so that their end says that the process is gone.
    pub fn leave(mut self, now: Time, outcome: impl Fn(Order) -> Outcome) {
        self.file.remove();
        for mut client in self.clients.drain(..) {
            if let Some(order) = client.conversation.waits_for() {
                client.conversation.finish(now, &outcome(order));
                client.write();
                let _ = client.fd.into_raw_fd();
            }
        }
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    fn forget_the_gone(&mut self) {
        self.clients.retain(|client| {
            let gone = client.conversation.is_gone();
            if gone {
                client.discard_unread();
            }
            !gone
        });
    }

    fn accept(&mut self, now: Time, orders: &mut Vec<(ClientId, Order)>) {
        for _ in 0..ACCEPTS_A_TURN {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            match accept4(self.listener.as_raw_fd(), flags) {
                // SAFETY: accept4(2) has just made the descriptor, and nobody else has it.
                Ok(number) => self.welcome(now, unsafe { OwnedFd::from_raw_fd(number) }, orders),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(error) => {
                    log::warn!("the control socket takes no connection for a second: {error}");
                    self.deaf_until = Some(now.saturating_add(ACCEPT_PAUSE));
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, now: Time, fd: OwnedFd, orders: &mut Vec<(ClientId, Order)>) {
        let mut client = Client {
            id: ClientId(self.next_id),
            fd,
            conversation: Conversation::new(now),
        };
        self.next_id += 1;
        if !may_speak(&client.fd) {
            return client
                .dismiss("only root and the user that the server runs as may give it orders");
        }
        if self.clients.len() >= MOST_CLIENTS {
            // One that has said nothing makes room, so that silent clients cannot keep an operator out.
            let mut clients = self.clients.iter();
            let silent = clients.position(|client| client.conversation.missing() > 0);
            let Some(silent) = silent else {
                return client.dismiss(TOO_MANY);
            };
            self.clients.remove(silent).dismiss(TOO_MANY);
        }
        client.turn(now, self.owner.as_deref(), orders);
        self.clients.push(client);
    }
}

const TOO_MANY: &str = "too many clients at a time; try again";

fn may_speak(fd: &OwnedFd) -> bool {
    getsockopt(fd, PeerCredentials).is_ok_and(|peer| {
        let peer = Uid::from_raw(peer.uid());
        peer.is_root() || peer == geteuid()
    })
}

impl Client {
    fn turn(&mut self, now: Time, owner: Option<&str>, orders: &mut Vec<(ClientId, Order)>) {
        self.write();
        if let Some(order) = self.read(now) {
            match (self.conversation.meant_for(), owner) {
                (Some(whom), Some(owner)) if whom != owner => {
                    let text = format!(
                        "the server here is that of {}, not of {}: name the other one's socket with --control",
                        named(owner),
                        named(&whom)
                    );
                    self.conversation.finish(now, &Outcome::no(text));
                }
                _ => {
                    self.log(order);
                    orders.push((self.id, order));
                }
            }
        }
        self.write();
        if self.has_left() {
            self.conversation.lost();
        }
        self.conversation.tick(now);
    }

    fn log(&self, order: Order) {
        // Whoever watches asks often, and changes nothing.
        let level = match order {
            Order::Status => log::Level::Debug,
            _ => log::Level::Info,
        };
        if let Ok(peer) = getsockopt(&self.fd, PeerCredentials) {
            let (pid, uid) = (peer.pid(), peer.uid());
            log::log!(level, "order from process {pid} of user {uid}: {order}");
        }
    }

    fn read(&mut self, now: Time) -> Option<Order> {
        let mut buffer = [0; ORDER_BYTES];
        let room = buffer.get_mut(..self.conversation.missing())?;
        if room.is_empty() {
            return None;
        }
        match recv(self.fd.as_raw_fd(), room, MsgFlags::empty()) {
            Ok(0) => self.conversation.ended(),
            Ok(length) => return self.conversation.hear(now, &buffer[..length]),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.conversation.lost(),
        }
        None
    }

    fn write(&mut self) {
        while !self.conversation.unsaid().is_empty() {
            let unsaid = self.conversation.unsaid();
            match send(self.fd.as_raw_fd(), unsaid, MsgFlags::MSG_NOSIGNAL) {
                Ok(length) => self.conversation.said(length),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.conversation.lost(),
            }
        }
    }

    /// Whether the client closed its end. One that only writes no more still reads.
    fn has_left(&self) -> bool {
        let mut watched = [PollFd::new(self.fd.as_fd(), PollFlags::empty())];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..))
    }

    /// Tells a client that it is not wanted, as far as it can be told at once.
    fn dismiss(mut self, why: &str) {
        self.conversation.finish(Time::ZERO, &Outcome::no(why));
        self.write();
        self.discard_unread();
    }

    /// Bytes that nobody reads would reach the client as a reset, after which some do not look at what came before it.
    fn discard_unread(&self) {
        let mut buffer = [0; ORDER_BYTES];
        let _ = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT);
    }
}

fn named(owner: &str) -> &str {
    if owner.is_empty() {
        "no configuration file"
    } else {
        owner
    }
}

/// Parents as /run has them; the last folder is this user's alone.
fn make_folder(path: &Path) -> Result<(), ControlError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let failed = |folder: &Path, error| ControlError::Folder {
        folder: folder.to_owned(),
        error,
    };
    if folder.exists() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.map_err(|error| failed(parent, error))?;
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed(folder, error))
}
