//! Names a list of tools by what clients see of it, so that a reload which changed nothing for them can be told from one
//! that did. Knows the published bytes only, neither files nor statements.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::tool::Tool;
use super::toolset::{Era, Toolset};

/// Of one list, in its order.
pub(crate) fn of_tools(tools: &[Arc<Tool>]) -> String {
    let eras = |tool| [Era::Legacy, Era::Modern].map(|era| Tool::definition(tool, era));
    hexadecimal(tools.iter().flat_map(|tool| eras(tool)))
}

/// Of all lists, each under its name.
pub(crate) fn of_toolsets(default: &Toolset, named: &BTreeMap<String, Toolset>) -> String {
    let named = named
        .iter()
        .flat_map(|(name, toolset)| [name.as_bytes(), toolset.digest().as_bytes()]);
    hexadecimal([default.digest().as_bytes()].into_iter().chain(named))
}

fn hexadecimal<'p>(parts: impl Iterator<Item = &'p [u8]>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // Lengths keep `ab`, `c` apart from `a`, `bc`.
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let bytes = digest.finalize();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
