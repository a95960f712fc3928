//! What is wrong with a tool file, and where. Knows nothing of tools: it carries a place, a message and a way out,
//! so that whoever prints it can draw a caret under the text.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a fault matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The tool works, but probably not as its author wants.
    Warning,
    /// The tool is left out of the catalog.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// The text of one file. Cheap to clone: every fault and every tool of the file shares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub file: Arc<Path>,
    pub text: Arc<str>,
}

impl Source {
    pub fn new(file: PathBuf, text: String) -> Source {
        Source {
            file: file.into(),
            text: text.into(),
        }
    }

    /// The 1-based line and column (in characters) of a byte offset; an offset beyond the end is the end.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let offset = offset.min(bytes.len());
        let before = bytes.get(..offset).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let line_text = String::from_utf8_lossy(before.get(start..).unwrap_or_default());
        (line, line_text.chars().count() + 1)
    }
}

/// One thing wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub source: Source,
    /// Bytes of the file's text that the fault is about.
    pub span: Range<usize>,
    pub severity: Severity,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    pub fn error(source: &Source, span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault {
            source: source.clone(),
            span,
            severity: Severity::Error,
            message: message.into(),
            help: None,
        }
    }

    pub fn warning(source: &Source, span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault {
            severity: Severity::Warning,
            ..Fault::error(source, span, message)
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.line_column(self.span.start);
        let file = self.source.file.display();
        write!(
            f,
            "{file}:{line}:{column}: {}: {}",
            self.severity, self.message
        )?;
        if let Some(help) = &self.help {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

/// Collects the faults of one file.
#[derive(Debug)]
pub(crate) struct Faults {
    pub source: Source,
    pub list: Vec<Fault>,
}

impl Faults {
    pub fn new(source: Source) -> Faults {
        Faults {
            source,
            list: Vec::new(),
        }
    }

    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.list.push(Fault::error(&self.source, span, message));
    }

    pub fn error_with(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.list
            .push(Fault::error(&self.source, span, message).help(help));
    }

    pub fn warning(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.list.push(Fault::warning(&self.source, span, message));
    }

    pub fn any_error(&self) -> bool {
        self.list.iter().any(|f| f.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_count_characters_from_one() {
        let source = Source::new("a.sql".into(), "é\nab\n".into());
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(2), (1, 2));
        assert_eq!(source.line_column(3), (2, 1));
        assert_eq!(source.line_column(5), (2, 3));
        assert_eq!(source.line_column(99), (3, 1));
    }

    #[test]
    fn a_fault_prints_place_message_and_help() {
        let source = Source::new("a.sql".into(), "x\nbad".into());
        let fault = Fault::error(&source, 2..5, "no such key").help("remove it");
        assert_eq!(
            fault.to_string(),
            "a.sql:2:1: error: no such key (help: remove it)"
        );
    }
}
