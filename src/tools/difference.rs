//! What differs between two lists of tools, member by member. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::describe::name;

/// One difference: a member of a tool, or the whole tool with an empty `member`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub tool: String,
    /// Path to the member: `inputSchema.properties.limit.maximum`.
    pub member: String,
    pub there: Option<Value>,
    pub here: Option<Value>,
}

/// Every difference, by tool. The order of members and of tools doesn't count.
pub fn difference(there: &[Value], here: &[Value]) -> Vec<Difference> {
    let names: BTreeSet<&str> = there.iter().chain(here).map(name).collect();
    let find =
        |tools: &'_ [Value], wanted: &str| tools.iter().find(|tool| name(tool) == wanted).cloned();
    let mut differences = Vec::new();
    for tool in names {
        match (find(there, tool), find(here, tool)) {
            (Some(one), Some(other)) => members(tool, "", &one, &other, &mut differences),
            (there, here) => differences.push(Difference {
                tool: tool.to_owned(),
                member: String::new(),
                there,
                here,
            }),
        }
    }
    differences
}

fn members(tool: &str, path: &str, there: &Value, here: &Value, differences: &mut Vec<Difference>) {
    let (Value::Object(one), Value::Object(other)) = (there, here) else {
        if !same(path, there, here) {
            let (there, here) = (Some(there.clone()), Some(here.clone()));
            differences.push(Difference {
                tool: tool.to_owned(),
                member: path.to_owned(),
                there,
                here,
            });
        }
        return;
    };
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => members(tool, &path, one, other, differences),
            (there, here) => differences.push(Difference {
                tool: tool.to_owned(),
                member: path,
                there: there.cloned(),
                here: here.cloned(),
            }),
        }
    }
}

/// Lists that mean sets (JSON Schema's `required` and `enum`) are the same in any order.
fn same(path: &str, there: &Value, here: &Value) -> bool {
    let (Value::Array(one), Value::Array(other)) = (there, here) else {
        return there == here;
    };
    let is_set = path.ends_with(".required") || path.ends_with(".enum");
    match is_set && one.len() == other.len() {
        true => one.iter().all(|value| other.contains(value)),
        false => one == other,
    }
}

/// `- there` and `+ here`, under each tool's name.
pub fn text(differences: &[Difference]) -> String {
    let mut text = String::new();
    let mut current = "";
    for difference in differences {
        if difference.member.is_empty() {
            let sign = if difference.here.is_some() { '+' } else { '-' };
            text.push_str(&format!("{sign} {}\n", difference.tool));
            continue;
        }
        if current != difference.tool {
            text.push_str(&format!("  {}\n", difference.tool));
            current = &difference.tool;
        }
        for (sign, value) in [('-', &difference.there), ('+', &difference.here)] {
            if let Some(value) = value {
                text.push_str(&format!("{sign}     {}: {value}\n", difference.member));
            }
        }
    }
    text
}

/// The same for a program.
pub fn json(differences: &[Difference]) -> Value {
    let list = differences.iter().map(|difference| {
        json!({ "tool": difference.tool, "member": difference.member, "there": difference.there, "here": difference.here })
    });
    Value::Array(list.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_and_members_that_differ() {
        let there = [
            json!({ "name": "gone" }),
            json!({ "name": "a", "title": "T", "inputSchema": { "required": ["x", "y"], "properties": { "x": { "maximum": 5 } } } }),
            json!({ "name": "same", "title": "S", "description": "D" }),
        ];
        let here = [
            json!({ "name": "same", "description": "D", "title": "S" }),
            json!({ "name": "a", "description": "new", "title": "T", "inputSchema": { "required": ["y", "x"], "properties": { "x": { "maximum": 6 } } } }),
            json!({ "name": "new" }),
        ];
        let found = difference(&there, &here);
        assert_eq!(
            text(&found),
            "  a\n+     description: \"new\"\n-     inputSchema.properties.x.maximum: 5\n\
             +     inputSchema.properties.x.maximum: 6\n- gone\n+ new\n"
        );
        assert_eq!(json(&found)[1]["here"], 6);
        assert_eq!(difference(&here, &here), []);
    }
}
