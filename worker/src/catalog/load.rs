//! Reads folders of tool files into a catalog. A file with a fault costs its own tool only; whether to serve without
//! it is the caller's decision.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Catalog;
use super::builtin_file;
use super::common::Setting;
use super::definition;
use super::digest;
use super::fault::{Fault, Faults, Source};
use super::tool::Tool;
use super::toolset::{Defaults, Toolset, Words};
use super::toolset_file::{self, Selection, ToolsetFile, fits, is_toolset_name};
use crate::files::{Entry, FileError, Files, Kind};

/// What the configuration tells the catalog.
#[derive(Debug, Clone)]
pub struct LoadContext {
    /// The names of the configured databases, the default one first. Empty: not known, so any name goes.
    pub databases: Vec<String>,
    /// A statement's timeout where neither tool nor toolset says.
    pub timeout: Duration,
    /// The longest timeout that a tool may have.
    pub max_timeout: Duration,
    /// Tools in one answer to `tools/list`.
    pub page_size: usize,
    /// The programs that tools may run; `None`: not known, so any name goes.
    pub programs: Option<Vec<String>>,
    /// The brokers that tools may send to; `None`: not known, so any name goes.
    pub brokers: Option<Vec<String>>,
    /// The operator's values for `from = "setting.NAME"`; they win over a toolset's own.
    pub settings: BTreeMap<String, String>,
    /// For `${NAME}` in a toolset's own values.
    pub environment: BTreeMap<String, String>,
}

impl Default for LoadContext {
    fn default() -> LoadContext {
        LoadContext {
            databases: Vec::new(),
            timeout: Duration::from_secs(8),
            max_timeout: Duration::from_secs(8),
            page_size: 1_000,
            programs: None,
            brokers: None,
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
        }
    }
}

const TOOLSET_FILE: &str = "_toolset.toml";

/// A folder's share of the catalog.
struct Folder {
    name: String,
    words: Words,
    selections: Vec<Selection>,
    /// For faults of the selections.
    source: Source,
    tools: Vec<Arc<Tool>>,
}

pub(crate) fn load(
    paths: &[PathBuf],
    context: &LoadContext,
    files: &Files,
) -> (Catalog, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut folders = Vec::new();
    for path in paths {
        for path in toolset_folders(path, files, &mut faults) {
            folders.push(read_folder(&path, context, files, &mut faults));
        }
    }
    drop_duplicates(&mut folders, &mut faults);
    let toolsets = toolsets(&folders, context, &mut faults);
    let all: Vec<Arc<Tool>> = folders
        .iter()
        .flat_map(|folder| folder.tools.iter().cloned())
        .collect();
    let default = match folders.as_slice() {
        [one] => one.words.clone(),
        many => common_words(many),
    };
    let name = match folders.as_slice() {
        [one] => one.name.clone(),
        _ => "all".to_owned(),
    };
    let default = Toolset::new(&name, default, all, context.page_size);
    let digest = digest::of_toolsets(&default, &toolsets);
    (
        Catalog {
            default,
            toolsets,
            digest,
        },
        faults,
    )
}

/// The folder itself, if it holds tool files; else those of its folders that do.
fn toolset_folders(path: &Path, files: &Files, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let entries = match files.folder(path) {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(unreadable(path, &error));
            return Vec::new();
        }
    };
    if entries.iter().any(is_tool_file) {
        return vec![path.to_owned()];
    }
    let mut inner = Vec::new();
    for entry in entries {
        if entry.kind == Kind::Folder
            && entries_of(&entry.path, files, faults)
                .iter()
                .any(is_tool_file)
        {
            inner.push(entry.path);
        }
    }
    if inner.is_empty() {
        let source = Source::new(path.to_owned(), String::new());
        faults.push(
            Fault::error(&source, 0..0, "no tool files here")
                .help("a toolset is a folder of .sql files; tools are named after them"),
        );
    }
    inner
}

/// Empty when it can't be read: a folder among folders need not be a toolset.
fn entries_of(path: &Path, files: &Files, faults: &mut Vec<Fault>) -> Vec<Entry> {
    files.folder(path).unwrap_or_else(|error| {
        if !matches!(error, FileError::System(_)) {
            faults.push(unreadable(path, &error));
        }
        Vec::new()
    })
}

fn is_tool_file(entry: &Entry) -> bool {
    let hidden = entry
        .path
        .file_name()
        .and_then(OsStr::to_str)
        .is_none_or(|name| name.starts_with('.'));
    !hidden
        && entry.kind == Kind::File
        && matches!(
            entry.path.extension().and_then(OsStr::to_str),
            Some("sql" | "toml")
        )
}

fn unreadable(path: &Path, error: &FileError) -> Fault {
    Fault::error(
        &Source::new(path.to_owned(), String::new()),
        0..0,
        format!("can't be read: {error}"),
    )
}

