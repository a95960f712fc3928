//! The move from uvicorn to Tine and back as docs/moving.md has it: its commands, in its words and its order, in a system where the old service
//! runs behind Apache, while bots call all the time. No call may fail or be done twice.

mod callers;
mod old;

use std::fs;

use callers::{By, Tally, USER, calling};
use old::{ACCOUNT, ADMIN, DIRECT, PROXY};
use serde_json::json;

use crate::harness::database::connect;
use crate::harness::guide::{self, Section};
use crate::harness::mcp::{Era, Post};
use crate::harness::systemd::{self, Machine};
use crate::harness::wait;

const BOTH: &[&str] = &[DIRECT, PROXY];

/// Where the repository is in the machine.
const REPOSITORY: &str = "/root/tine";

/// What somebody types into the editor: the lines of the guide, in place of the one that is there.
const EDITOR: &str = "#!/bin/sh\nsed -i '/^toolsets = /d' \"$1\"\ncat /root/typed \"$1\" > /root/whole\ncat /root/whole > \"$1\"\n";

/// The folder in which the guide's commands are typed, and programs that a person's machine has.
fn repository(machine: &Machine) {
    let place = machine.path(REPOSITORY);
    fs::create_dir_all(place.join("target/release")).expect("a folder");
    fs::copy(
        env!("CARGO_BIN_EXE_tine"),
        place.join("target/release/tine"),
    )
    .expect("a copy");
    for part in ["toolsets", "examples", "tine.toml"] {
        let from = format!("{}/{part}", env!("CARGO_MANIFEST_DIR"));
        let copied = std::process::Command::new("cp")
            .args(["-r", &from])
            .arg(&place)
            .status();
        assert!(copied.expect("cp runs").success());
    }
    old::environment(machine, "mcp2", "/opt/mcp2");
    machine.write("/usr/local/bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    machine.write("/usr/local/bin/editor", EDITOR);
    let programs = ["/usr/local/bin/sudo", "/usr/local/bin/editor"];
    assert_eq!(
        machine.run("chmod", &[&["+x"][..], &programs].concat()).0,
        Some(0)
    );
}

/// Types one command; what it said.
fn command(machine: &Machine, command: &str) -> String {
    let script = format!(
        "cd {REPOSITORY} && PATH=/opt/mcp2/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin && set -o pipefail && {command}"
    );
    let (code, text) = machine.run("bash", &["-c", &script]);
    // It tells of the tools that our small old server lacks.
    let differs = command.contains("tine compare");
    let good = code == Some(0) || differs && code == Some(1);
    assert!(good, "{command}\nexit code {code:?}\n{text}");
    text
}

/// Everything below one heading of the guide.
fn follow(machine: &Machine, section: &Section) -> String {
    section
        .commands
        .iter()
        .map(|line| command(machine, line))
        .collect()
}

/// Each confirmed write is in the table, once, and no other.
fn written_once(machine: &Machine, tally: &Tally) {
    assert_eq!(tally.failed(), Vec::<String>::new());
    let query = "SELECT content FROM swf_ai_memory WHERE username = $1 ORDER BY 1";
    let rows = machine.inside(|| connect(ADMIN).query(query, &[&USER]).expect("rows"));
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut written = tally.written();
    written.sort();
    let mut kept = rows.clone();
    kept.sort();
    assert_eq!(kept, written);
}

/// From inside the sandbox to a process of the testbed.
fn an_agent_is_killed(machine: &Machine) {
    let user = format!("--property=User={ACCOUNT}");
    let agent = ["--unit=test-agent", "--quiet", &user, "sleep", "600"];
    assert_eq!(machine.run("systemd-run", &agent).0, Some(0));
    let pid = machine.property("test-agent", "MainPID");
    let host = machine.read("/proc/sys/kernel/hostname");
    let row = format!(
        "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
             current_stf_count, total_stf_processed, workflow_enabled, operational_state, pid, hostname)
         VALUES ('test-agent', 'data', '', 'OK', now(), now(), now(), 0, 0, true, 'READY', {pid}, '{}')",
        host.trim()
    );
    let killed = machine.inside(|| {
        connect(ADMIN).batch_execute(&row).expect("an agent");
        Post::call(Era::Legacy, "swf_kill_agent", json!({"name": "test-agent"}))
            .path(old::PATH)
            .send(DIRECT.parse().expect("an address"))
            .result()
    });
    assert_eq!(killed["structuredContent"]["killed"], true, "{killed}");
    wait::until("the agent is gone", || {
        machine.property("test-agent", "ActiveState") != "active"
    });
}

