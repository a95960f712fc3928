//! Merges defaults, `tine.toml`, the environment and flags, and checks what only the whole can show.
//! Knows options through their table only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tine_worker::files::Files;
use toml::de::DeTable;

use super::credential;
use super::document::Document;
use super::env_file;
use super::token::{Token, hash};
use super::value::Value;
use super::{ConfigError, Effective, Inputs, Settings, Source, log_table, reach, tables};
use crate::fault::{Fault, Origin, nearest};
use crate::options::{OPTIONS, Opt};

/// Variables that are no option: the file to read, a token (which must not stand in a file or on a command line), and
/// where the demo finds PostgreSQL's programs.
const OTHER_VARIABLES: &[&str] = &["TINE_CONFIG", "TINE_TOKEN", "TINE_POSTGRES_BIN"];
/// And those by which a master tells the program that it executes what to do.
const ORDERS: [&str; 2] = tine_master::VARIABLES;

pub fn load(inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
    let mut faults = Vec::new();
    let mut document = document(inputs, files, &mut faults);
    let text = document
        .as_ref()
        .map_or(Arc::from(""), |document| Arc::clone(&document.text));
    let table = document
        .as_mut()
        .map_or_else(DeTable::new, |document| document.parse(&text));

    let inputs = &with_env_file(inputs, files, &table, document.as_ref(), &mut faults);
    let mut settings = Settings {
        file: document.as_ref().map(|document| document.path.clone()),
        environment: inputs.environment.clone(),
        ..Settings::default()
    };
    for option in OPTIONS {
        let effective = merge(option, inputs, &table, document.as_mut(), &mut faults);
        (option.put)(&mut settings, effective.value.clone());
        settings.effective.push(effective);
    }
    if let Some(document) = &mut document {
        other_keys(document, &table, &mut settings, inputs, files);
    }
    tokens(&mut settings, inputs, files, document.as_ref(), &mut faults);
    settings.warnings = unknown_variables(inputs, &text);
    relations(&settings, document.as_ref(), &mut faults);
    verdict(document, faults).map(|()| settings)
}

/// The configuration file, if there is one.
fn document(inputs: &Inputs, files: &Files, faults: &mut Vec<Fault>) -> Option<Document> {
    file(inputs, files)
        .and_then(|path| path.map(|path| Document::read(&path, files)).transpose())
        .unwrap_or_else(|message| {
            faults.push(Fault::error(Origin::Nowhere, message));
            None
        })
}

/// All faults, those of the file first and in its order.
fn verdict(document: Option<Document>, mut faults: Vec<Fault>) -> Result<(), ConfigError> {
    let mut all = document.map(|document| document.faults).unwrap_or_default();
    all.sort_by_key(|fault| match &fault.origin {
        Origin::File { span, .. } => span.start,
        _ => 0,
    });
    all.append(&mut faults);
    if all.is_empty() {
        Ok(())
    } else {
        Err(ConfigError(all))
    }
}

/// See [`Settings::part`].
pub fn part(keys: &[&str], inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
    let mut faults = Vec::new();
    let mut document = document(inputs, files, &mut faults);
    let text = document
        .as_ref()
        .map_or(Arc::from(""), |document| Arc::clone(&document.text));
    let table = document
        .as_mut()
        .map_or_else(DeTable::new, |document| document.parse(&text));
    let inputs = &with_env_file(inputs, files, &table, document.as_ref(), &mut faults);
    let mut settings = Settings::default();
    for option in OPTIONS.iter().filter(|option| keys.contains(&option.key)) {
        let value = merge(option, inputs, &table, document.as_mut(), &mut faults).value;
        (option.put)(&mut settings, value);
    }
    verdict(document, faults).map(|()| settings)
}

