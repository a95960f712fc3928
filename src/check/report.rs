//! What a check found, for people and for scripts. Knows nothing of how it was found.

use std::fmt;

use serde_json::{Value, json};

use crate::fault::{Fault, Origin, Severity};

/// The whole result.
#[derive(Debug, Default)]
pub struct Report {
    pub tools: Vec<ToolReport>,
    /// In the order found; those of loading come first.
    pub faults: Vec<Fault>,
    pub sizes: Vec<Size>,
}

/// One tool, as the database sees it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ToolReport {
    pub name: String,
    /// Every statement was prepared, and found to keep the tool's promises.
    pub proven: bool,
    /// How many statements that was.
    pub statements: usize,
    /// Name and PostgreSQL type.
    pub parameters: Vec<(String, String)>,
    /// Name and PostgreSQL type.
    pub columns: Vec<(String, String)>,
    pub examples: Vec<ExampleReport>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleReport {
    /// The arguments, as JSON.
    pub arguments: String,
    pub passed: bool,
    pub milliseconds: u64,
}

/// What a toolset's `tools/list` costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// Empty: all tools.
    pub toolset: String,
    pub tools: usize,
    pub bytes: usize,
}

impl Size {
    /// Four bytes a token: rough, but good enough to see what grows.
    pub fn tokens(&self) -> usize {
        self.bytes.div_ceil(4)
    }
}

impl ToolReport {
    pub fn named(name: &str) -> ToolReport {
        ToolReport {
            name: name.to_owned(),
            ..ToolReport::default()
        }
    }
}

impl Report {
    fn count(&self, severity: Severity) -> usize {
        self.faults
            .iter()
            .filter(|fault| fault.severity == severity)
            .count()
    }

    /// Something is wrong; warnings are not.
    pub fn failed(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// The report for people: faults first, what is well after them. Colours are for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for fault in &self.faults {
            out.push_str(&fault.render(colour));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out
    }

    fn summary(&self) -> String {
        let mut out = String::new();
        let width = self
            .tools
            .iter()
            .map(|tool| tool.name.len())
            .max()
            .unwrap_or(0);
        for tool in &self.tools {
            out.push_str(&format!("{:width$}  {}\n", tool.name, line(tool)));
        }
        if !self.sizes.is_empty() {
            out.push('\n');
        }
        let width = self
            .sizes
            .iter()
            .map(|size| size.toolset.len())
            .max()
            .unwrap_or(0)
            .max("(all)".len());
        for size in &self.sizes {
            let name = if size.toolset.is_empty() {
                "(all)"
            } else {
                &size.toolset
            };
            let (tools, bytes, tokens) = (size.tools, size.bytes, size.tokens());
            out.push_str(&format!(
                "tools/list of {name:width$}  {tools} tools, {bytes} bytes, about {tokens} tokens\n"
            ));
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        out.push_str(&format!(
            "\n{}, {}\n",
            counted(errors, "error"),
            counted(warnings, "warning")
        ));
        out
    }

    /// The report for scripts.
    pub fn to_json(&self) -> Value {
        let pairs = |list: &[(String, String)]| -> Value {
            list.iter()
                .map(|(name, kind)| json!({ "name": name, "type": kind }))
                .collect()
        };
        let example = |example: &ExampleReport| json!({ "arguments": example.arguments, "passed": example.passed, "milliseconds": example.milliseconds });
        let tool = |tool: &ToolReport| {
            json!({
                "name": tool.name,
                "proven": tool.proven,
                "statements": tool.statements,
                "parameters": pairs(&tool.parameters),
                "columns": pairs(&tool.columns),
                "examples": tool.examples.iter().map(example).collect::<Value>(),
            })
        };
        let size = |size: &Size| json!({ "toolset": size.toolset, "tools": size.tools, "bytes": size.bytes, "tokens": size.tokens() });
        json!({
            "ok": !self.failed(),
            "faults": self.faults.iter().map(fault).collect::<Value>(),
            "tools": self.tools.iter().map(tool).collect::<Value>(),
            "toolsets": self.sizes.iter().map(size).collect::<Value>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

fn line(tool: &ToolReport) -> String {
    let mut text = match tool.statements {
        0 => "no statement proven".to_owned(),
        count => format!("{} proven", counted(count, "statement")),
    };
    if tool.statements > 0 && !tool.proven {
        text = "not proven".to_owned();
    }
    if !tool.examples.is_empty() {
        let passed = tool
            .examples
            .iter()
            .filter(|example| example.passed)
            .count();
        text.push_str(&format!(
            ", {passed} of {} passed",
            counted(tool.examples.len(), "example")
        ));
    }
    text
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}

fn fault(fault: &Fault) -> Value {
    let severity = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut value = json!({ "severity": severity, "message": fault.message, "help": fault.help });
    if let Origin::File { path, text, span } = &fault.origin {
        let before = text.get(..span.start.min(text.len())).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        value["file"] = path.display().to_string().into();
        value["line"] = (before.matches('\n').count() + 1).into();
        value["column"] = (before.get(line_start..).unwrap_or_default().chars().count() + 1).into();
    }
    value
}
