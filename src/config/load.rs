//! Merges defaults, `tine.toml`, the environment and flags. Knows options through their table only.

use std::path::PathBuf;

use tine_worker::files::Files;
use toml::de::DeTable;

use super::document::Document;
use super::relations::{self, origin};
use super::sources::{Opened, Sources};
use super::token::{Token, hash};
use super::value::Value;
use super::{ConfigError, Inputs, Settings, credential, log_table, reach, tables};
use crate::fault::{Fault, Origin, nearest};
use crate::options::{OPTIONS, Opt};

/// Variables that are no option: the file to read, a token (which must not stand in a file or on a command line), and
/// where the demo finds PostgreSQL's programs.
const OTHER_VARIABLES: &[&str] = &["TINE_CONFIG", "TINE_TOKEN", "TINE_POSTGRES_BIN"];
/// And those by which a master tells the program that it executes what to do.
const ORDERS: [&str; 2] = tine_master::VARIABLES;

/// See [`Settings::load`].
pub fn load(inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
    let opened = Opened::file(inputs, files);
    let text = opened.text();
    let mut sources = Sources::new(opened, &text, inputs, files);
    let mut settings = Settings::default();
    for option in OPTIONS {
        let effective = sources.merge(option);
        (option.put)(&mut settings, effective.value.clone());
        settings.effective.push(effective);
    }
    let Sources {
        inputs,
        table,
        document,
        faults,
    } = &mut sources;
    settings.environment = inputs.environment.clone();
    if let Some(document) = document {
        settings.file = Some(document.path.clone());
        other_keys(document, table, &mut settings, inputs, files);
    }
    let document = document.as_ref();
    tokens(&mut settings, inputs, files, document, faults);
    settings.warnings = unknown_variables(inputs, &text);
    relations::check(&settings, document, faults);
    sources.verdict().map(|()| settings)
}

/// See [`Settings::part`].
pub fn part(keys: &[&str], inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
    let opened = Opened::file(inputs, files);
    let text = opened.text();
    let mut sources = Sources::new(opened, &text, inputs, files);
    let mut settings = Settings::default();
    for option in OPTIONS.iter().filter(|option| keys.contains(&option.key)) {
        let value = sources.merge(option).value;
        (option.put)(&mut settings, value);
    }
    sources.verdict().map(|()| settings)
}

/// See [`Settings::only`].
pub fn only(key: &str, inputs: &Inputs) -> (Value, Option<PathBuf>) {
    let files = Files::disk();
    let opened = Opened::file(inputs, &files);
    let (text, path) = (opened.text(), opened.path.clone());
    let mut sources = Sources::new(opened, &text, inputs, &files);
    let option = crate::options::find(key);
    let value = option.map_or(Value::None, |option| sources.merge(option).value);
    (value, path)
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
    for variable in ["TINE_TOKEN"]
        .into_iter()
        .chain(settings.token_env.as_deref())
    {
        let token = inputs.environment.get(variable);
        settings
            .tokens
            .extend(token.filter(|token| !token.is_empty()).map(|token| Token {
                name: "environment".to_owned(),
                sha256: hash(token),
                toolset: None,
                user: None,
            }));
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
