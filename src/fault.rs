//! A fault in something the operator wrote, shown as compilers show theirs: what, where, what to do.
//! Knows nothing of what was being read.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// Where the fault stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file, at a range of bytes of its text.
    File {
        path: PathBuf,
        text: Arc<str>,
        span: Range<usize>,
    },
    /// In one environment variable.
    Variable(String),
    /// In one flag of the command line.
    Flag(String),
    /// Between settings, or nowhere in particular.
    Nowhere,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub severity: Severity,
    pub origin: Origin,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    pub fn error(origin: Origin, message: impl Into<String>) -> Fault {
        Fault {
            severity: Severity::Error,
            origin,
            message: message.into(),
            help: None,
        }
    }

    pub fn warning(origin: Origin, message: impl Into<String>) -> Fault {
        Fault {
            severity: Severity::Warning,
            origin,
            message: message.into(),
            help: None,
        }
    }

    pub fn help(self, help: impl Into<String>) -> Fault {
        Fault {
            help: Some(help.into()),
            ..self
        }
    }

    /// The fault in one line, for a log: where, what, what to do.
    pub fn line(&self) -> String {
        let place = match &self.origin {
            Origin::File { path, text, span } => {
                let before = text.get(..span.start).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                format!("{}:{line}: ", path.display())
            }
            Origin::Variable(name) => format!("{name} (environment): "),
            Origin::Flag(flag) => format!("--{flag}: "),
            Origin::Nowhere => String::new(),
        };
        let help = self.help.as_ref();
        let help = help.map_or_else(String::new, |help| format!(" ({help})"));
        format!("{place}{}{help}", self.message)
    }

    /// The fault as text of several lines without a line end after the last, coloured for a terminal or not.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let message = match &self.origin {
            Origin::Variable(name) => format!("{name} (environment): {}", self.message),
            Origin::Flag(flag) => format!("--{flag}: {}", self.message),
            Origin::File { .. } | Origin::Nowhere => self.message.clone(),
        };
        let title = level.primary_title(message.as_str());
        let help = self.help.as_deref();
        let groups = match &self.origin {
            Origin::File { path, text, span } => {
                let end = span.end.min(text.len());
                let span = span.start.min(end)..end;
                let snippet = Snippet::source(text.as_ref())
                    .path(path.display().to_string())
                    .annotation(AnnotationKind::Primary.span(span));
                let group = title.element(snippet);
                vec![match help {
                    Some(help) => group.element(Level::HELP.message(help)),
                    None => group,
                }]
            }
            _ => {
                let help = help.map(|help| Group::with_title(Level::HELP.secondary_title(help)));
                std::iter::once(Group::with_title(title))
                    .chain(help)
                    .collect()
            }
        };
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&groups).to_string()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// The known word that `given` was most likely meant to be: at most a third of its letters differ.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (given.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|word| (distance(given, word), word));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits from one word to the other: insert, delete, replace, or swap two neighbours
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(from != to))
                .min(rows[i][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && to == a[i - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let known = ["workers", "port", "host", "limit_concurrency"];
        assert_eq!(nearest("worker", known), Some("workers"));
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(
            nearest("limit-concurrency", known),
            Some("limit_concurrency")
        );
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_fault_in_a_file_has_line_and_caret() {
        let text: Arc<str> = Arc::from("port = 80\nworker = 4\n");
        let span = 10..16;
        let fault = Fault::error(
            Origin::File {
                path: "tine.toml".into(),
                text,
                span,
            },
            "unknown key `worker`",
        )
        .help("did you mean `workers`?");
        let shown = fault.render(false);
        assert!(shown.contains("error: unknown key `worker`"), "{shown}");
        assert!(shown.contains("tine.toml:2:1"), "{shown}");
        assert!(shown.contains("^^^^^^"), "{shown}");
        assert!(shown.contains("help: did you mean `workers`?"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(fault.render(true).contains('\u{1b}'));
    }

    #[test]
    fn a_span_beyond_the_text_is_shown_at_its_end() {
        let fault = Fault::error(
            Origin::File {
                path: "t".into(),
                text: Arc::from("a = 1"),
                span: 90..99,
            },
            "odd",
        );
        assert!(fault.render(false).contains("odd"));
    }

    #[test]
    fn other_origins_name_themselves() {
        let variable = Fault::error(Origin::Variable("TINE_PORT".into()), "expected a number");
        assert!(
            variable
                .to_string()
                .contains("TINE_PORT (environment): expected a number")
        );
        let flag = Fault::error(Origin::Flag("port".into()), "expected a number");
        assert!(flag.to_string().contains("--port: expected a number"));
    }
}