#[test]
fn the_guide_moves_a_service_and_moves_it_back_without_losing_a_call() {
    let Some(machine) = &systemd::own() else {
        return;
    };
    let (code, reason) = machine.run("nft", &["list", "ruleset"]);
    if code != Some(0) {
        return systemd::skip(&format!("nftables can't be had here: {reason}"));
    }
    old::set_up(machine);
    repository(machine);
    let guide = guide::sections("docs/moving.md");
    let mut sections = guide.iter().filter(|section| !section.commands.is_empty());
    let mut next = |title: &str| {
        let section = sections.next().expect("a section more");
        assert_eq!(section.title, title);
        section
    };

    let settings = next("Setting for setting");
    machine.write("/root/typed", settings.toml.concat() + "\n");
    let said = follow(machine, settings);
    assert!(said.contains("/etc/tine/swf.env"), "{said}");
    assert!(!said.contains("$ecret"), "{said}");
    let beside = next("Side by side");
    let (health, start) = beside.commands.split_last().expect("commands");
    let said: String = start.iter().map(|line| command(machine, line)).collect();
    assert!(said.contains("OK: 45 tools"), "{said}");
    wait::until("both databases are proven", || {
        command(machine, health) == "true\n"
    });
    let said = follow(machine, next("Compare"));
    assert!(said.contains("3 calls: 3 alike, 0 differ"), "{said}");
    let said = follow(machine, next("Bot for bot"));
    assert!(said.contains("items"), "{said}");

    let tally = Tally::default();
    let (switch, back) = (next("The switch"), next("The way back"));
    calling(machine, BOTH, &tally, || {
        tally.until_served(BOTH, By::Old);
        follow(machine, switch);
        tally.until_served(BOTH, By::Tine);
        assert!(is(machine, "tine@swf", "active") && is(machine, "tine@beside", "inactive"));
        assert!(is(machine, "swf-monitor-mcp", "inactive"));
        assert!(is(machine, "tine-watchdog@swf.timer", "active"));
        assert!(is(machine, "old-watchdog.timer", "inactive"));
        an_agent_is_killed(machine);
        follow(machine, back);
        tally.until_served(BOTH, By::Old);
        assert!(is(machine, "tine@swf", "inactive") && is(machine, "tine@beside", "inactive"));
        assert!(is(machine, "old-watchdog.timer", "active"));
    });
    written_once(machine, &tally);
    let rules = machine.run("nft", &["list", "ruleset"]);
    assert_eq!(rules, (Some(0), String::new()));

    let alone = next("By the proxy alone");
    let back = alone
        .commands
        .iter()
        .position(|line| line.contains("disable --now tine-watchdog"));
    let (there, back) = alone.commands.split_at(back.expect("the way back"));
    calling(machine, &[PROXY], &tally, || {
        tally.until_served(&[PROXY], By::Old);
        there.iter().for_each(|line| drop(command(machine, line)));
        tally.until_served(&[PROXY], By::Tine);
        assert!(is(machine, "swf-monitor-mcp", "inactive"));
        back.iter().for_each(|line| drop(command(machine, line)));
        tally.until_served(&[PROXY], By::Old);
        assert!(is(machine, "tine@beside", "inactive"));
    });
    written_once(machine, &tally);
    assert!(sections.next().is_none(), "a section that nobody follows");
}

fn is(machine: &Machine, unit: &str, state: &str) -> bool {
    machine.property(unit, "ActiveState") == state
}
