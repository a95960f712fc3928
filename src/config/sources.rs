//! The sources of an option's value: the configuration file, `env_file`, the environment, flags. Opens the file once and says which
//! source is the strongest for one option; knows none but `env_file`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tine_worker::files::Files;
use toml::de::DeTable;

use super::document::Document;
use super::{ConfigError, Effective, Inputs, Source, credential, env_file};
use crate::fault::{Fault, Origin};
use crate::options::Opt;

/// The configuration file, if there is one.
pub struct Opened {
    /// Also of one that can't be read.
    pub path: Option<PathBuf>,
    document: Option<Document>,
    faults: Vec<Fault>,
}

impl Opened {
    pub fn file(inputs: &Inputs, files: &Files) -> Opened {
        let mut opened = Opened {
            path: None,
            document: None,
            faults: Vec::new(),
        };
        let read = file(inputs, files).and_then(|path| {
            opened.path.clone_from(&path);
            path.map(|path| Document::read(&path, files)).transpose()
        });
        match read {
            Ok(document) => opened.document = document,
            Err(message) => opened.faults.push(Fault::error(Origin::Nowhere, message)),
        }
        opened
    }

    /// Empty without a file.
    pub fn text(&self) -> Arc<str> {
        let text = |document: &Document| Arc::clone(&document.text);
        self.document.as_ref().map_or(Arc::from(""), text)
    }
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

/// All of them, and what was found wrong with them so far.
pub struct Sources<'t> {
    /// With the variables of `env_file`, below the environment's own.
    pub inputs: Inputs,
    pub table: DeTable<'t>,
    pub document: Option<Document>,
    /// Beside those of the document.
    pub faults: Vec<Fault>,
}

impl<'t> Sources<'t> {
    /// `text` is the opened file's.
    pub fn new(opened: Opened, text: &'t str, inputs: &Inputs, files: &Files) -> Sources<'t> {
        let mut document = opened.document;
        let parsed = document.as_mut().map(|document| document.parse(text));
        let mut sources = Sources {
            inputs: inputs.clone(),
            table: parsed.unwrap_or_default(),
            document,
            faults: opened.faults,
        };
        sources.add_env_file(files);
        sources
    }

    /// One option's value from the strongest source that gives it.
    pub fn merge(&mut self, option: &'static Opt) -> Effective {
        merge(
            option,
            &self.inputs,
            &self.table,
            self.document.as_mut(),
            &mut self.faults,
        )
    }

    // Where the option itself is wrong is said when all options are merged.
    fn add_env_file(&mut self, files: &Files) {
        let Some(option) = crate::options::find("env_file") else {
            return;
        };
        let mut copy = self.document.as_ref().map(|document| Document {
            path: document.path.clone(),
            text: Arc::clone(&document.text),
            faults: Vec::new(),
        });
        let inputs = &mut self.inputs;
        let effective = merge(option, inputs, &self.table, copy.as_mut(), &mut Vec::new());
        let Some(path) = effective.value.path() else {
            return;
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
            Ok(Err(complaints)) => {
                self.faults
                    .extend(complaints.into_iter().map(|(line, complaint)| {
                        let message = format!("{}:{line}: {complaint}", path.display());
                        Fault::error(Origin::Nowhere, message)
                    }))
            }
            Err(message) => self.faults.push(Fault::error(Origin::Nowhere, message)),
        }
    }

    /// All faults, those of the file first and in its order.
    pub fn verdict(mut self) -> Result<(), ConfigError> {
        let mut all = self
            .document
            .map(|document| document.faults)
            .unwrap_or_default();
        all.sort_by_key(|fault| match &fault.origin {
            Origin::File { span, .. } => span.start,
            _ => 0,
        });
        all.append(&mut self.faults);
        if all.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(all))
        }
    }
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
