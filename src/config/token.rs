//! Bearer tokens as they are kept: hashed, each with the toolset and the user it stands for. Makes new ones.
//! Never keeps or shows a token itself.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// An accepted token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// For the log.
    pub name: String,
    /// SHA-256 of the token. A token of 256 random bits can't be guessed, so that a slow hash would add nothing.
    pub sha256: [u8; 32],
    /// The only toolset that this token may use.
    pub toolset: Option<String>,
    /// Whom tools see as the caller (`from = "token.user"`).
    pub user: Option<String>,
}

/// The hash that is compared and kept.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// 32 bytes as 64 lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The inverse of [`hex`], for exactly 32 bytes.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// A new token: `tine_` and 256 bits from the kernel (random(4)). The prefix lets secret scanners find a leak.
///
/// # Errors
/// `/dev/urandom` can't be read.
pub fn generate() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("tine_{}", hex(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&hash("")), empty);
        assert_eq!(unhex(empty), Some(hash("")));
        for wrong in [
            "",
            "e3",
            &empty[1..],
            &empty.replace('e', "+"),
            &empty.replace('e', "é"),
        ] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_differ() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 5 + 64);
    }
}
