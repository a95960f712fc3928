//! The control socket in writing, for a program that is executed in place of this one: the clients that ordered the upgrade hear
//! from it how it went.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use serde::{Deserialize, Serialize};

use super::conversation::Conversation;
use super::{Client, ClientId, ControlSocket, Order};
use crate::listen::SocketFile;

/// All of the socket that survives. Descriptors by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    listener: RawFd,
    file: SocketFile,
    waiting: Vec<Waiting>,
    next_id: u64,
    owner: Option<String>,
}

/// A client that waits for an outcome.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    id: ClientId,
    order: Order,
    client: RawFd,
}

impl Kept {
    /// What must stay open.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let clients = self.waiting.iter().map(|waiting| waiting.client);
        clients.chain([self.listener])
    }
}

impl ControlSocket {
    /// Writes it down. Who has not ordered yet, or does not read, is left behind.
    pub(crate) fn keep(&self) -> Kept {
        let clients = self.clients.iter();
        let clients = clients.filter(|client| client.conversation.unsaid().is_empty());
        let waiting = |client: &Client| {
            Some(Waiting {
                id: client.id,
                order: client.conversation.waits_for()?,
                client: client.fd.as_raw_fd(),
            })
        };
        Kept {
            listener: self.listener.as_raw_fd(),
            file: self.file.clone(),
            waiting: clients.filter_map(waiting).collect(),
            next_id: self.next_id,
            owner: self.owner.clone(),
        }
    }

    /// Puts together what [`ControlSocket::keep`] wrote down, each descriptor through `own`.
    pub(crate) fn resume<Error>(
        kept: Kept,
        own: impl Fn(RawFd) -> Result<OwnedFd, Error>,
    ) -> Result<ControlSocket, Error> {
        let resumed = |waiting: Waiting| {
            Ok(Client {
                id: waiting.id,
                fd: own(waiting.client)?,
                conversation: Conversation::resumed(waiting.order),
            })
        };
        Ok(ControlSocket {
            listener: own(kept.listener)?,
            file: kept.file,
            clients: kept
                .waiting
                .into_iter()
                .map(resumed)
                .collect::<Result<_, Error>>()?,
            next_id: kept.next_id,
            deaf_until: None,
            owner: kept.owner,
        })
    }
}
