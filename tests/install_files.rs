//! `tine install` into a folder: what it shows, that it does things once, and that it takes back what it can't finish. What systemd
//! makes of it is in the tests of the real one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::systemd;

const SERVICE: &str = "usr/local/lib/systemd/system/tine@.service";
const SOCKET: &str = "usr/local/lib/systemd/system/tine@.socket";
const SYSUSERS: &str = "usr/local/lib/sysusers.d/tine.conf";
const TMPFILES: &str = "usr/local/lib/tmpfiles.d/tine.conf";

/// A folder that stands for a machine's root.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tine-install-test-{}-{number}", std::process::id());
        // In memory where possible: each of them holds the whole program, synced.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(name);
        fs::create_dir(&path).expect("a folder of our own");
        Root(path)
    }

    /// Runs `tine install --root` with these words: exit code, standard output, standard error.
    fn install(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tine"))
            .arg("install")
            .arg("--root")
            .arg(&self.0)
            .args(words)
            .output()
            .expect("tine runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|fault| panic!("{name}: {fault}"))
    }

    /// Everything below it: files with their mode and size, folders with their mode.
    fn state(&self) -> BTreeMap<PathBuf, (u32, u64)> {
        let mut found = BTreeMap::new();
        walk(&self.0, &mut found);
        found
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (u32, u64)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let data = fs::symlink_metadata(&path).expect("an entry");
        let size = if data.is_dir() { 0 } else { data.len() };
        found.insert(path.clone(), (data.permissions().mode() & 0o7777, size));
        if data.is_dir() {
            walk(&path, found);
        }
    }
}

#[test]
fn everything_is_put_in_place_once() {
    let root = Root::new();
    let (code, out, err) = root.install(&["swf"]);
    assert_eq!(code, Some(0), "{out}{err}");
    for name in [
        "usr/local/bin/tine",
        SERVICE,
        SOCKET,
        TMPFILES,
        "etc/tine/swf.toml",
    ] {
        assert!(
            out.contains(&format!("create   {}", root.path(name).display())),
            "{name}: {out}"
        );
    }
    let state = root.state();
    let mode = |name: &str| state[&root.path(name)].0;
    assert_eq!(mode("usr/local/bin/tine"), 0o755);
    assert_eq!(mode(SERVICE), 0o644);
    assert_eq!(mode("etc/tine"), 0o750);
    assert_eq!(mode("etc/tine/swf.toml"), 0o640);
    let installed = Command::new(root.path("usr/local/bin/tine"))
        .args(["serve", "--print-config", "--config"])
        .arg(root.path("etc/tine/swf.toml"))
        .output()
        .expect("the installed program runs");
    assert!(
        installed.status.success(),
        "the first configuration is valid: {installed:?}"
    );

    let (code, out, _) = root.install(&["swf"]);
    assert_eq!((code, out.as_str()), (Some(0), "nothing to change\n"));
    assert_eq!(root.state(), state);
}

#[test]
fn what_differs_is_shown_and_replaced() {
    let root = Root::new();
    root.install(&["swf"]);
    let service = root.read(SERVICE);
    root.write(SERVICE, &service.replace("WatchdogSec=20", "WatchdogSec=7"));
    root.write("usr/local/bin/tine", "\0older");
    root.write("etc/tine/swf.toml", "workers = 2\n");
    fs::set_permissions(root.path(TMPFILES), PermissionsExt::from_mode(0o600)).expect("a mode");
    let before = root.state();

    let (code, shown, _) = root.install(&["--dry-run", "swf"]);
    assert_eq!(code, Some(1));
    assert!(
        shown.contains("-WatchdogSec=7\n+WatchdogSec=20\n"),
        "{shown}"
    );
    assert!(shown.contains("bytes, before 6\n"), "{shown}");
    assert!(shown.contains("to 0644"), "{shown}");
    assert_eq!(root.state(), before, "a dry run changes nothing");

    let (code, out, _) = root.install(&["swf"]);
    assert_eq!((code, out), (Some(0), shown));
    assert_eq!(root.read(SERVICE), service);
    assert_eq!(
        root.read("etc/tine/swf.toml"),
        "workers = 2\n",
        "the operator's own"
    );
    assert_eq!(root.install(&["swf"]).1, "nothing to change\n");
}

