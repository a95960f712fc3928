//! A named selection of tools, in one fixed order, with its `tools/list` answers prepared as bytes. Knows the two
//! protocol eras only by what they publish differently.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::builtin::{self, Builtin};
use super::digest;
use super::failure::Failure;
use super::outcome::Outcome;
use super::tool::Tool;

/// Which revision of the protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25 and older: `initialize`.
    Legacy,
    /// 2026-07-28: `_meta` in every request.
    Modern,
}

/// What `_toolset.toml` sets for the tools of its folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Defaults {
    pub empty_absent: bool,
    pub zero_absent: bool,
    pub failure: Failure,
    /// The folder's `[settings]`.
    pub settings: BTreeMap<String, String>,
    /// The content of the folder's `[files]`, as JSON; `None`: there is none.
    pub files: BTreeMap<String, Option<String>>,
    pub max_bytes: usize,
    pub max_rows: u32,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            empty_absent: false,
            zero_absent: false,
            failure: Failure::default(),
            settings: BTreeMap::new(),
            files: BTreeMap::new(),
            max_bytes: 1 << 20,
            max_rows: 1_000,
        }
    }
}

/// The answers to `tools/list` for one era, one per page.
#[derive(Debug, Default)]
struct Pages(Vec<Box<[u8]>>);

/// A toolset, served at its own URL.
pub struct Toolset {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// What `initialize` and `server/discover` tell a model about the server.
    pub instructions: Option<String>,
    /// Overrides the configuration's `serverInfo.name`.
    pub server_name: Option<String>,
    tools: Vec<Arc<Tool>>,
    by_name: HashMap<String, Arc<Tool>>,
    legacy: Pages,
    modern: Pages,
    digest: String,
    /// Distinguishes this list's cursors from those of an earlier catalog whose pages were others.
    mark: String,
}

impl fmt::Debug for Toolset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolset")
            .field("name", &self.name)
            .field("tools", &self.tools.len())
            .finish_non_exhaustive()
    }
}

/// A toolset's words about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub title: Option<String>,
    pub description: Option<String>,
    pub instructions: Option<String>,
    pub server_name: Option<String>,
}

impl Toolset {
    /// `page_size` tools go into one answer to `tools/list`.
    pub(crate) fn new(
        name: &str,
        words: Words,
        mut tools: Vec<Arc<Tool>>,
        page_size: usize,
    ) -> Toolset {
        tools.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        let digest = digest::of_tools(&tools);
        let mark = format!("{}.{page_size}", digest.get(..12).unwrap_or(&digest));
        let pages = |era| Pages::prepare(&tools, era, page_size.max(1), &mark);
        Toolset {
            name: name.to_owned(),
            title: words.title,
            description: words.description,
            instructions: words.instructions,
            server_name: words.server_name,
            by_name: tools
                .iter()
                .map(|tool| (tool.name.clone(), Arc::clone(tool)))
                .collect(),
            legacy: pages(Era::Legacy),
            modern: pages(Era::Modern),
            tools,
            digest,
            mark,
        }
    }

    /// The tools in the order of `tools/list`.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// SHA-256 over the list as clients see it, in hexadecimal: names, schemas, descriptions and annotations, in order.
    /// As long as it stays, `tools/list` says the same.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Tool>> {
        self.by_name.get(name)
    }

    /// What a builtin tool of this toolset tells. The pool's state is not the catalog's to tell.
    pub fn builtin(&self, builtin: &Builtin) -> Outcome {
        match builtin {
            Builtin::ToolList => builtin::tool_list(self),
            Builtin::Instructions => builtin::instructions(self),
            Builtin::Pool => Outcome::error("The pool's state is not known here."),
        }
    }

    /// The inside of a `tools/list` result: `"tools":[...]`, and `,"nextCursor":"..."` when there is another page.
    /// `None`: no page has that cursor (JSON-RPC -32602). The empty string is a cursor like any other, and nobody's.
    pub fn list(&self, era: Era, cursor: Option<&str>) -> Option<&[u8]> {
        let page = match cursor {
            None => 0,
            Some(cursor) => page_of(cursor, &self.mark)?,
        };
        let pages = match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        };
        pages.0.get(page).map(AsRef::as_ref)
    }
}

/// Numbered tools first, then the others by name.
fn sort_key(tool: &Tool) -> (bool, i64, &str) {
    (tool.order.is_none(), tool.order.unwrap_or(0), &tool.name)
}

impl Pages {
    fn prepare(tools: &[Arc<Tool>], era: Era, page_size: usize, mark: &str) -> Pages {
        let mut pages: Vec<Box<[u8]>> = Vec::new();
        let count = tools.len().div_ceil(page_size).max(1);
        for page in 0..count {
            let mut bytes = b"\"tools\":[".to_vec();
            for (index, tool) in tools
                .iter()
                .skip(page * page_size)
                .take(page_size)
                .enumerate()
            {
                if index > 0 {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(tool.definition(era));
            }
            bytes.push(b']');
            if page + 1 < count {
                bytes.extend_from_slice(b",\"nextCursor\":\"");
                bytes.extend_from_slice(cursor_of(page + 1, mark).as_bytes());
                bytes.push(b'"');
            }
            pages.push(bytes.into_boxed_slice());
        }
        Pages(pages)
    }
}

fn cursor_of(page: usize, mark: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{mark}:{page}"))
}

fn page_of(cursor: &str, mark: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let page: usize = text.strip_prefix(mark)?.strip_prefix(':')?.parse().ok()?;
    // The first page has no cursor.
    (page > 0).then_some(page)
}
