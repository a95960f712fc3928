//! What is served where: each toolset's URL segment, and its prepared answers. Made once at the start.

use crate::mcp::Prepared;
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
    let catalog = &settings.catalog;
    std::iter::once(None)
        .chain(catalog.toolsets().map(|toolset| Some(toolset.name.clone())))
        .filter_map(|path| {
            let toolset = path.clone().or_else(|| settings.default_toolset.clone());
            let words = catalog.toolset(toolset.as_deref())?;
            let instructions = words
                .instructions
                .as_deref()
                .or(settings.instructions.as_deref());
            let mut server = settings.server.clone();
            server.name = words.server_name.clone().unwrap_or(server.name);
            let prepared = Prepared::new(&server, instructions, &settings.caching);
            Some(Served {
                path,
                toolset,
                prepared,
            })
        })
        .collect()
}
