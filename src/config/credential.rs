//! `credential:NAME` in the place of a path: a file that the service manager hands to this service alone (systemd's
//! `LoadCredential=`, systemd.exec(5)). It lies in the folder that `CREDENTIALS_DIRECTORY` names. Reads nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PREFIX: &str = "credential:";
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Whether the path names a credential, so that no folder goes before it.
pub fn is_credential(path: &Path) -> bool {
    name(path).is_some()
}

fn name(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(PREFIX)
}

/// The file behind the path, which is the path itself unless it names a credential. `Err` is a fault's message.
pub fn file(path: &Path, environment: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    let Some(name) = name(path) else {
        return Ok(path.to_owned());
    };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(format!("`{name}` is no name of a credential"));
    }
    match environment
        .get(VARIABLE)
        .filter(|folder| !folder.is_empty())
    {
        Some(folder) => Ok(Path::new(folder).join(name)),
        None => Err(format!(
            "no credentials: {VARIABLE} isn't set. A unit with LoadCredential={name} sets it; by hand, set it to the folder that has \
             the file {name}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_lies_in_the_folder_of_the_service() {
        let table = [
            ("credential:database", Some("/run/credentials/x/database")),
            ("credential:", None),
            ("credential:../y/database", None),
            ("credential:.", None),
            ("/etc/url", Some("/etc/url")),
            ("credentials:x", Some("credentials:x")),
        ];
        let set = [(VARIABLE.to_owned(), "/run/credentials/x".to_owned())];
        for (path, expected) in table {
            let found = file(Path::new(path), &BTreeMap::from(set.clone()));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{path}");
        }
        for unset in [
            BTreeMap::new(),
            BTreeMap::from([(VARIABLE.to_owned(), String::new())]),
        ] {
            let fault = file(Path::new("credential:database"), &unset).unwrap_err();
            assert!(fault.contains("LoadCredential=database"), "{fault}");
        }
    }
}
