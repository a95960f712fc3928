//! Bytes in JSON: a file's content or a path. Almost all are text, and stay readable; the rest is base64.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Any bytes. As JSON at most twice as long, a few bytes aside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub(super) struct Octets(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Base64 {
        #[serde(with = "encoded")]
        base64: Vec<u8>,
    },
}

impl From<Form> for Octets {
    fn from(form: Form) -> Octets {
        match form {
            Form::Text(text) => Octets(text.into_bytes()),
            Form::Base64 { base64 } => Octets(base64),
        }
    }
}

impl From<Octets> for Form {
    fn from(octets: Octets) -> Form {
        // JSON escapes other control characters with six bytes.
        let is_plain = |byte: &u8| *byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t');
        if !octets.0.iter().all(is_plain) {
            return Form::Base64 { base64: octets.0 };
        }
        String::from_utf8(octets.0).map_or_else(
            |fault| Form::Base64 {
                base64: fault.into_bytes(),
            },
            Form::Text,
        )
    }
}

impl From<&Path> for Octets {
    fn from(path: &Path) -> Octets {
        super::octets(path)
    }
}

/// Shows no content: it may be a secret.
impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

mod encoded {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}
