//! What a worker gets from its master, and what it must not get; and that the master does not silt up.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Pool, answer, binary, children, name_of, status_of};

/// Bit N-1 stands for signal N, see proc_pid_status(5).
fn mask(signals: &[Signal]) -> String {
    let bits = signals
        .iter()
        .fold(0u64, |bits, signal| bits | 1 << (*signal as i32 - 1));
    format!("{bits:016x}")
}

fn bits(mask: &str) -> u64 {
    u64::from_str_radix(mask, 16).expect("a mask")
}

const HANDLED: [Signal; 9] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGHUP,
    Signal::SIGUSR2,
];

/// Signals 1 to 31; the others are the C library's and the environment's.
const STANDARD: u64 = (1 << 31) - 1;

/// Open descriptors and what each one is, without those that come from whoever started the tests.
fn descriptors(pid: u32) -> BTreeMap<u32, String> {
    let mut open = all_descriptors(pid);
    let outside = all_descriptors(std::process::id());
    open.retain(|number, kind| {
        *number <= 2 || outside.get(number) != Some(kind) || closes_on_exec(*number)
    });
    open
}

/// Whether this process's descriptor is kept from programs that it starts, see proc_pid_fdinfo(5).
fn closes_on_exec(number: u32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .map(str::trim);
    let flags = flags.and_then(|flags| u32::from_str_radix(flags, 8).ok());
    flags.is_none_or(|flags| flags & 0o2_000_000 != 0)
}

fn all_descriptors(pid: u32) -> BTreeMap<u32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("fd");
    entries
        .filter_map(|entry| {
            let entry = entry.expect("entry");
            let number = entry.file_name().to_string_lossy().parse().expect("number");
            // One may be closed while the folder is read.
            let target = fs::read_link(entry.path())
                .ok()?
                .to_string_lossy()
                .into_owned();
            Some((
                number,
                target.split(':').next().unwrap_or_default().to_owned(),
            ))
        })
        .collect()
}

#[test]
fn a_worker_has_its_own_name_signals_and_descriptors_and_nothing_of_the_masters() {
    let pool = Pool::ready(&["workers=3"]);
    let mut names: Vec<String> = pool.workers().iter().map(|pid| name_of(*pid)).collect();
    names.sort();
    assert_eq!(names, ["pool-w0", "pool-w1", "pool-w2"]);
    for pid in pool.workers() {
        // The body of the example reads its signals from a descriptor, so they are as the master handed them over.
        assert_eq!(status_of(pid, "SigBlk"), mask(&HANDLED));
        let handled = bits(&mask(&HANDLED));
        // Who started the tests may ignore further signals, and that is inherited.
        let from_outside = bits(&status_of(std::process::id(), "SigIgn")) & !handled;
        let expected = from_outside | bits(&mask(&[Signal::SIGPIPE, Signal::SIGINT]));
        assert_eq!(
            bits(&status_of(pid, "SigIgn")) & STANDARD,
            expected & STANDARD
        );
        assert_eq!(
            bits(&status_of(pid, "SigCgt")) & handled,
            0,
            "no handler of the master"
        );
        assert_eq!(status_of(pid, "Threads"), "1");
        let open = descriptors(pid);
        let mut kinds: Vec<&str> = open.values().map(String::as_str).collect();
        kinds.sort_unstable();
        // Standard input, output and error; the listener and the control channel; the scoreboard's memory; the example's own
        // signal descriptor.
        assert_eq!(
            kinds,
            [
                "/memfd",
                "anon_inode",
                "pipe",
                "pipe",
                "pipe",
                "socket",
                "socket"
            ],
            "{open:?}"
        );
    }
}

#[test]
fn a_worker_does_not_see_the_service_managers_variables() {
    let mut command = Command::new(binary());
    let variables = [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
    ];
    command
        .args(["workers=1"])
        .env("PATH", "/kept")
        .envs(variables.map(|name| (name, "/1")));
    let mut pool = Pool::start_command(command);
    pool.await_ready();
    let seen = answer(&pool.address, "environment").expect("an answer");
    assert!(seen.contains(" PATH"), "{seen}");
    for name in variables {
        assert!(!seen.contains(name), "{seen}");
    }
}

#[test]
fn after_a_hundred_replacements_the_master_has_no_descriptor_and_no_zombie_more() {
    let mut pool = Pool::ready(&["workers=2"]);
    let before = descriptors(pool.pid());
    for _ in 0..100 {
        let incumbent = pool.ask("recycle");
        pool.wait_for(&format!("worker {incumbent} (w"));
        pool.wait_for("is ready");
        pool.wait_for(&format!("worker {incumbent} (w"));
    }
    assert_eq!(pool.log().matches("exited with code 0").count(), 100);
    let after = descriptors(pool.pid());
    let kinds = |open: &BTreeMap<u32, String>| {
        let mut kinds: Vec<String> = open.values().cloned().collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&after), kinds(&before));
    assert_eq!(children(pool.pid()).len(), 2);
    for pid in pool.workers() {
        assert!(!status_of(pid, "State").starts_with('Z'));
        assert_eq!(descriptors(pid).len(), 7, "{:?}", descriptors(pid));
    }
}

#[test]
fn the_death_of_a_stranger_is_reaped_and_means_nothing() {
    let mut pool = Pool::ready(&["workers=1", "stranger=exit 3"]);
    if !pool.log().contains("which is no worker") {
        pool.wait_for("which is no worker");
    }
    assert_eq!(pool.workers().len(), 1, "no zombie");
    pool.ask("pid");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
}
