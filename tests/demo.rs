//! `tine demo` as a person runs it: it serves, and whatever ends it leaves nothing behind.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::http::Connection;
use crate::harness::mcp::{Era, Post};
use crate::harness::wait;

/// initdb and the load take their time on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A demo whose temporary folder is its own.
struct Run {
    child: Child,
    folder: PathBuf,
}

impl Run {
    fn start(arguments: &[&str]) -> Run {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("tine-demo-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("tmp")).expect("a folder of our own");
        // Like the system's own: the database's account must get in, and remove what is its own.
        let open = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(folder.join("tmp"), open).expect("permissions");
        let output = |name| File::create(folder.join(name)).expect("an output file");
        // Whoever runs the tests in the background of a script hands down an ignored SIGINT (POSIX shell, "Asynchronous Lists").
        let child = Command::new("env")
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_tine")])
            .args(["demo", "--workers", "1", "--uds"])
            .arg(folder.join("server"))
            .args(arguments)
            .env("TMPDIR", folder.join("tmp"))
            .env_remove("TINE_TOKEN")
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("tine starts");
        Run { child, folder }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).expect("stderr")
    }

    fn until_it_serves(&mut self) {
        let socket = self.folder.join("server");
        wait::for_some_within(LIMIT, "the demo to serve", || {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("{status}: {}", self.stderr());
            }
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        let mut connection = Connection::open_unix(&self.folder.join("server"));
        let somewhere = ([127, 0, 0, 1], 80).into();
        let answer = Post::call(Era::Legacy, tool, arguments).send_on(&mut connection, somewhere);
        let (text, is_error) = answer.tool_text();
        assert!(!is_error, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Sends the signal and waits for the end; nothing may be left where temporary things go.
    fn end(&mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("signal");
        let status = wait::for_some_within(LIMIT, "the demo's end", || {
            self.child.try_wait().expect("wait")
        });
        // After SIGKILL the cluster's own supervisor cleans up.
        wait::for_some_within(LIMIT, "an empty temporary folder", || {
            let left = fs::read_dir(self.folder.join("tmp"))
                .expect("folder")
                .count();
            (left == 0).then_some(())
        });
        status
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_demo_serves_and_ctrl_c_leaves_nothing_behind() {
    let mut run = Run::start(&[]);
    run.until_it_serves();
    let agents = run.call("swf_list_agents", json!({"status": "all"}));
    assert_eq!(agents["total_count"], 200);
    let activity = run.call("panda_get_activity", json!({"days": 1000}));
    assert_eq!(activity["jobs"]["total"], 20_000);
    assert!(run.end(Signal::SIGINT).success(), "{}", run.stderr());
}

#[test]
fn a_killed_demo_leaves_nothing_behind() {
    let mut run = Run::start(&[]);
    run.until_it_serves();
    run.end(Signal::SIGKILL);
}

#[test]
fn ctrl_c_while_the_data_is_loaded_leaves_nothing_behind() {
    let mut run = Run::start(&["--size", "full"]);
    wait::for_some_within(LIMIT, "the load to begin", || {
        run.stderr().contains("swf_namespace").then_some(())
    });
    run.end(Signal::SIGINT);
    assert!(
        !run.stderr().contains("making the indexes of panda"),
        "the load went on"
    );
}

#[test]
fn a_wrong_option_is_told_before_anything_is_made() {
    let mut run = Run::start(&["--size", "huge"]);
    assert_eq!(run.child.wait().expect("wait").code(), Some(64));
    assert!(run.stderr().contains("huge"), "{}", run.stderr());
    assert_eq!(
        fs::read_dir(run.folder.join("tmp"))
            .expect("folder")
            .count(),
        0
    );
}