/// See [`Settings::only`].
pub fn only(key: &str, inputs: &Inputs) -> (Value, Option<PathBuf>) {
    let files = Files::disk();
    let path = file(inputs, &files).ok().flatten();
    let read = |path: &PathBuf| Document::read(path, &files).ok();
    let mut document = path.as_ref().and_then(read);
    let text = document
        .as_ref()
        .map_or(Arc::from(""), |document| Arc::clone(&document.text));
    let table = document
        .as_mut()
        .map_or_else(DeTable::new, |document| document.parse(&text));
    let inputs = &with_env_file(inputs, &files, &table, document.as_ref(), &mut Vec::new());
    let value = crate::options::find(key).map_or(Value::None, |option| {
        merge(option, inputs, &table, document.as_mut(), &mut Vec::new()).value
    });
    (value, path)
}

/// The file to read, if any; `Err` is the fault's message.
fn file(inputs: &Inputs, files: &Files) -> Result<Option<PathBuf>, String> {
    let named = inputs
        .environment
        .get("TINE_CONFIG")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    if let Some(path) = inputs.file.clone().or(named) {
        return Ok(Some(path));
    }
    let usual = PathBuf::from("tine.toml");
    match files.exists(&usual) {
        Ok(true) => Ok(Some(usual)),
        Ok(false) => Ok(None),
        Err(error) => Err(format!("can't read {}: {error}", usual.display())),
    }
}

/// The inputs with the variables of the file that `env_file` names, below the environment's own. Where the option itself is wrong is said when
/// all options are merged.
fn with_env_file(
    inputs: &Inputs,
    files: &Files,
    table: &DeTable<'_>,
    document: Option<&Document>,
    faults: &mut Vec<Fault>,
) -> Inputs {
    let mut inputs = inputs.clone();
    let Some(option) = crate::options::find("env_file") else {
        return inputs;
    };
    let mut copy = document.map(|document| Document {
        path: document.path.clone(),
        text: Arc::clone(&document.text),
        faults: Vec::new(),
    });
    let effective = merge(option, &inputs, table, copy.as_mut(), &mut Vec::new());
    let Some(path) = effective.value.path() else {
        return inputs;
    };
    let text = credential::file(&path, &inputs.environment).and_then(|path| {
        let text = files.text(&path);
        text.map_err(|error| format!("can't read {}: {error}", path.display()))
    });
    match text.map(|text| env_file::read(&text)) {
        Ok(Ok(mut variables)) => {
            variables.append(&mut inputs.environment);
            inputs.environment = variables;
        }
        // Without the line itself: it may hold a password.
        Ok(Err(complaints)) => faults.extend(complaints.into_iter().map(|(line, complaint)| {
            let message = format!("{}:{line}: {complaint}", path.display());
            Fault::error(Origin::Nowhere, message)
        })),
        Err(message) => faults.push(Fault::error(Origin::Nowhere, message)),
    }
    inputs
}

/// One option's value from the strongest source that gives it; faults of the others are reported too.
fn merge(
    option: &'static Opt,
    inputs: &Inputs,
    table: &DeTable<'_>,
    document: Option<&mut Document>,
    faults: &mut Vec<Fault>,
) -> Effective {
    let mut effective = Effective {
        option,
        value: option.default_value(),
        source: Source::Default,
    };
    if let (Some(document), Some(value)) = (document, table.get(option.key)) {
        match option.kind.parse_toml(value.get_ref()) {
            Ok(parsed) => {
                effective.value = parsed.under(document.path.parent().unwrap_or(Path::new("")));
                effective.source = Source::File {
                    span: value.span(),
                    line: document.line(value.span().start),
                };
            }
            Err(message) => document.fault(value.span(), message),
        }
    }
    let variable = option.variable();
    // An empty variable counts as not set: container files often pass one on.
    if let Some(text) = inputs
        .environment
        .get(&variable)
        .filter(|text| !text.is_empty())
    {
        match option.kind.parse_texts(std::slice::from_ref(text), true) {
            Ok(value) => (effective.value, effective.source) = (value, Source::Variable),
            Err(message) => {
                let fault = Fault::error(
                    Origin::Variable(variable),
                    format!("{message}, found {text}"),
                );
                // Kubernetes gives every container of a service's namespace such a variable.
                faults.push(match text.starts_with("tcp://") {
                    true => fault.help("Kubernetes sets this for a service named tine: set enableServiceLinks: false"),
                    false => fault,
                });
            }
        }
    }
    if let Some(texts) = inputs.flags.get(option.key) {
        match option.kind.parse_texts(texts, false) {
            Ok(value) => (effective.value, effective.source) = (value, Source::Flag),
            Err(message) => faults.push(Fault::error(
                Origin::Flag(option.flag()),
                format!("{message}, found {}", texts.join(", ")),
            )),
        }
    }
    effective
}

