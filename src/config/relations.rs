//! What only all options together can show to be wrong.

use super::document::Document;
use super::value::Value;
use super::{Effective, Settings, Source};
use crate::fault::{Fault, Origin};

/// Pairs of deadlines of which the first must end first.
const CHAIN: &[(&str, &str)] = &[
    ("timeout_statement", "timeout_request"),
    ("timeout_queue", "timeout_request"),
    ("timeout_request", "timeout_graceful_shutdown"),
];

/// Of `limit_memory`, in bytes: a new worker uses a few MiB, and needs room for the requests and results that it works on.
const MEMORY_LEAST: usize = 16 << 20;

pub fn check(settings: &Settings, document: Option<&Document>, faults: &mut Vec<Fault>) {
    for (shorter, longer) in CHAIN {
        let (Some(first), Some(second)) =
            (effective(settings, shorter), effective(settings, longer))
        else {
            continue;
        };
        let (Value::Span(first_span), Value::Span(second_span)) = (&first.value, &second.value)
        else {
            continue;
        };
        if first_span >= second_span {
            let changed = if first.source == Source::Default {
                longer
            } else {
                shorter
            };
            let message = format!(
                "{shorter} ({}) must be shorter than {longer} ({})",
                shown(first),
                shown(second)
            );
            faults.push(
                Fault::error(origin(settings, changed, document), message)
                    .help(format!("shorten {shorter} or lengthen {longer}: every wait must end before the one around it")),
            );
        }
    }
    if settings.limit_memory != 0 && settings.limit_memory < MEMORY_LEAST {
        faults.push(
            Fault::error(
                origin(settings, "limit_memory", document),
                "limit_memory is less than a worker may need",
            )
            .help("0 is no limit, 16MiB the least"),
        );
    }
    for name in &settings.health_databases {
        if !settings
            .databases
            .iter()
            .any(|database| database.name == *name)
        {
            let message = format!("there is no [databases.{name}] for the health check to reach");
            faults.push(Fault::error(
                origin(settings, "health_databases", document),
                message,
            ));
        }
    }
    if let (Some(log), Some(document)) = (&settings.log_table, document) {
        faults.extend(log.unknown_database(settings, document));
    }
    for path in &settings.paths {
        let inside = settings
            .health_path
            .strip_prefix(path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if inside || settings.health_path == "/health" || path == "/health" {
            let message = format!(
                "health_path {} and path {path} (and /health) must be different places",
                settings.health_path
            );
            faults.push(Fault::error(
                origin(settings, "health_path", document),
                message,
            ));
        }
    }
    if settings.paths.is_empty() {
        faults.push(
            Fault::error(
                origin(settings, "paths", document),
                "no path to serve MCP at",
            )
            .help("the default is /mcp"),
        );
    }
    if settings.fd.is_some() && settings.uds.is_some() {
        faults.push(Fault::error(
            origin(settings, "uds", document),
            "fd and uds both say where to listen: keep one",
        ));
    }
}

fn effective<'s>(settings: &'s Settings, key: &str) -> Option<&'s Effective> {
    settings
        .effective
        .iter()
        .find(|effective| effective.option.key == key)
}

/// "12s from TINE_TIMEOUT_REQUEST", "10s by default".
fn shown(effective: &Effective) -> String {
    let source = match &effective.source {
        Source::Default => "by default".to_owned(),
        Source::File { line, .. } => format!("from line {line}"),
        Source::Variable => format!("from {}", effective.option.variable()),
        Source::Flag => format!("from --{}", effective.option.flag()),
    };
    format!("{} {source}", effective.value)
}

/// Where an option's effective value was given.
pub fn origin(settings: &Settings, key: &str, document: Option<&Document>) -> Origin {
    match effective(settings, key) {
        Some(Effective {
            source: Source::File { span, .. },
            ..
        }) => document.map_or(Origin::Nowhere, |document| document.origin(span.clone())),
        Some(Effective {
            option,
            source: Source::Variable,
            ..
        }) => Origin::Variable(option.variable()),
        Some(Effective {
            option,
            source: Source::Flag,
            ..
        }) => Origin::Flag(option.flag()),
        _ => Origin::Nowhere,
    }
}
