//! The control socket in writing, for a program that is executed in place of this one: the clients that ordered the upgrade hear
//! from it how it went, and those that have not ordered yet may.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use serde::{Deserialize, Serialize};

use super::conversation::{Conversation, Unfinished};
use super::{Client, ClientId, ControlSocket};
use crate::listen::SocketFile;

/// All of the socket that survives. Descriptors by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    listener: RawFd,
    file: SocketFile,
    clients: Vec<KeptClient>,
    next_id: u64,
    owner: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptClient {
    id: ClientId,
    descriptor: RawFd,
    conversation: Unfinished,
}

impl Kept {
    /// What must stay open.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let clients = self.clients.iter().map(|client| client.descriptor);
        clients.chain([self.listener])
    }
}

impl ControlSocket {
    /// Writes it down. Who does not read is left behind.
    pub(crate) fn keep(&self) -> Kept {
        let kept = |client: &Client| {
            Some(KeptClient {
                id: client.id,
                descriptor: client.fd.as_raw_fd(),
                conversation: client.conversation.unfinished()?,
            })
        };
        Kept {
            listener: self.listener.as_raw_fd(),
            file: self.file.clone(),
            clients: self.clients.iter().filter_map(kept).collect(),
            next_id: self.next_id,
            owner: self.owner.clone(),
        }
    }

    /// Puts together what [`ControlSocket::keep`] wrote down, each descriptor through `own`.
    pub(crate) fn resume<Error>(
        kept: Kept,
        own: impl Fn(RawFd) -> Result<OwnedFd, Error>,
    ) -> Result<ControlSocket, Error> {
        let resumed = |client: KeptClient| {
            Ok(Client {
                id: client.id,
                fd: own(client.descriptor)?,
                conversation: Conversation::resumed(client.conversation),
            })
        };
        Ok(ControlSocket {
            listener: own(kept.listener)?,
            file: kept.file,
            clients: kept
                .clients
                .into_iter()
                .map(resumed)
                .collect::<Result<_, Error>>()?,
            next_id: kept.next_id,
            deaf_until: None,
            owner: kept.owner,
        })
    }
}
