//! Files that parameters are bound to: `[files.NAME]` of `_toolset.toml`, TOML or JSON, as JSON.
//!
//! They are read with the tools and not by each call, so that no call waits for a disk (which may be another host's), all workers of a
//! generation see the same, and a reload is the one moment at which what a server knows changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::table::{At, Table, to_json};
use super::toolset_file::expand;
use crate::files::Files;

/// The content of each, as JSON; `None`: there is no such file, or it can't be used, which is told as a warning.
pub(crate) fn read_all(
    table: &Table<'_, '_>,
    environment: &BTreeMap<String, String>,
    files: &Files,
    faults: &mut Faults,
) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for (name, mut table) in table.named_tables(faults) {
        let path = path(&name, &mut table, environment, faults);
        table.finish(faults);
        let content = path.and_then(|path| match files.exists(&path) {
            Ok(false) => None,
            _ => content(&path, files)
                .map_err(|reason| {
                    let message = format!("{} is taken for missing: {reason}", path.display());
                    faults.warning(name.span.clone(), message);
                })
                .ok(),
        });
        found.insert(name.value, content);
    }
    found
}

/// `path` in `folder`, which is the toolset's own if there is none.
fn path(
    name: &At<String>,
    table: &mut Table<'_, '_>,
    environment: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> Option<PathBuf> {
    let mut text = |key| {
        let text = table.string(key, faults)?;
        let read = expand(&text.value, |variable| environment.get(variable).cloned());
        read.map_err(|complaint| faults.error(text.span, complaint))
            .ok()
    };
    let (path, folder) = (text("path"), text("folder"));
    let Some(path) = path else {
        faults.error(
            name.span.clone(),
            format!("the file `{}` has no path", name.value),
        );
        return None;
    };
    let own = faults.source.file.parent().unwrap_or(Path::new(""));
    Some(own.join(folder.unwrap_or_default()).join(path))
}

fn content(path: &Path, files: &Files) -> Result<String, String> {
    let text = files.text(path).map_err(|error| error.to_string())?;
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let value = if json {
        serde_json::from_str(&text).map_err(|error| format!("it is no JSON: {error}"))?
    } else {
        toml_value(&text)?
    };
    let text = value.to_string();
    if text.contains("\\u0000") {
        return Err("it holds a NUL character".to_owned());
    }
    Ok(text)
}

fn toml_value(text: &str) -> Result<Value, String> {
    let table =
        DeTable::parse(text).map_err(|error| format!("it is no TOML: {}", error.message()))?;
    let source = super::fault::Source::new(PathBuf::new(), String::new());
    let mut faults = Faults::new(source);
    let whole = 0..0;
    to_json(&DeValue::Table(table.into_inner()), &whole, &mut faults)
        .ok_or_else(|| "it holds a value that JSON has not".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fault::Source;
    use super::super::table;
    use super::*;

    #[test]
    fn files_become_json_and_a_missing_one_is_null() {
        let folder = std::env::temp_dir().join(format!("tine-bound-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("a.toml"), "[w]\nname = \"é\"\nn = 2\nf = 2.0").unwrap();
        fs::write(folder.join("sub/b.json"), "{\"z\":1,\"a\":[null]}").unwrap();
        fs::write(folder.join("broken.toml"), "x =").unwrap();
        let text = "[a]\npath = \"a.toml\"\n[b]\nfolder = \"sub\"\npath = \"b.json\"\n[gone]\npath = \"no.toml\"\n\
                    [broken]\npath = \"broken.toml\"\n[none]\n[abs]\nfolder = \"/x\"\npath = \"";
        let text = format!("{text}{}\"", folder.join("a.toml").display());
        let mut faults = Faults::new(Source::new(folder.join("_toolset.toml"), text.clone()));
        let whole = 0..text.len();
        let parsed = table::parse(&text, &whole, &mut faults).unwrap();
        let table = Table::new(parsed.get_ref(), "files", whole, 0);
        let found = read_all(&table, &BTreeMap::new(), &Files::disk(), &mut faults);
        fs::remove_dir_all(&folder).unwrap();
        let get = |name: &str| found[name].as_deref();
        assert_eq!(get("a"), Some(r#"{"w":{"name":"é","n":2,"f":2.0}}"#));
        assert_eq!(get("abs"), get("a"));
        assert_eq!(get("b"), Some(r#"{"z":1,"a":[null]}"#));
        assert_eq!(
            (get("gone"), get("broken"), get("none")),
            (None, None, None)
        );
        let told: Vec<String> = faults.list.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("warning") && told[0].contains("broken.toml is taken for missing")
        );
        assert!(told[1].contains("the file `none` has no path"));
    }
}
