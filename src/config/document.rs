//! A TOML file as text and tree, and faults that point into it. Knows no key.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tine_worker::files::Files;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::{Fault, Origin, nearest};

/// One table of many under a common name: its own name, what it holds and where it stands.
type Entry<'v, 't> = (&'v Spanned<Cow<'t, str>>, &'v DeTable<'t>, Range<usize>);

/// The file, and the faults found in it so far.
pub struct Document {
    pub path: PathBuf,
    pub text: Arc<str>,
    pub faults: Vec<Fault>,
}

impl Document {
    /// Reads the file; `Err` is the fault's message.
    pub fn read(path: &Path, files: &Files) -> Result<Document, String> {
        let text = files
            .text(path)
            .map_err(|error| format!("can't read {}: {error}", path.display()))?;
        Ok(Document {
            path: path.to_owned(),
            text: Arc::from(text),
            faults: Vec::new(),
        })
    }

    /// The tree of `text` (this document's own). Syntax errors become faults, and what could be read is returned.
    pub fn parse<'t>(&mut self, text: &'t str) -> DeTable<'t> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            self.fault(error.span().unwrap_or(0..0), error.message());
        }
        table.into_inner()
    }

    pub fn origin(&self, span: Range<usize>) -> Origin {
        Origin::File {
            path: self.path.clone(),
            text: Arc::clone(&self.text),
            span,
        }
    }

    pub fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        let fault = Fault::error(self.origin(span), message);
        self.faults.push(fault);
    }

    /// Reports a key that isn't in `known`, with the nearest one that is.
    pub fn unknown_key(&mut self, key: &Spanned<impl AsRef<str>>, place: &str, known: &[&str]) {
        let name = key.get_ref().as_ref();
        let fault = Fault::error(
            self.origin(key.span()),
            format!("unknown key `{name}`{place}"),
        );
        let fault = match nearest(name, known.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None if known.len() < 12 => fault.help(format!("known here: {}", known.join(", "))),
            None => fault.help("`tine serve --help` lists every key"),
        };
        self.faults.push(fault);
    }

    /// The tables of `[NAME.*]`, such as every `[databases.swf]`, in the file's order.
    pub fn tables<'v, 't>(
        &mut self,
        value: &'v Spanned<DeValue<'t>>,
        name: &str,
    ) -> Vec<Entry<'v, 't>> {
        let Some(table) = value.get_ref().as_table() else {
            self.fault(
                value.span(),
                format!(
                    "expected tables [{name}.NAME], found {}",
                    value.get_ref().type_str()
                ),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for (key, entry) in table.iter() {
            match entry.get_ref().as_table() {
                Some(table) => found.push((key, table, entry.span())),
                None => self.fault(
                    key.span(),
                    format!(
                        "expected a table [{name}.{}], found {}",
                        key.get_ref(),
                        entry.get_ref().type_str()
                    ),
                ),
            }
        }
        found.sort_by_key(|(key, _, _)| key.span().start);
        found
    }

    /// A text of a table, or a fault when it is something else.
    pub fn text_of(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.fault(
                value.span(),
                format!("expected text, found {}", value.get_ref().type_str()),
            );
        }
        text.map(str::to_owned)
    }

    /// The line, from 1, of a byte.
    pub fn line(&self, at: usize) -> usize {
        self.text
            .bytes()
            .take(at)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1
    }
}
