//! The opaque text that names a place in a list: the key values of the last row shown, and a digest of the call they
//! belong to. Knows no tool.
//!
//! There is no secret in it and no signature on it, on purpose: a forged cursor only names another place in a list
//! that the caller may read anyway, because values bound to the token are bound anew in every call. The digest is
//! there to catch honest mistakes, a cursor sent with other filters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longer ones are not given out.
const MAX_LENGTH: usize = 8_192;

#[derive(Serialize, Deserialize)]
struct Content {
    /// The key values, as PostgreSQL text.
    k: Vec<String>,
    /// The digest, in hexadecimal.
    d: String,
}

/// What a cursor belongs to: a tool and all arguments but the page's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ownership(u64);

/// Collects what a cursor belongs to.
pub(crate) struct Owner(Sha256);

impl Owner {
    pub fn new(tool: &str) -> Owner {
        let mut owner = Owner(Sha256::new());
        owner.add(tool);
        owner
    }

    /// Lengths keep `ab`, `c` apart from `a`, `bc`.
    pub fn add(&mut self, text: &str) {
        self.0.update(text.len().to_be_bytes());
        self.0.update(text);
    }

    pub fn finish(self) -> Ownership {
        let digest = self.0.finalize();
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = from;
        }
        Ownership(u64::from_be_bytes(bytes))
    }
}

/// `None`: a key is NULL or very long, so no later page can be named.
pub(crate) fn encode(keys: &[Option<String>], owner: Ownership) -> Option<String> {
    let k = keys.iter().cloned().collect::<Option<Vec<String>>>()?;
    let content = Content {
        k,
        d: format!("{:016x}", owner.0),
    };
    serde_json::to_vec(&content)
        .ok()
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .filter(|text| text.len() <= MAX_LENGTH)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Not a cursor at all.
    Unreadable,
    /// A cursor of another call.
    Foreign,
}

/// The key values of a cursor.
pub(crate) fn decode(text: &str, keys: usize, owner: Ownership) -> Result<Vec<String>, Rejected> {
    if text.len() > MAX_LENGTH {
        return Err(Rejected::Unreadable);
    }
    let json = URL_SAFE_NO_PAD
        .decode(text.trim())
        .map_err(|_| Rejected::Unreadable)?;
    let content: Content = serde_json::from_slice(&json).map_err(|_| Rejected::Unreadable)?;
    if content.k.iter().any(|key| key.contains('\0')) {
        return Err(Rejected::Unreadable);
    }
    let digest = u64::from_str_radix(&content.d, 16).map_err(|_| Rejected::Unreadable)?;
    if digest != owner.0 || content.k.len() != keys {
        return Err(Rejected::Foreign);
    }
    Ok(content.k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(parts: &[&str]) -> Ownership {
        let mut owner = Owner::new("tool");
        for part in parts {
            owner.add(part);
        }
        owner.finish()
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let keys = [
            Some("2026-04-28 08:00:00+00".to_owned()),
            Some("é\"".to_owned()),
        ];
        let text = encode(&keys, owner(&["a"])).unwrap();
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{text}"
        );
        assert_eq!(
            decode(&text, 2, owner(&["a"])).unwrap(),
            ["2026-04-28 08:00:00+00", "é\""]
        );
    }

    #[test]
    fn a_cursor_of_other_arguments_is_foreign() {
        let text = encode(&[Some("1".into())], owner(&["ab", "c"])).unwrap();
        assert_eq!(
            decode(&text, 1, owner(&["a", "bc"])),
            Err(Rejected::Foreign)
        );
        assert_eq!(
            decode(&text, 2, owner(&["ab", "c"])),
            Err(Rejected::Foreign)
        );
    }

    #[test]
    fn anything_else_is_unreadable() {
        let nul = URL_SAFE_NO_PAD.encode(r#"{"k":["\u0000"],"d":"00"}"#);
        for text in [
            "",
            "x",
            "????",
            "e30",
            "bnVsbA",
            nul.as_str(),
            &"A".repeat(9_000),
        ] {
            assert_eq!(
                decode(text, 1, owner(&[])),
                Err(Rejected::Unreadable),
                "{text}"
            );
        }
    }

    #[test]
    fn a_null_key_names_no_place() {
        assert_eq!(encode(&[Some("1".into()), None], owner(&[])), None);
    }

    #[test]
    fn what_is_given_out_is_taken_back() {
        for length in [0, 6_000, 6_200, 100_000] {
            let key = "k".repeat(length);
            if let Some(text) = encode(&[Some(key.clone())], owner(&[])) {
                assert_eq!(decode(&text, 1, owner(&[])), Ok(vec![key]));
            } else {
                assert!(length > 6_000);
            }
        }
    }
}
