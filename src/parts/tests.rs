//! A configuration with all its files, read from the disk, sealed, and read again after the folder is gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tine_worker::catalog::Era;

use super::*;
use crate::config::Inputs;

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str, files: &[(&str, &[u8])]) -> Folder {
        let folder = std::env::temp_dir().join(format!("tine-parts-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for (name, content) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CONFIGURATION: &[u8] = b"
tokens_file = \"tokens.toml\"
toolsets = [\"tools\"]
[databases.main]
url_file = \"url\"
tls_ca = \"ca.pem\"
time_zone = \"Europe/Paris\"
[databases.other]
url = \"postgres://bot@db.example/other?sslmode=verify-full&sslrootcert=system\"
[settings]
tenant = \"x\"
";
const URL: &[u8] = b"postgres://bot:hunter2@db.example/main?sslmode=verify-full\n";
const TOKENS: &[u8] = b"[tokens.bot]
sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"
toolset = \"tickets\"
";
const TOOLSET: &[u8] = b"instructions = \"Ask.\"
time_zone = \"America/New_York\"
[toolsets.reading]
tools = [\"list\"]
";
const TOOL: &[u8] = b"/*+++
description = \"Good.\"
[params.since]
type = \"timestamp\"
[params.tenant]
from = \"setting.tenant\"
+++*/
SELECT :since::timestamptz AS since, :tenant::text AS tenant";

/// Everything that a server is made of, in a form that can be compared.
#[derive(Debug, PartialEq)]
struct Made {
    settings: Result<(String, String), String>,
    /// Both eras' lists of each toolset.
    lists: BTreeMap<String, [String; 2]>,
    digest: String,
    faults: Vec<Fault>,
    databases: Result<String, String>,
}

fn make(folder: &Path, files: &Files) -> Made {
    let inputs = Inputs {
        file: Some(folder.join("tine.toml")),
        ..Inputs::default()
    };
    let mut made = Made {
        settings: Err(String::new()),
        lists: BTreeMap::new(),
        digest: String::new(),
        faults: Vec::new(),
        databases: Err(String::new()),
    };
    let settings = match Settings::load(&inputs, files) {
        Ok(settings) => settings,
        Err(error) => {
            made.settings = Err(error.to_string());
            return made;
        }
    };
    let kept = format!("{:?} {:?}", settings.tokens, settings.values);
    made.settings = Ok((settings.dump(), kept));
    let (catalog, faults) = super::catalog(&settings, files);
    made.faults = faults;
    made.digest = catalog.digest().to_owned();
    let names = catalog.toolset_names().map(Some).chain([None]);
    made.lists = names
        .map(|name| {
            let toolset = catalog.toolset(name).unwrap();
            let list = |era| String::from_utf8_lossy(toolset.list(era, None).unwrap()).into_owned();
            let lists = [list(Era::Legacy), list(Era::Modern)];
            (name.unwrap_or_default().to_owned(), lists)
        })
        .collect();
    made.databases = databases(&settings, files)
        .map(|databases| format!("{databases:?}"))
        .map_err(|error| error.to_string());
    made
}

/// From the disk and, when the disk has nothing more, from its record.
fn twice(folder: Folder) -> Made {
    let disk = Files::disk();
    let path = folder.0.clone();
    let first = make(&path, &disk);
    drop(folder);
    assert!(!path.exists());
    let held = Files::held(&disk.snapshot()).unwrap();
    assert_eq!(make(&path, &held), first);
    first
}

fn authority() -> Vec<u8> {
    let certified = rcgen::generate_simple_self_signed(["db.example".to_owned()]).unwrap();
    certified.cert.pem().into_bytes()
}

#[test]
fn a_record_makes_the_same_server() {
    let authority = authority();
    let made = twice(Folder::new(
        "same",
        &[
            ("tine.toml", CONFIGURATION),
            ("url", URL),
            ("ca.pem", &authority),
            ("tokens.toml", TOKENS),
            ("tools/tickets/_toolset.toml", TOOLSET),
            ("tools/tickets/list.sql", TOOL),
            ("tools/tickets/.hidden.sql", b"no tool"),
            ("tools/tickets/README", b"\xff no tool"),
            (
                "tools/users/user.sql",
                b"/*+++\ndescription = \"Who.\"\n+++*/\nSELECT 1 AS id",
            ),
        ],
    ));
    assert!(made.settings.is_ok(), "{:?}", made.settings);
    assert_eq!(made.faults, []);
    assert!(made.databases.is_ok(), "{:?}", made.databases);
    let names: Vec<&str> = made.lists.keys().map(String::as_str).collect();
    assert_eq!(names, ["", "reading", "tickets", "users"]);
    assert!(made.lists.get("reading").unwrap()[0].contains("\"list\""));
}

#[test]
fn a_record_has_the_same_faults() {
    let made = twice(Folder::new(
        "faults",
        &[
            ("tine.toml", CONFIGURATION),
            ("url", URL),
            ("ca.pem", b"no certificate"),
            ("tokens.toml", TOKENS),
            (
                "tools/tickets/_toolset.toml",
                b"time_zone = \"Nowhere/Land\"",
            ),
            ("tools/tickets/list.sql", TOOL),
            ("tools/tickets/bytes.sql", b"\xff"),
            (
                "tools/tickets/slip.sql",
                b"/*+++\ntitel = \"x\"\n+++*/\nSELECT 1",
            ),
        ],
    ));
    let faults: Vec<&str> = made.faults.iter().map(|f| f.message.as_str()).collect();
    for expected in [
        "the time zone `Nowhere/Land` is not known here",
        "can't be read: stream did not contain valid UTF-8",
        "unknown key `titel`",
    ] {
        let found = faults.iter().any(|fault| fault.contains(expected));
        assert!(found, "{expected}: {faults:?}");
    }
    let databases = made.databases.unwrap_err();
    assert!(
        databases.contains("no certificate in PEM form"),
        "{databases}"
    );

    let made = twice(Folder::new("missing", &[("tine.toml", CONFIGURATION)]));
    let fault = made.settings.unwrap_err();
    assert!(
        fault.contains("tokens.toml: No such file or directory (os error 2)"),
        "{fault}"
    );
    let made = twice(Folder::new("syntax", &[("tine.toml", b"port = \nx = 1")]));
    assert!(made.settings.is_err());
    let made = twice(Folder::new("nothing", &[]));
    assert!(made.settings.is_err());

    let files: [(&str, &[u8]); 2] = [("tine.toml", CONFIGURATION), ("tokens.toml", b"")];
    let made = twice(Folder::new("url", &files));
    let databases = made.databases.unwrap_err();
    assert!(
        databases.contains("url: No such file or directory (os error 2)"),
        "{databases}"
    );
    let message = &made.faults.first().unwrap().message;
    assert_eq!(
        message,
        "can't be read: No such file or directory (os error 2)"
    );
}

/// A path that the record doesn't have is a fault that says so, and not taken for a missing file.
#[test]
fn another_configuration_than_the_recorded_is_told() {
    let folder = Folder::new("other", &[("tine.toml", b""), ("tools/a.sql", TOOL)]);
    let nothing = Files::held(&Files::disk().snapshot()).unwrap();
    let fault = make(&folder.0, &nothing).settings.unwrap_err();
    assert!(
        fault.contains("was not read when this configuration was checked"),
        "{fault}"
    );
    // `tine.toml` of the working directory may or may not exist.
    let fault = Settings::load(&Inputs::default(), &nothing)
        .map(|_| ())
        .unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("can't read tine.toml: it was not read"),
        "{fault}"
    );
    let settings = Settings {
        toolsets: vec![folder.0.join("tools")],
        ..Settings::default()
    };
    let (_, faults) = super::catalog(&settings, &nothing);
    assert!(
        faults
            .iter()
            .any(|fault| fault.message.contains("it was not read")),
        "{faults:?}"
    );
}