/// What `tine.toml` holds beside options.
fn other_keys(
    document: &mut Document,
    table: &DeTable<'_>,
    settings: &mut Settings,
    inputs: &Inputs,
    files: &Files,
) {
    let mut known: Vec<&str> = OPTIONS.iter().map(|option| option.key).collect();
    known.extend([
        "databases",
        "log",
        "settings",
        "programs",
        "brokers",
        "http",
    ]);
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            "databases" => tables::databases(document, value, settings, &inputs.environment, files),
            "log" => log_table::read(document, value, settings),
            "settings" => tables::values(document, value, settings, &inputs.environment),
            "programs" => reach::programs(document, value, settings),
            "brokers" => reach::brokers(document, value, settings, &inputs.environment, files),
            "http" => reach::http(document, value, settings),
            other if known.contains(&other) => {}
            _ => document.unknown_key(key, "", &known),
        }
    }
}

fn tokens(
    settings: &mut Settings,
    inputs: &Inputs,
    files: &Files,
    document: Option<&Document>,
    faults: &mut Vec<Fault>,
) {
    if let Some(path) = settings.tokens_file.clone() {
        let file = credential::file(&path, &inputs.environment);
        match file.and_then(|path| Document::read(&path, files)) {
            Ok(mut file) => {
                settings.tokens = tables::tokens(&mut file);
                faults.append(&mut file.faults);
            }
            Err(message) => faults.push(Fault::error(
                origin(settings, "tokens_file", document),
                message,
            )),
        }
    }
    if let Some(token) = inputs
        .environment
        .get("TINE_TOKEN")
        .filter(|token| !token.is_empty())
    {
        settings.tokens.push(Token {
            name: "environment".to_owned(),
            sha256: hash(token),
            toolset: None,
            user: None,
        });
    }
}

/// A variable that looks like ours and is not read: most likely a slip.
fn unknown_variables(inputs: &Inputs, text: &str) -> Vec<Fault> {
    let known: Vec<String> = OPTIONS.iter().map(Opt::variable).collect();
    let known: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .chain(OTHER_VARIABLES.iter().copied())
        .collect();
    let mut warnings = Vec::new();
    for name in inputs.environment.keys() {
        if !name.starts_with("TINE_")
            || ORDERS.contains(&name.as_str())
            || known.contains(&name.as_str())
            || text.contains(name.as_str())
        {
            continue;
        }
        let warning = Fault::warning(
            Origin::Variable(name.clone()),
            "no option has this name; it is ignored",
        );
        warnings.push(match nearest(name, known.iter().copied()) {
            Some(near) => warning.help(format!("did you mean {near}?")),
            None => warning,
        });
    }
    warnings
}

/// Pairs of deadlines of which the first must end first.
const CHAIN: &[(&str, &str)] = &[
    ("timeout_statement", "timeout_request"),
    ("timeout_queue", "timeout_request"),
    ("timeout_request", "timeout_graceful_shutdown"),
];

/// Of `limit_memory`, in bytes: a new worker uses a few MiB, and needs room for the requests and results that it works on.
const MEMORY_LEAST: usize = 16 << 20;

fn relations(settings: &Settings, document: Option<&Document>, faults: &mut Vec<Fault>) {
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
fn origin(settings: &Settings, key: &str, document: Option<&Document>) -> Origin {
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
