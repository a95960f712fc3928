//! The control socket in parts, for a new image of this process: the clients that ordered the upgrade hear from it how it went.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "for the upgrade in place, which does not use it yet"
    )
)]

use std::os::fd::OwnedFd;

use super::conversation::Conversation;
use super::{Client, ClientId, ControlSocket};
use crate::listen::{SocketFile, set_flags};

/// All of the socket that survives.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) listener: OwnedFd,
    pub(crate) file: SocketFile,
    /// Clients that wait for an outcome.
    pub(crate) waiting: Vec<(ClientId, OwnedFd)>,
    pub(crate) next_id: u64,
}

impl ControlSocket {
    /// Takes it apart, to be put together by a new image of this process, or by this one when there will be none. Who has
    /// not ordered yet, or does not read, is dropped.
    pub(crate) fn into_parts(self) -> Parts {
        let waits = |client: &Client| {
            client.conversation.is_waiting() && client.conversation.unsaid().is_empty()
        };
        let clients = self.clients.into_iter().filter(waits);
        Parts {
            listener: self.listener,
            file: self.file,
            waiting: clients.map(|client| (client.id, client.fd)).collect(),
            next_id: self.next_id,
        }
    }

    /// Puts together what [`ControlSocket::into_parts`] took apart. Its descriptors are closed on exec again.
    ///
    /// # Errors
    /// A descriptor is none.
    pub(crate) fn resume(parts: Parts) -> nix::Result<ControlSocket> {
        set_flags(&parts.listener)?;
        let mut clients = Vec::new();
        for (id, fd) in parts.waiting {
            set_flags(&fd)?;
            clients.push(Client {
                id,
                fd,
                conversation: Conversation::resumed(),
            });
        }
        Ok(ControlSocket {
            listener: parts.listener,
            file: parts.file,
            clients,
            next_id: parts.next_id,
            deaf_until: None,
        })
    }
}
