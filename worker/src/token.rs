//! What a readiness event belongs to, packed into its token: a kind, an index, and for clients a generation, so that an event for a
//! connection that is gone cannot reach its successor in the same place.

use slab::Slab;

const KIND_SHIFT: u32 = 28;
const INDEX: usize = (1 << KIND_SHIFT) - 1;
const POOL_SHIFT: u32 = 16;

pub const LISTENER: usize = 0;
pub const CONTROL: usize = 1;
pub const SIGNALS: usize = 2;
pub const WAKER: usize = 3;

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Listener,
    Control,
    Signals,
    Waker,
    /// The number of the pool.
    Database(usize),
    Client,
}

pub fn kind(token: usize) -> Kind {
    match (token >> KIND_SHIFT) & 0xf {
        0 => match token & INDEX {
            LISTENER => Kind::Listener,
            CONTROL => Kind::Control,
            SIGNALS => Kind::Signals,
            _ => Kind::Waker,
        },
        1 => Kind::Database((token & INDEX) >> POOL_SHIFT),
        _ => Kind::Client,
    }
}

/// The first of a pool's 65,536 tokens.
pub fn pool(number: usize) -> usize {
    (1 << KIND_SHIFT) | (number << POOL_SHIFT)
}

/// The token of the client at `index`, which is the `generation`th one there.
pub fn client(index: usize, generation: u32) -> usize {
    ((generation as usize) << 32) | (2 << KIND_SHIFT) | index
}

pub fn index(token: usize) -> usize {
    token & INDEX
}

/// The client that a token names, if it is still there.
pub fn find<'a, Client>(
    clients: &'a mut Slab<Client>,
    generations: &[u32],
    token: usize,
) -> Option<&'a mut Client> {
    let index = index(token);
    if generations.get(index).copied() != Some((token >> 32) as u32) {
        return None;
    }
    clients.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert_eq!(kind(LISTENER), Kind::Listener);
        assert_eq!(kind(CONTROL), Kind::Control);
        assert_eq!(kind(SIGNALS), Kind::Signals);
        assert_eq!(kind(WAKER), Kind::Waker);
        assert_eq!(kind(pool(0)), Kind::Database(0));
        assert_eq!(kind(pool(3) + 65_535), Kind::Database(3));
        assert_eq!(kind(client(0, 0)), Kind::Client);
        assert_eq!(kind(client(9999, u32::MAX)), Kind::Client);
        assert_eq!(index(client(9999, 7)), 9999);
        assert_ne!(client(5, 1), client(5, 2));
    }
}
