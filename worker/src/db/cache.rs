//! Which statements one connection has prepared, least recently used first out. Knows names only.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::job::Statement;

/// The named prepared statements of one connection.
pub(super) struct Prepared {
    names: LruCache<Name, ()>,
}

/// Hashes and compares as the statement's name, which is a digest of the statement.
#[derive(Debug)]
struct Name(Arc<Statement>);

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.as_str().hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Name {}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0.name
    }
}

/// What must be sent before a statement can be bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is prepared already.
    Prepared,
    /// It must be prepared; the statement named, if any, has lost its place and must be closed.
    Prepare { evicted: Option<Arc<Statement>> },
}

impl Prepared {
    pub(super) fn new(capacity: NonZeroUsize) -> Prepared {
        Prepared {
            names: LruCache::new(capacity),
        }
    }

    /// Makes `statement` the most recently used one and assumes that it gets prepared now.
    pub(super) fn touch(&mut self, statement: &Arc<Statement>) -> Use {
        if self.names.promote(statement.name.as_str()) {
            return Use::Prepared;
        }
        let evicted = self.names.push(Name(Arc::clone(statement)), ());
        Use::Prepare {
            evicted: evicted.map(|(name, ())| name.0),
        }
    }

    /// Preparing it failed, or the server has lost it.
    pub(super) fn forget(&mut self, statement: &Statement) {
        self.names.pop(statement.name.as_str());
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(name: &str) -> Arc<Statement> {
        Arc::new(Statement {
            name: name.to_string(),
            sql: String::new(),
            types: Vec::new(),
        })
    }

    #[test]
    fn the_least_recently_used_statement_makes_room() {
        let mut prepared = Prepared::new(NonZeroUsize::new(2).unwrap());
        let [a, b, c] = ["a", "b", "c"].map(statement);
        assert_eq!(prepared.touch(&a), Use::Prepare { evicted: None });
        assert_eq!(prepared.touch(&b), Use::Prepare { evicted: None });
        assert_eq!(prepared.touch(&a), Use::Prepared);
        assert_eq!(
            prepared.touch(&c),
            Use::Prepare {
                evicted: Some(b.clone())
            }
        );
        prepared.forget(&a);
        assert_eq!(prepared.touch(&a), Use::Prepare { evicted: None });
        assert_eq!(prepared.len(), 2);
        // Another Arc of the same name is the same statement.
        assert_eq!(prepared.touch(&statement("c")), Use::Prepared);
    }
}
