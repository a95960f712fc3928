//! Tools that need no database: what the server itself knows. The catalog names them and answers the two that it can;
//! the pool's state is the worker's to tell.

use super::json::push_string;
use super::outcome::{Content, Outcome};
use super::toolset::Toolset;

/// What a builtin tool tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// The tools of the toolset that was called.
    ToolList,
    /// The toolset's instructions.
    Instructions,
    /// The worker pool's state.
    Pool,
}

pub(crate) const NAMES: [(&str, Builtin); 3] = [
    ("tool_list", Builtin::ToolList),
    ("instructions", Builtin::Instructions),
    ("pool", Builtin::Pool),
];

/// `{"items":[{"name":...,"description":...,"parameters":[...]}],"count":n}`: the tools of a toolset, in its order.
pub(crate) fn tool_list(toolset: &Toolset) -> Outcome {
    let mut bytes = b"{\"items\":[".to_vec();
    for (index, tool) in toolset.tools().iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        bytes.extend_from_slice(b"{\"name\":");
        push_string(&mut bytes, &tool.name);
        bytes.extend_from_slice(b",\"description\":");
        push_string(&mut bytes, &tool.description);
        bytes.extend_from_slice(b",\"parameters\":[");
        for (index, parameter) in tool
            .parameters
            .iter()
            .filter(|p| p.origin.is_caller())
            .enumerate()
        {
            if index > 0 {
                bytes.push(b',');
            }
            push_string(&mut bytes, &parameter.name);
        }
        bytes.extend_from_slice(b"]}");
    }
    bytes.extend_from_slice(format!("],\"count\":{}}}", toolset.tools().len()).as_bytes());
    Outcome::json(bytes)
}

/// The toolset's instructions as plain text.
pub(crate) fn instructions(toolset: &Toolset) -> Outcome {
    let text = toolset
        .instructions
        .clone()
        .unwrap_or_else(|| "This server has no instructions.".to_owned());
    Outcome {
        is_error: false,
        content: Content::Text(text),
    }
}
