//! What is served where: each toolset's URL segment, its prepared answers, and one number for all the lists together. Made once at
//! the start.

use sha2::{Digest, Sha256};

use crate::catalog::Toolset;
use crate::mcp::{Listed, Prepared};
use crate::settings::Settings;

/// One toolset with its prepared answers.
pub struct Served {
    /// The last segment of its URL; `None` is the bare path.
    pub path: Option<String>,
    /// The toolset behind it; `None` is all tools.
    pub toolset: Option<String>,
    pub prepared: Prepared,
}

/// The default toolset and every named one, each with the answers that never change.
pub fn served(settings: &Settings) -> Vec<Served> {
    places(settings)
        .map(|(path, words)| {
            let instructions = words
                .instructions
                .as_deref()
                .or(settings.instructions.as_deref());
            let mut server = settings.server.clone();
            server.name = words.server_name.clone().unwrap_or(server.name);
            let listed = Listed {
                hash: words.digest(),
                list_changed: settings.limits.subscriptions() > 0,
            };
            let prepared = Prepared::new(&server, instructions, &settings.caching, listed);
            Served {
                path: path.map(str::to_owned),
                toolset: path
                    .map(str::to_owned)
                    .or_else(|| settings.default_toolset.clone()),
                prepared,
            }
        })
        .collect()
}

/// A digest of which list of tools stands at which URL: the same for equal configurations, in every process and after every
/// restart. Never 0, which the scoreboard keeps for "not said".
pub fn digest(settings: &Settings) -> u64 {
    let mut digest = Sha256::new();
    for (path, toolset) in places(settings) {
        // Neither a toolset's name nor a hash holds these bytes, so no two lists of places read the same.
        digest.update(path.unwrap_or("/"));
        digest.update([0]);
        digest.update(toolset.digest());
        digest.update([0]);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let first = digest
        .first_chunk()
        .map_or(1, |bytes| u64::from_be_bytes(*bytes));
    first.max(1)
}

// The last segments of the URLs, `None` being the bare path, and the toolset behind each.
fn places(settings: &Settings) -> impl Iterator<Item = (Option<&str>, &Toolset)> {
    let catalog = &settings.catalog;
    std::iter::once(None)
        .chain(catalog.toolset_names().map(Some))
        .filter_map(|path| {
            let name = path.or(settings.default_toolset.as_deref());
            Some((path, catalog.toolset(name)?))
        })
}
