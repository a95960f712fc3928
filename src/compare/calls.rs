//! Which calls to send: from a file or from the tools' examples, and of these only what both servers have and what reads. Sends
//! nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tine_worker::catalog::Era;
use tine_worker::files::Files;

use super::name;
use crate::client::retry::Effect;
use crate::config::Settings;
use crate::fault::Fault;
use crate::{parts, target};

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub tool: String,
    pub arguments: Value,
}

/// What is done with each tool.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub calls: Vec<Call>,
    /// Tools that one server only has; `true` is the one here.
    pub one_sided: Vec<(String, bool)>,
    /// Tools of both that are not called, and why not.
    pub not_called: Vec<(String, &'static str)>,
}

impl Plan {
    /// `only` names the tools that matter, if not all do.
    pub fn new(
        here: &[Value],
        there: &[Value],
        given: Vec<Call>,
        only: Option<&BTreeSet<String>>,
    ) -> Plan {
        let wanted = |name: &str| only.is_none_or(|only| only.contains(name));
        let find = |tools: &'_ [Value], wanted: &str| -> Option<Value> {
            tools.iter().find(|tool| name(tool) == wanted).cloned()
        };
        let mut plan = Plan {
            calls: Vec::new(),
            one_sided: Vec::new(),
            not_called: Vec::new(),
        };
        let asked = given.iter().map(|call| call.tool.as_str());
        let listed = here.iter().chain(there).map(name);
        let names: BTreeSet<&str> = listed.chain(asked).filter(|name| wanted(name)).collect();
        let mut called = BTreeSet::new();
        for tool in names {
            match (find(here, tool), find(there, tool)) {
                (Some(one), Some(other)) => match reads(&one, &other) {
                    false => plan.not_called.push((tool.to_owned(), "may write")),
                    true if given.iter().any(|call| call.tool == tool) => {
                        called.insert(tool.to_owned());
                    }
                    true => plan.not_called.push((tool.to_owned(), "no call given")),
                },
                (None, None) => plan.not_called.push((tool.to_owned(), "in no list")),
                (one, _) => plan.one_sided.push((tool.to_owned(), one.is_some())),
            }
        }
        let calls = given.into_iter();
        plan.calls = calls.filter(|call| called.contains(&call.tool)).collect();
        plan
    }
}

/// Whether neither server can be changed by the tool. One that publishes no annotations at all, as old servers do, has no vote.
fn reads(here: &Value, there: &Value) -> bool {
    let mut votes = [here, there].into_iter().filter(|tool| {
        let hint = tool.pointer("/annotations/readOnlyHint");
        hint.is_some_and(Value::is_boolean)
    });
    let first = votes.next();
    first.is_some_and(|tool| target::effect(tool) == Effect::Reads)
        && votes.all(|tool| target::effect(tool) == Effect::Reads)
}

/// The calls of a file: on each line an object with `tool` (or `name`) and `arguments`. Empty lines and those that begin with `#`
/// are skipped. `Err` is a message with file and line.
pub fn of_file(path: &Path) -> Result<Vec<Call>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let call =
            of_line(line).map_err(|what| format!("{}:{}: {what}", path.display(), number + 1))?;
        calls.push(call);
    }
    Ok(calls)
}

fn of_line(line: &str) -> Result<Call, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let named = value.get("tool").or_else(|| value.get("name"));
    let Some(tool) = named.and_then(Value::as_str) else {
        return Err("expected an object with `tool` and `arguments`".to_owned());
    };
    let none = || Value::Object(Map::new());
    let arguments = value.get("arguments").cloned().unwrap_or_else(none);
    match arguments.is_object() {
        true => Ok(Call {
            tool: tool.to_owned(),
            arguments,
        }),
        false => Err("`arguments` must be an object".to_owned()),
    }
}

/// The examples of the configured tool files, one call without arguments for each tool that has none and needs none, and what is wrong
/// with the files.
pub fn of_examples(settings: &Settings, files: &Files) -> (Vec<Call>, Vec<Fault>) {
    let (catalog, faults) = parts::catalog(settings, files);
    let mut calls = Vec::new();
    for tool in catalog.tools() {
        let examples = tool.examples.iter();
        let mut arguments: Vec<Value> = examples.map(|one| one.arguments.clone()).collect();
        let definition: Option<Value> = serde_json::from_slice(tool.definition(Era::Legacy)).ok();
        let required = definition.as_ref().and_then(|tool| {
            let required = tool.pointer("/inputSchema/required")?;
            required.as_array().map(Vec::len)
        });
        if arguments.is_empty() && required.unwrap_or(0) == 0 {
            arguments.push(json!({}));
        }
        calls.extend(arguments.into_iter().map(|arguments| Call {
            tool: tool.name.clone(),
            arguments,
        }));
    }
    (calls, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, reads: Option<bool>) -> Value {
        match reads {
            Some(reads) => json!({ "name": name, "annotations": { "readOnlyHint": reads } }),
            None => json!({ "name": name }),
        }
    }

    #[test]
    fn only_what_both_have_and_nobody_writes_is_called() {
        let here = [
            tool("read", Some(true)),
            tool("old", Some(true)),
            tool("write", Some(false)),
            tool("silent", None),
            tool("torn", Some(true)),
            tool("new", Some(true)),
            tool("idle", Some(true)),
        ];
        let there = [
            tool("read", Some(true)),
            tool("old", None),
            tool("write", None),
            tool("silent", None),
            tool("torn", Some(false)),
            tool("gone", Some(true)),
            tool("idle", None),
        ];
        let names = [
            "read", "old", "write", "silent", "torn", "new", "gone", "typo",
        ];
        let call = |name: &str| Call {
            tool: name.to_owned(),
            arguments: json!({}),
        };
        let given = || names.iter().map(|name| call(name)).collect();
        let plan = Plan::new(&here, &there, given(), None);
        assert_eq!(plan.calls, [call("read"), call("old")]);
        let sides = [("gone".to_owned(), false), ("new".to_owned(), true)];
        assert_eq!(plan.one_sided, sides);
        let not_called = [
            ("idle", "no call given"),
            ("silent", "may write"),
            ("torn", "may write"),
            ("typo", "in no list"),
            ("write", "may write"),
        ];
        assert_eq!(
            plan.not_called,
            not_called.map(|(name, why)| (name.to_owned(), why))
        );

        let only = BTreeSet::from(["old".to_owned()]);
        let plan = Plan::new(&here, &there, given(), Some(&only));
        assert_eq!(plan.calls, [call("old")]);
        assert!(plan.one_sided.is_empty() && plan.not_called.is_empty());
    }

    #[test]
    fn a_line_is_a_call() {
        let call = of_line(r#"{"name": "a", "arguments": {"x": 1}}"#).unwrap();
        assert_eq!(
            (call.tool.as_str(), &call.arguments),
            ("a", &json!({"x": 1}))
        );
        assert_eq!(of_line(r#"{"tool": "a"}"#).unwrap().arguments, json!({}));
        for (line, part) in [
            ("{", "EOF"),
            ("[1]", "expected an object with"),
            (r#"{"tool": "a", "arguments": 1}"#, "must be an object"),
        ] {
            let fault = of_line(line).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
    }
}
