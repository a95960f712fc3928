//! Tests of the catalog as a whole: from files to bytes, statements and results.

mod arguments;
mod effects;
mod golden;
mod loading;
mod results;
mod schemas;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::files::Files;

/// A folder of tool files that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str, files: &[(&str, &str)]) -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let root = std::env::temp_dir().join(format!("tine-catalog-{process}-{number}-{test}"));
        let folder = root.join("bench");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Folder(folder)
    }

    pub fn load(&self) -> (Catalog, Vec<Fault>) {
        let context = LoadContext {
            databases: vec!["main".to_owned(), "other".to_owned()],
            ..LoadContext::default()
        };
        Catalog::load(std::slice::from_ref(&self.0), &context, &Files::disk())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(root) = self.0.parent() {
            let _ = std::fs::remove_dir_all(root);
        }
    }
}

/// A catalog without faults, of these files.
pub fn catalog(test: &str, files: &[(&str, &str)]) -> Catalog {
    let (catalog, faults) = Folder::new(test, files).load();
    assert!(
        faults.is_empty(),
        "{:#?}",
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    catalog
}

/// The only tool of a catalog with this front matter and statement.
pub fn tool(test: &str, front_matter: &str, sql: &str) -> Arc<Tool> {
    let text = format!("/*+++\ndescription = \"Test.\"\n{front_matter}\n+++*/\n{sql}\n");
    Arc::clone(&catalog(test, &[("tool.sql", &text)]).tools()[0])
}

/// The messages of the faults that such a tool has.
pub fn faults(test: &str, front_matter: &str, sql: &str) -> Vec<String> {
    let text = format!("/*+++\ndescription = \"Test.\"\n{front_matter}\n+++*/\n{sql}\n");
    let (_, faults) = Folder::new(test, &[("tool.sql", &text)]).load();
    faults.iter().map(ToString::to_string).collect()
}

pub fn caller() -> Caller<'static> {
    Caller {
        user: Some("amara"),
        token: None,
        now: "2026-04-28T12:00:00Z".parse::<Timestamp>().unwrap(),
        host: "host1",
    }
}

pub fn raw(arguments: &Value) -> Box<RawValue> {
    RawValue::from_string(arguments.to_string()).unwrap()
}

pub fn bind(tool: &Tool, arguments: &Value) -> Result<Call, String> {
    match tool.bind(Some(&raw(arguments)), &caller()) {
        Ok(Work::Sql(call)) => Ok(call),
        Ok(other) => panic!("no statement: {other:?}"),
        Err(refusal) => Err(text(&refusal.outcome)),
    }
}

/// Everything that a caller sees of an outcome.
pub fn text(outcome: &Outcome) -> String {
    match &outcome.content {
        Content::Json { bytes, notes, .. } => {
            let mut text = String::from_utf8(bytes.clone()).unwrap();
            for note in notes {
                text.push('\n');
                text.push_str(note);
            }
            text
        }
        Content::Text(text) => text.clone(),
        Content::Blocks(bytes) => String::from_utf8(bytes.clone()).unwrap(),
    }
}
