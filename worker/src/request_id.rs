//! Names for requests: short, and another one in every worker of every host, so that a client's answer, a line of the log and a row
//! of the log table can be found by one word. Knows nothing of requests.
//!
//! From chi, Go's router: a random prefix for each process and a counter, so that a name costs no system call.

use std::fs::File;
use std::io::{self, Read};

/// Digits of the prefix, 5 bits each: 60 random bits, so that a million workers' lives share one with a chance of one in two million.
const DIGITS: usize = 12;
/// Crockford's base 32 in lower case: no digit looks like another one when it is read out.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The names that one worker gives.
#[derive(Debug)]
pub struct RequestIds {
    prefix: String,
    given: u64,
}

impl RequestIds {
    /// Made after the fork, so that no two workers share a prefix (random(4)).
    ///
    /// # Errors
    /// `/dev/urandom` can't be read.
    pub fn new() -> io::Result<RequestIds> {
        let mut bytes = [0; DIGITS];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let digit = |byte: u8| char::from(ALPHABET[usize::from(byte % 32)]);
        Ok(RequestIds {
            prefix: bytes.into_iter().map(digit).collect(),
            given: 0,
        })
    }

    /// `PREFIX-NUMBER`: 33 characters at the most, letters, digits and one dash.
    pub fn next(&mut self) -> String {
        self.given += 1;
        format!("{}-{}", self.prefix, self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_never_given_twice() {
        let mut workers: Vec<RequestIds> = (0..100).map(|_| RequestIds::new().unwrap()).collect();
        let mut all = std::collections::HashSet::new();
        for worker in &mut workers {
            for _ in 0..100 {
                let id = worker.next();
                assert!(id.len() <= 33, "{id}");
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(id.chars().all(plain), "{id}");
                assert!(all.insert(id));
            }
        }
    }
}
