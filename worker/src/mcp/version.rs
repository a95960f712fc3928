//! Protocol revisions and the two eras they fall into. Knows names and order, nothing of messages.

pub use crate::catalog::Era;

/// The stateless revision: per-request `_meta`, no `initialize` (MCP 2026-07-28, basic/versioning).
pub const MODERN: &str = "2026-07-28";

/// Revisions that open with `initialize`, newest first.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The one legacy revision whose servers must accept JSON-RPC batches.
pub const BATCHING: &str = "2025-03-26";

/// Every revision this server speaks, newest first.
pub fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(LEGACY).collect()
}

/// The era of a revision this server speaks; `None` for any other name.
pub fn era(version: &str) -> Option<Era> {
    if version == MODERN {
        Some(Era::Modern)
    } else if LEGACY.contains(&version) {
        Some(Era::Legacy)
    } else {
        None
    }
}

/// What `initialize` answers: the asked-for legacy revision, else the newest legacy one. A revision without a
/// handshake is never echoed, although some clients ask for it (MCP 2025-11-25, basic/lifecycle, version negotiation).
pub fn negotiate(asked: Option<&str>) -> &'static str {
    LEGACY
        .into_iter()
        .find(|known| Some(*known) == asked)
        .unwrap_or(LEGACY[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initialize_never_echoes_a_revision_without_a_handshake() {
        for (asked, answered) in [
            (Some("2025-11-25"), "2025-11-25"),
            (Some("2025-03-26"), "2025-03-26"),
            (Some("2024-11-05"), "2024-11-05"),
            (Some("2026-07-28"), "2025-11-25"),
            (Some("1999-01-01"), "2025-11-25"),
            (None, "2025-11-25"),
        ] {
            assert_eq!(negotiate(asked), answered, "{asked:?}");
        }
    }

    #[test]
    fn eras() {
        assert_eq!(era(MODERN), Some(Era::Modern));
        assert!(
            LEGACY
                .into_iter()
                .all(|version| era(version) == Some(Era::Legacy))
        );
        assert_eq!(era("2030-01-01"), None);
        assert!(supported().is_sorted_by(|newer, older| newer > older));
    }
}
