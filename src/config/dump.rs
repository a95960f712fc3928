//! The effective configuration as text: each value and where it came from. Never shows a credential.

use std::fmt::Write as _;

use super::{Settings, Source};
use crate::options::Section;

/// One line per value, as `tine.toml` would have it, with the source as a comment.
pub fn dump(settings: &Settings) -> String {
    let file = settings
        .file
        .as_ref()
        .map(|path| path.display().to_string());
    let mut text = String::new();
    let mut section: Option<Section> = None;
    for effective in &settings.effective {
        if section != Some(effective.option.section) {
            section = Some(effective.option.section);
            let blank = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{blank}# {}", effective.option.section.title());
        }
        let source = match &effective.source {
            Source::Default => "default".to_owned(),
            Source::File { line, .. } => format!("{}:{line}", file.as_deref().unwrap_or_default()),
            Source::Variable => format!("environment {}", effective.option.variable()),
            Source::Flag => format!("flag --{}", effective.option.flag()),
        };
        let value = format!("{} = {}", effective.option.key, effective.value);
        let _ = writeln!(text, "{value:<50} # {source}");
    }
    for database in &settings.databases {
        let _ = writeln!(text, "\n[databases.{}]", database.name);
        match &database.url {
            Ok(url) => writeln!(text, "# {} (credentials not shown)", url.masked_url()),
            Err(fault) => writeln!(text, "# {}", fault.message),
        }
        .unwrap_or_default();
        let _ = writeln!(text, "connections = {}", database.connections);
        let _ = writeln!(
            text,
            "pooler = {}",
            format!("{:?}", database.pooler).to_lowercase()
        );
        if let Some(path) = &database.tls_ca {
            let _ = writeln!(text, "tls_ca = {}", path.display());
        }
        if let Some(zone) = &database.time_zone {
            let _ = writeln!(text, "time_zone = {zone}");
        }
    }
    if let Some(log) = &settings.log_table {
        let _ = writeln!(
            text,
            "\n[log]\ndatabase = {}\ntable = {}",
            log.database, log.table
        );
        let _ = writeln!(text, "level = {}", log.level.as_str().to_lowercase());
        for (key, name) in [
            ("app_name", &log.app_name),
            ("instance_name", &log.instance_name),
        ] {
            let _ = name
                .iter()
                .try_for_each(|name| writeln!(text, "{key} = {name}"));
        }
    }
    if !settings.values.is_empty() {
        // Any of them may be a credential.
        let keys: Vec<&str> = settings.values.keys().map(String::as_str).collect();
        let _ = writeln!(
            text,
            "\n[settings]\n# values not shown: {}",
            keys.join(", ")
        );
    }
    for token in &settings.tokens {
        let toolset = token
            .toolset
            .as_deref()
            .map(|name| format!(", toolset {name}"))
            .unwrap_or_default();
        let user = token
            .user
            .as_deref()
            .map(|name| format!(", user {name}"))
            .unwrap_or_default();
        let _ = writeln!(text, "\n# token {}{toolset}{user}", token.name);
    }
    text
}
