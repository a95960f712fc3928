//! `tine probe --restart` with a systemctl of the test's own, which tells what the test says and writes down what it was told.
//! What the rules are is in the table of src/probe/policy.rs; the real systemctl has a test of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::fake::{Act, Fake, Topic};
use crate::harness::wait;
use crate::probe::{Probe, Ran, assert_failed};

const UNIT: &str = "tine@swf.service";
const NOBODY: &str = "http://127.0.0.1:1/mcp";
const REFUSED: &str = "health: connection refused (http://127.0.0.1:1/health)";

/// Shows the file `show`, or `show-2` the second time; obeys. `wait` holds it until the file is gone.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$*" >> calls
[ -z "$TINE_TOKEN" ] || echo "a token" >> calls
while [ -e wait ]; do sleep 0.01; done
case "$1" in
  show)
    if [ -e show-2 ] && [ "$(grep -c ^show calls)" -gt 1 ]; then cat show-2; else cat show; fi ;;
  restart)
    if [ -e refuse ]; then cat refuse >&2; exit 4; fi ;;
esac
"#;

/// A systemd as far as a probe sees it.
struct Systemd(PathBuf);

impl Systemd {
    /// A running unit, enabled, in this state since the boot.
    fn new() -> Systemd {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tine-systemd-{}-{number}", std::process::id());
        let systemd = Systemd(std::env::temp_dir().join(name));
        fs::create_dir(&systemd.0).expect("a folder of our own");
        systemd.write("calls", "");
        systemd.show("show", &[]);
        // Written by a process of its own: an executable that this one has open for writing while another test forks can't be run.
        let script = systemd.0.join("systemctl");
        let install = std::process::Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$2\" && chmod +x \"$2\"", "sh"])
            .arg(SYSTEMCTL)
            .arg(&script)
            .status();
        assert!(install.expect("sh").success());
        systemd
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file");
    }

    /// What `show` tells from now on.
    fn show(&self, file: &str, changes: &[(&str, &str)]) {
        let mut lines = String::new();
        for (key, usual) in [
            ("LoadState", "loaded"),
            ("ActiveState", "active"),
            ("SubState", "running"),
            ("UnitFileState", "enabled"),
            ("Job", ""),
            ("StateChangeTimestampMonotonic", "0"),
        ] {
            let change = changes.iter().find(|(name, _)| *name == key);
            let value = change.map_or(usual, |(_, value)| value);
            lines.push_str(&format!("{key}={value}\n"));
        }
        self.write(file, &lines);
    }

    /// The first word of every call so far.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.join("calls")).expect("calls");
        calls
            .lines()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn start(&self, url: &str, more: &[&str]) -> Probe {
        let (systemctl, state) = (self.0.join("systemctl"), self.0.join("state"));
        let mut words = vec!["--url", url, "--restart", UNIT, "--pause", "10ms"];
        words.extend(["--systemctl", systemctl.to_str().expect("a path")]);
        words.extend(["--state", state.to_str().expect("a path")]);
        words.extend(more);
        Probe::start(&words, &[("TINE_TOKEN", "secret")])
    }

    fn probe(&self, url: &str) -> Ran {
        self.start(url, &[]).wait()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn restarting() -> String {
    format!("{REFUSED}; restarting {UNIT}\n")
}

fn not_restarting(why: &str) -> String {
    format!("{REFUSED}; not restarting {UNIT}: {why}")
}

#[test]
fn a_dead_server_is_restarted_and_a_living_one_is_not() {
    let systemd = Systemd::new();
    let fake = Fake::new(|_| Act::Well);
    let (code, out, _) = systemd.probe(&fake.url());
    assert_eq!((code, systemd.calls().len()), (0, 0), "{out}");

    assert_failed(&systemd.probe(NOBODY), 2, &restarting());
    let calls = fs::read_to_string(systemd.0.join("calls")).expect("calls");
    let show = format!(
        "show --no-pager --property=LoadState,ActiveState,SubState,UnitFileState,Job,StateChangeTimestampMonotonic -- {UNIT}\n"
    );
    let restart = format!("restart --no-block --no-ask-password -- {UNIT}\n");
    assert_eq!(calls, format!("{show}{show}{restart}"));
    assert_eq!(systemd.remembered(), 1);
}

impl Systemd {
    /// Restarts in the history.
    fn remembered(&self) -> usize {
        let file = self.0.join("state").join(format!("{UNIT}.restarts"));
        fs::read_to_string(file).map_or(0, |text| text.lines().count())
    }
}

#[test]
fn a_unit_that_changes_is_left_alone() {
    for (changes, why) in [
        (&[("Job", "4711")][..], "it has a job under way"),
        (
            &[("ActiveState", "activating"), ("SubState", "start")],
            "it is activating (start)",
        ),
        (
            &[
                ("ActiveState", "deactivating"),
                ("SubState", "stop-sigterm"),
            ],
            "it is deactivating (stop-sigterm)",
        ),
        (
            &[("UnitFileState", "disabled"), ("ActiveState", "inactive")],
            "it is stopped and disabled; enable it",
        ),
        (
            &[("LoadState", "not-found")],
            "systemd says that the unit is not-found",
        ),
        (
            &[("StateChangeTimestampMonotonic", "x")],
            "systemctl doesn't tell StateChangeTimestampMonotonic",
        ),
        (
            &[("StateChangeTimestampMonotonic", "99999999999999999")],
            "it has been active (running) for 0 s only",
        ),
    ] {
        let systemd = Systemd::new();
        systemd.show("show", changes);
        assert_failed(&systemd.probe(NOBODY), 2, &not_restarting(why));
        assert_eq!(systemd.calls(), ["show"], "{changes:?}");
        assert_eq!(systemd.remembered(), 0);
    }
}

#[test]
fn a_restart_that_began_while_it_probed_is_left_alone() {
    let systemd = Systemd::new();
    systemd.show("show-2", &[("Job", "4711")]);
    let why = not_restarting("it has a job under way");
    assert_failed(&systemd.probe(NOBODY), 2, &why);
    assert_eq!(systemd.calls(), ["show", "show"]);
}

#[test]
fn a_stopped_service_that_is_enabled_is_started() {
    let systemd = Systemd::new();
    systemd.show("show", &[("ActiveState", "inactive"), ("SubState", "dead")]);
    assert_failed(&systemd.probe(NOBODY), 2, &restarting());
    assert_eq!(systemd.calls(), ["show", "show", "restart"]);
}

#[test]
fn a_server_that_answers_again_right_before_is_not_restarted() {
    let systemd = Systemd::new();
    let mut asked = 0;
    let fake = Fake::new(move |_| {
        asked += 1;
        if asked <= 3 { Act::Close } else { Act::Well }
    });
    let (code, out, err) = systemd.start(&fake.url(), &["--json"]).wait();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&report["ok"], &report["tries"], &report["restarted"]),
        (&json!(true), &json!(4), &json!(false))
    );
    assert_eq!(systemd.calls(), ["show"]);
}

