//! Questions to the disk with their answers, and both as JSON. Asks nothing itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TOTAL_LIMIT;
use super::error::{FileError, SnapshotError};
use super::octets::Octets;

/// Rises whenever an older program would misunderstand a record.
const VERSION: u32 = 1;
/// Of JSON: see [`Octets`]; and the errors and file kinds beside them.
const SEALED_LIMIT: usize = 3 * TOTAL_LIMIT;

type Answer<T> = Result<T, FileError>;

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    File,
    Folder,
    /// A device, a socket, or gone.
    Other,
}

/// Maps are ordered, so that equal records are equal bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(with = "pairs")]
    pub files: BTreeMap<Octets, Answer<Octets>>,
    #[serde(with = "pairs")]
    pub folders: BTreeMap<Octets, Answer<Vec<(Octets, Kind)>>>,
    #[serde(with = "pairs")]
    pub exists: BTreeMap<Octets, bool>,
    #[serde(with = "pairs")]
    pub canonical: BTreeMap<Octets, Answer<Octets>>,
    /// By the name that was asked for: the zone's own name and its TZif data (RFC 9636).
    pub zones: BTreeMap<String, Answer<(String, Octets)>>,
    pub system_roots: Option<Answer<Vec<Octets>>>,
    pub user: Option<Answer<String>>,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize)]
struct Sealed<'r> {
    version: u32,
    record: &'r Record,
}

#[derive(Deserialize)]
struct Unsealed {
    record: Record,
}

impl Record {
    pub fn seal(&self) -> Vec<u8> {
        let sealed = Sealed {
            version: VERSION,
            record: self,
        };
        // Nothing in it can fail; if it did, nobody could take nothing for a record.
        serde_json::to_vec(&sealed).unwrap_or_default()
    }

    pub fn unseal(bytes: &[u8]) -> Result<Record, SnapshotError> {
        if bytes.len() > SEALED_LIMIT {
            return Err(SnapshotError::TooLarge {
                limit: SEALED_LIMIT,
            });
        }
        let malformed = |fault: serde_json::Error| SnapshotError::Malformed(fault.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
        if head.version != VERSION {
            return Err(SnapshotError::Version {
                found: head.version,
                known: VERSION,
            });
        }
        let unsealed: Unsealed = serde_json::from_slice(bytes).map_err(malformed)?;
        Ok(unsealed.record)
    }
}

/// A map whose keys are no text, as a list of pairs: JSON has no other keys.
mod pairs {
    use serde::de::DeserializeOwned;
    use serde::{Deserializer, Serializer};

    use super::*;

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Vec::<(K, V)>::deserialize(deserializer).map(|pairs| pairs.into_iter().collect())
    }
}