fn read_folder(
    path: &Path,
    context: &LoadContext,
    files: &Files,
    faults: &mut Vec<Fault>,
) -> Folder {
    let entries = entries_of(path, files, faults);
    let name = files
        .canonical(path)
        .ok()
        .and_then(|path| path.file_name().and_then(OsStr::to_str).map(str::to_owned))
        .unwrap_or_default();
    let toolset_path = path.join(TOOLSET_FILE);
    let mut source = Source::new(toolset_path.clone(), String::new());
    let mut file = ToolsetFile {
        defaults: Defaults::default(),
        ..ToolsetFile::default()
    };
    let is_toolset_file = |entry: &Entry| entry.path == toolset_path && entry.kind == Kind::File;
    if entries.iter().any(is_toolset_file)
        && let Some(text) = read_text(&toolset_path, files, faults)
    {
        source = Source::new(toolset_path, text);
        let mut found = Faults::new(source.clone());
        file = toolset_file::read(
            &Defaults::default(),
            &context.databases,
            &context.environment,
            files,
            &mut found,
        );
        if let Some(timeout) = &file.timeout
            && timeout.value > context.max_timeout
        {
            let limit = context.max_timeout.as_millis();
            found.error(
                timeout.span.clone(),
                format!("the timeout is longer than the server's limit of {limit} ms"),
            );
        }
        faults.append(&mut found.list);
    }
    if !is_toolset_name(&name) {
        faults.push(
            Fault::error(
                &source,
                0..0,
                format!("the folder's name `{name}` can't name a toolset"),
            )
            .help("use 1 to 64 letters, digits, dashes and underscores: it is a part of a URL"),
        );
    }
    file.defaults.settings.extend(context.settings.clone());
    let setting = Setting {
        defaults: file.defaults,
        database: file.database.or_else(|| context.databases.first().cloned()),
        timeout: file
            .timeout
            .map_or(context.timeout, |at| at.value)
            .min(context.max_timeout),
        max_timeout: context.max_timeout,
        zone: file.zone.unwrap_or(TimeZone::UTC),
        databases: context.databases.clone(),
        programs: context.programs.clone(),
        brokers: context.brokers.clone(),
    };
    let mut tools = Vec::new();
    for entry in entries.iter().filter(|entry| is_tool_file(entry)) {
        if entry.path.file_name() == Some(OsStr::new(TOOLSET_FILE)) {
            continue;
        }
        if let Some(tool) = read_tool(&entry.path, &setting, files, faults) {
            tools.push(Arc::new(tool));
        }
    }
    Folder {
        name,
        words: file.words,
        selections: file.selections,
        source,
        tools,
    }
}

fn read_tool(
    path: &Path,
    setting: &Setting,
    files: &Files,
    faults: &mut Vec<Fault>,
) -> Option<Tool> {
    let text = read_text(path, files, faults)?;
    let source = Source::new(path.to_owned(), text);
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let (tool, mut found) = match path.extension().and_then(OsStr::to_str) {
        Some("sql") => definition::sql_file(name, &source, setting),
        _ => builtin_file::toml_file(name, &source, setting),
    };
    faults.append(&mut found.list);
    tool
}

fn read_text(path: &Path, files: &Files, faults: &mut Vec<Fault>) -> Option<String> {
    let text = files.text(path);
    text.map_err(|error| faults.push(unreadable(path, &error)))
        .ok()
}

/// A tool's name is one in the whole catalog: the default toolset has all of them.
fn drop_duplicates(folders: &mut [Folder], faults: &mut Vec<Fault>) {
    let mut seen: HashMap<String, Arc<Path>> = HashMap::new();
    for folder in folders {
        folder.tools.retain(|tool| match seen.get(&tool.name) {
            None => {
                seen.insert(tool.name.clone(), Arc::clone(&tool.source.file));
                true
            }
            Some(first) => {
                let message = format!(
                    "a tool named `{}` exists already, in {}",
                    tool.name,
                    first.display()
                );
                faults.push(Fault::error(&tool.source, 0..0, message));
                false
            }
        });
    }
}

fn toolsets(
    folders: &[Folder],
    context: &LoadContext,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Toolset> {
    let mut toolsets = BTreeMap::new();
    let mut add =
        |name: &str, words: Words, tools: Vec<Arc<Tool>>, fault: Fault, faults: &mut Vec<Fault>| {
            if toolsets.contains_key(name) {
                faults.push(fault);
            } else {
                toolsets.insert(
                    name.to_owned(),
                    Toolset::new(name, words, tools, context.page_size),
                );
            }
        };
    for folder in folders {
        let taken = Fault::error(
            &folder.source,
            0..0,
            format!("a toolset named `{}` exists already", folder.name),
        );
        add(
            &folder.name,
            folder.words.clone(),
            folder.tools.clone(),
            taken,
            faults,
        );
        for selection in &folder.selections {
            let chosen = |tool: &&Arc<Tool>| {
                selection
                    .patterns
                    .iter()
                    .any(|p| fits(&p.value, &tool.name))
            };
            let tools: Vec<Arc<Tool>> = folder.tools.iter().filter(chosen).cloned().collect();
            // A pattern may wait for tools to come; a whole name that is not there is a slip.
            for pattern in selection.patterns.iter().filter(|p| !p.value.contains('*')) {
                if !folder.tools.iter().any(|tool| tool.name == pattern.value) {
                    let message = format!("no tool of this folder is named `{}`", pattern.value);
                    faults.push(Fault::warning(
                        &folder.source,
                        pattern.span.clone(),
                        message,
                    ));
                }
            }
            let name = &selection.name;
            let message = format!("a toolset named `{}` exists already", name.value);
            let taken = Fault::error(&folder.source, name.span.clone(), message);
            add(
                &name.value,
                inherit(&selection.words, &folder.words),
                tools,
                taken,
                faults,
            );
        }
    }
    toolsets
}

/// A selection says of itself what it wants, and the rest is its folder's.
fn inherit(own: &Words, folder: &Words) -> Words {
    let either = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
    Words {
        title: either(&own.title, &folder.title),
        description: either(&own.description, &folder.description),
        instructions: either(&own.instructions, &folder.instructions),
        server_name: either(&own.server_name, &folder.server_name),
    }
}

/// The words of all folders together: their instructions, one after the other.
fn common_words(folders: &[Folder]) -> Words {
    let instructions: Vec<&str> = folders
        .iter()
        .filter_map(|folder| folder.words.instructions.as_deref())
        .collect();
    Words {
        instructions: (!instructions.is_empty()).then(|| instructions.join("\n\n")),
        ..Words::default()
    }
}
