//! A real systemd for tests: whether this machine can have one, and the container in which it boots.

use std::process::Command;

/// Why units can't be verified here, if so.
pub fn no_analyze() -> Option<String> {
    match Command::new("systemd-analyze").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        _ => Some("systemd-analyze is missing".to_owned()),
    }
}
