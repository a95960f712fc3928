//! `tine demo` from its start to Ctrl-C: what it prints works as printed, and nothing stays behind.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::wait;

/// A running demo whose temporary files are in a folder of ours.
struct Demo {
    child: Child,
    folder: PathBuf,
}

impl Demo {
    fn start(name: &str, arguments: &[&str]) -> Demo {
        let folder = std::env::temp_dir().join(format!("td{}{name}", std::process::id()));
        fs::create_dir_all(folder.join("tmp")).expect("folders");
        let create = |name: &str| File::create(folder.join(name)).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_tine"))
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", folder.join("tmp"))
            .env_remove("TINE_TOKEN")
            .stdin(Stdio::null())
            .stdout(create("out"))
            .stderr(create("err"))
            .process_group(0)
            .spawn()
            .expect("tine starts");
        Demo { child, folder }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    fn until_it_serves(&mut self) {
        wait::until("the demo serves", || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.read("err"));
            self.read("err").contains(" tools at ")
        });
    }

    /// What a terminal does at Ctrl-C: SIGINT to the whole foreground group.
    fn interrupt(&mut self) -> Option<i32> {
        let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        killpg(group, Signal::SIGINT).expect("the demo is there");
        wait::for_some("the demo ends", || self.child.try_wait().expect("a child")).code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        wait::until("its processes are gone", || {
            processes_of(&self.folder).is_empty()
        });
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Processes with the folder in their command line: PostgreSQL's have.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("UTF-8");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(folder))
        .collect()
}

#[test]
fn what_the_demo_prints_works_and_ctrl_c_leaves_nothing() {
    let mut demo = Demo::start("a", &["--port", "0", "--workers", "2"]);
    demo.until_it_serves();

    let out = demo.read("out");
    let curl = out
        .lines()
        .find(|line| line.trim_start().starts_with("curl "))
        .expect("a line for curl");
    let url = curl
        .split_whitespace()
        .find(|word| word.starts_with("http://127.0.0.1:"))
        .expect("a URL");
    let (_, body) = curl.split_once("-d '").expect("a body");
    let mut answer = ureq::post(url)
        .content_type("application/json")
        .send(body.trim_end_matches('\''))
        .expect("an answer");
    let answer: serde_json::Value =
        serde_json::from_str(&answer.body_mut().read_to_string().expect("text")).expect("JSON");
    assert_eq!(answer["result"]["isError"], false, "{answer}");

    let (_, program) = out
        .split_once("Python, without any package:\n")
        .expect("a program");
    let (program, _) = program.split_once("\n\n").expect("its end");
    let program: Vec<&str> = program
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect();
    let ran = Command::new("python3")
        .args(["-c", &program.join("\n")])
        .output()
        .expect("python3");
    assert!(
        String::from_utf8_lossy(&ran.stdout).contains("\"items\""),
        "{ran:?}"
    );

    assert_eq!(demo.interrupt(), Some(0), "{}", demo.read("err"));
    assert_eq!(
        fs::read_dir(demo.folder.join("tmp"))
            .expect("a folder")
            .count(),
        0
    );
    wait::until("PostgreSQL is gone", || {
        processes_of(&demo.folder).is_empty()
    });
}

#[test]
fn a_kept_demo_is_found_again() {
    let state = std::env::temp_dir().join(format!("tds{}", std::process::id()));
    let place = state.to_str().expect("UTF-8").to_owned();
    for (name, again) in [("b", false), ("c", true)] {
        let mut demo = Demo::start(name, &["--port", "0", "--workers", "1", "--state", &place]);
        demo.until_it_serves();
        assert_eq!(
            demo.read("err").contains("is still there"),
            again,
            "{}",
            demo.read("err")
        );
        assert!(demo.read("out").contains(&place));
        assert_eq!(demo.interrupt(), Some(0));
    }
    fs::remove_dir_all(&state).expect("the kept folder");
}

#[test]
fn wrong_flags_are_told_before_the_database_starts() {
    let mut demo = Demo::start("d", &["--workers", "0"]);
    let code = wait::for_some("it ends", || demo.child.try_wait().expect("a child")).code();
    assert_eq!(code, Some(64));
    assert!(
        !demo.read("err").contains("PostgreSQL"),
        "{}",
        demo.read("err")
    );
}
