//! The tool engine: tool files become a checked catalog, a call's arguments become a database job, its answer becomes
//! a result. Knows nothing of sockets, HTTP or JSON-RPC, and runs nothing itself.
//!
//! The way of a file: `front_matter` splits it, `table` reads its TOML and `lexer`/`fragments`/`statement` its SQL,
//! `definition` makes a [`Tool`] of both, `load` a [`Catalog`] of all. The way of a call: `arguments` and `values` judge
//! what the caller gave, `tool` binds it to the `wrap`ped statement, `outcome` and `sqlstate` say what came of it.

mod arguments;
mod bound_file;
mod builtin;
mod builtin_file;
mod call;
mod common;
mod crosscheck;
mod cursor;
mod definition;
mod describe;
mod digest;
mod effect;
mod effect_file;
mod example;
mod failure;
mod fault;
mod filling;
mod fragments;
mod front_matter;
mod json;
mod kind;
mod lexer;
mod load;
mod masks;
mod nearest;
mod note;
mod outcome;
mod page;
mod parameter;
mod parameters;
mod plan;
mod planning;
mod render;
mod result_keys;
mod rules_file;
mod schema;
mod sqlstate;
mod statement;
mod steps;
mod table;
mod template;
mod term;
#[cfg(test)]
mod tests;
mod time;
mod tool;
mod toolset;
mod toolset_file;
mod values;
mod wrap;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use arguments::Caller;
pub use builtin::Builtin;
pub use call::{Call, Refusal, Work};
pub use example::{Example, Expect};
pub use fault::{Fault, Severity, Source};
pub use kind::Type;
pub use load::LoadContext;
pub use outcome::{Content, Outcome, Shape};
pub use page::{Key, Page};
pub use parameter::{Origin, Parameter};
pub use plan::Step;
pub use sqlstate::{detail, sqlstate};
pub use tool::{Acting, Annotations, Kind, Sql, Tool};
pub use toolset::{Era, Toolset};
pub use toolset_file::expand;
pub use wrap::Variant;

use crate::files::Files;

/// All tools, immutable: a reload makes a new one.
pub struct Catalog {
    default: Toolset,
    toolsets: BTreeMap<String, Toolset>,
    digest: String,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("tools", &self.tools().len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// Reads toolset folders (or folders of such folders). Every fault of every file is returned; a tool whose file
    /// has an error is left out.
    pub fn load(
        folders: &[PathBuf],
        context: &LoadContext,
        files: &Files,
    ) -> (Catalog, Vec<Fault>) {
        load::load(folders, context, files)
    }

    /// A toolset by its name; `None` names the one with all tools.
    pub fn toolset(&self, name: Option<&str>) -> Option<&Toolset> {
        match name {
            None => Some(&self.default),
            Some(name) => self.toolsets.get(name),
        }
    }

    /// The names of the toolsets, the default one aside.
    pub fn toolset_names(&self) -> impl Iterator<Item = &str> {
        self.toolsets.keys().map(String::as_str)
    }

    /// The named toolsets, by name.
    pub fn toolsets(&self) -> impl Iterator<Item = &Toolset> {
        self.toolsets.values()
    }

    /// All tools, in the order of `tools/list`.
    pub fn tools(&self) -> &[Arc<Tool>] {
        self.default.tools()
    }

    /// SHA-256 over what clients can see of the tools, in hexadecimal: the names of the toolsets and each one's
    /// [`Toolset::digest`]. A statement that was corrected doesn't change it.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}