/// A restart would only cost the calls in flight, and mend nothing.
#[test]
fn a_server_that_is_alive_is_not_restarted() {
    let answer = |status, body: &str| Act::Answer(status, "", body.to_owned());
    let alive = "the server is alive and says what it lacks";
    let person = "that would not change it";
    for (topic, act, why) in [
        (
            Topic::Health,
            answer(503, r#"{"ok":false,"error":"no database"}"#),
            alive,
        ),
        (
            Topic::List,
            answer(
                503,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":503,"message":"busy"}}"#,
            ),
            alive,
        ),
        (Topic::Greeting, answer(401, "{}"), person),
        (Topic::Greeting, answer(404, "<html>"), person),
        (
            Topic::List,
            answer(200, r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#),
            person,
        ),
    ] {
        let systemd = Systemd::new();
        let fake = Fake::except(topic, act);
        let (code, out, err) = systemd.probe(&fake.url());
        assert_eq!((code, err.as_str()), (1, ""), "{out}");
        assert!(
            out.ends_with(&format!("; not restarting {UNIT}: {why}\n")),
            "{out}"
        );
        assert!(systemd.calls().is_empty());
    }
    // A proxy that can't reach it says 503 too, but not in JSON.
    let systemd = Systemd::new();
    let fake = Fake::except(Topic::Health, answer(503, "<html>Service Unavailable"));
    let (code, out, _) = systemd.probe(&fake.url());
    assert_eq!(code, 1);
    assert!(out.ends_with(&format!("; restarting {UNIT}\n")), "{out}");
}

#[test]
fn restarts_have_a_limit() {
    let systemd = Systemd::new();
    let more = ["--restart-limit", "2/1h"];
    for _ in 0..2 {
        assert_failed(&systemd.start(NOBODY, &more).wait(), 2, &restarting());
    }
    let why = not_restarting("2 restarts within 3600 s is the limit");
    assert_failed(&systemd.start(NOBODY, &more).wait(), 2, &why);
    let calls = systemd.calls();
    assert_eq!(calls.iter().filter(|call| *call == "restart").count(), 2);
    // The limit is this unit's alone, and garbage in its file is no reason to leave a server dead.
    let file = systemd.0.join("state").join(format!("{UNIT}.restarts"));
    fs::write(file, b"\xff garbage\n\n9").expect("a file");
    assert_failed(&systemd.start(NOBODY, &more).wait(), 2, &restarting());
}

#[test]
fn two_probes_restart_once() {
    let systemd = Systemd::new();
    systemd.write("wait", "");
    let first = systemd.start(NOBODY, &[]);
    wait::until("the first has asked systemd", || {
        !systemd.calls().is_empty()
    });
    let why = not_restarting("another probe is about to");
    assert_failed(&systemd.probe(NOBODY), 2, &why);
    fs::remove_file(systemd.0.join("wait")).expect("it was there");
    assert_failed(&first.wait(), 2, &restarting());
    assert_eq!(systemd.calls(), ["show", "show", "restart"]);
}

#[test]
fn what_systemctl_says_is_told() {
    let systemd = Systemd::new();
    systemd.write(
        "refuse",
        "Failed to restart tine@swf.service: Access denied\nSee system logs\n",
    );
    let why =
        not_restarting("systemctl failed: Failed to restart tine@swf.service: Access denied\n");
    assert_failed(&systemd.probe(NOBODY), 2, &why);
    assert_eq!(
        systemd.remembered(),
        1,
        "an order that may have arrived counts"
    );

    let more = ["--systemctl", "/nowhere/systemctl"];
    let words = ["--url", NOBODY, "--restart", UNIT, "--tries", "1"];
    let state = systemd.0.join("state");
    let state = ["--state", state.to_str().expect("a path")];
    let ran = Probe::start(&[&words[..], &more, &state].concat(), &[]).wait();
    let why = not_restarting("can't run /nowhere/systemctl: No such file or directory");
    assert_failed(&ran, 2, &why);
}

/// Found out at once, not when the restart is needed.
#[test]
fn a_history_that_cannot_be_kept_is_a_wrong_configuration() {
    let fake = Fake::new(|_| Act::Well);
    let words = [
        "--url",
        &fake.url(),
        "--restart",
        UNIT,
        "--state",
        "/dev/null/x",
    ];
    let (code, out, err) = Probe::start(&words, &[]).wait();
    assert_eq!(
        (code, out.as_str(), fake.connections()),
        (78, "", 0),
        "{err}"
    );
    assert!(
        err.contains("can't keep the history of restarts in /dev/null/x"),
        "{err}"
    );

    // systemd's folder is used where there is one.
    let systemd = Systemd::new();
    let folder = systemd.0.join("runtime");
    let folder = folder.to_str().expect("a path");
    let words = ["--url", &fake.url(), "--restart", UNIT];
    let (code, _, err) = Probe::start(&words, &[("RUNTIME_DIRECTORY", folder)]).wait();
    assert_eq!(code, 0, "{err}");
    assert!(fs::exists(format!("{folder}/{UNIT}.lock")).expect("a look"));
}