#[test]
fn units_that_systemd_refuses_replace_nothing() {
    if let Some(reason) = systemd::no_analyze() {
        return systemd::skip(&reason);
    }
    let root = Root::new();
    root.install(&["swf"]);
    root.write(SERVICE, "# older\n");
    // The operator's own drop-in contradicts the unit.
    root.write(
        "etc/systemd/system/tine@.service.d/own.conf",
        "[Service]\nExecStart=/bin/true\n",
    );
    let before = root.state();
    let (code, _, err) = root.install(&["swf"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("more than one ExecStart"), "{err}");
    assert_eq!(root.state(), before);

    // Only one instance's drop-in does.
    fs::remove_dir_all(root.path("etc/systemd/system/tine@.service.d")).expect("removed");
    root.write(
        "etc/systemd/system/tine@swf.service.d/own.conf",
        "[Service]\nExecStart=/bin/true\n",
    );
    assert_eq!(root.install(&["swf"]).0, Some(1));
    assert_eq!(root.install(&["other"]).0, Some(0));
}

#[test]
fn what_cannot_be_finished_is_taken_back() {
    let root = Root::new();
    root.install(&[]);
    root.write(SERVICE, "# older\n");
    root.write("usr/local/bin/tine", "older");
    fs::set_permissions(root.path(SYSUSERS), PermissionsExt::from_mode(0o600)).expect("a mode");
    // Found only when the file is to be made, after the program was replaced and the mode set.
    fs::remove_dir_all(root.path("usr/local/lib/tmpfiles.d")).expect("removed");
    root.write(
        "usr/local/lib/tmpfiles.d",
        "a file where a folder should be",
    );
    let before = root.state();
    let (code, _, err) = root.install(&["new"]);
    assert_eq!(code, Some(70), "{err}");
    assert!(err.contains("tmpfiles.d"), "{err}");
    assert_eq!(root.state(), before);
    assert_eq!(root.read("usr/local/bin/tine"), "older");
}

#[test]
fn a_folder_in_the_way_is_named() {
    let root = Root::new();
    fs::create_dir_all(root.path(SERVICE)).expect("a folder");
    let before = root.state();
    let (code, _, err) = root.install(&[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("tine@.service is no regular file"), "{err}");
    assert_eq!(root.state(), before);
}

#[test]
fn the_folder_may_be_relative_and_new() {
    let root = Root::new();
    let output = Command::new(env!("CARGO_BIN_EXE_tine"))
        .args(["install", "--root", "build/root", "--prefix", "/usr"])
        .current_dir(&root.0)
        .output()
        .expect("tine runs");
    assert!(output.status.success(), "{output:?}");
    assert!(root.path("build/root/usr/bin/tine").exists());
}

#[test]
fn a_unit_of_the_operators_that_hides_ours_is_named() {
    let root = Root::new();
    root.write("etc/systemd/system/tine@.service", "# the operator's\n");
    let (code, _, err) = root.install(&[]);
    assert_eq!(code, Some(0), "{err}");
    let hides = format!(
        "{} hides",
        root.path("etc/systemd/system/tine@.service").display()
    );
    assert!(err.contains(&hides), "{err}");
}

#[test]
fn another_prefix_moves_program_and_units() {
    let root = Root::new();
    let (code, _, err) = root.install(&["--prefix", "/opt/tine", "--notify-reload"]);
    assert_eq!(code, Some(0), "{err}");
    let service = root.read("opt/tine/lib/systemd/system/tine@.service");
    assert!(
        service.contains("ExecStart=/opt/tine/bin/tine serve"),
        "{service}"
    );
    assert!(!service.contains("/usr/local"), "{service}");
    let drop_in = root.read("opt/tine/lib/systemd/system/tine@.service.d/notify-reload.conf");
    assert!(drop_in.contains("Type=notify-reload"), "{drop_in}");
    // Once asked for, it is kept without being asked for again.
    assert_eq!(
        root.install(&["--prefix", "/opt/tine"]).1,
        "nothing to change\n"
    );
}

#[test]
fn removing_leaves_the_configuration_unless_told() {
    let root = Root::new();
    root.install(&["swf", "--notify-reload"]);
    root.write(
        "etc/systemd/system/tine@swf.service.d/own.conf",
        "[Service]\nNice=1\n",
    );
    let before = root.state();
    let (code, shown, _) = root.install(&["--uninstall", "--dry-run"]);
    assert_eq!(code, Some(1));
    assert_eq!(root.state(), before);
    assert_eq!(root.install(&["--uninstall"]).1, shown);
    let files: Vec<PathBuf> = root
        .state()
        .into_keys()
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(
        files,
        [
            root.path("etc/systemd/system/tine@swf.service.d/own.conf"),
            root.path("etc/tine/swf.toml")
        ]
    );
    assert_eq!(root.install(&["--uninstall"]).1, "nothing to remove\n");
    assert_eq!(root.install(&["--uninstall", "--purge"]).0, Some(0));
    assert!(!root.path("etc/tine").exists());
}

#[test]
fn an_instance_is_a_name() {
    let root = Root::new();
    for name in ["../swf", "a/b", "", ".hidden", "a b", "ä"] {
        assert_eq!(root.install(&[name]).0, Some(64), "{name}");
    }
    assert!(root.state().is_empty());
}
