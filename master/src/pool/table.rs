//! The whole policy as one visible table: every state of a slot in every phase of the pool, against every event.
//!
//! `table.txt` is the reviewed expectation; a change of the policy shows as a change of the table. To write it anew:
//! `TINE_WRITE_TABLE=1 cargo test -p tine-master table`.

use std::fmt::Write;
use std::time::Duration;

use tine_scoreboard::control::{RecycleReason, ToMaster};

use super::*;

pub(super) const NOW: Time = Duration::from_secs(1000);
pub(super) const PID: u32 = 77;
pub(super) const OTHER: u32 = 88;

/// One place of two, whose incumbent slot is in the state under test.
pub(super) fn pool(phase: Phase, slot: Slot) -> Pool {
    let settings = Settings {
        workers: 1,
        max_workers: 2,
        ..Settings::default()
    };
    let mut pool = Pool::new(settings, NOW, 1);
    pool.phase = phase;
    pool.slots[0] = slot;
    pool.report(&mut Vec::new());
    pool
}

fn phases() -> Vec<(&'static str, Phase)> {
    let exit_at = NOW + Duration::from_secs(20);
    vec![
        (
            "booting",
            Phase::Booting {
                until: NOW + Duration::from_secs(10),
            },
        ),
        ("running", Phase::Running),
        (
            "stopping",
            Phase::Stopping {
                quick: false,
                exit_at,
                code: 0,
            },
        ),
        (
            "stopping quickly",
            Phase::Stopping {
                quick: true,
                exit_at,
                code: 0,
            },
        ),
        ("done", Phase::Done),
    ]
}

fn slots() -> Vec<(&'static str, Slot)> {
    let later = NOW + Duration::from_secs(5);
    let live = |doing| {
        Slot::Live(Worker {
            pid: PID,
            generation: 1,
            doing,
        })
    };
    let since = NOW - Duration::from_secs(1);
    vec![
        ("empty", Slot::Empty),
        ("forking", Slot::Forking { generation: 1 }),
        ("booting", live(Doing::Booting { deadline: later })),
        ("booting, late", live(Doing::Booting { deadline: NOW })),
        (
            "serving",
            live(Doing::Serving {
                since,
                leaving: false,
                deaf_until: None,
            }),
        ),
        (
            "serving, silent",
            live(Doing::Serving {
                since: NOW - Duration::from_secs(11),
                leaving: false,
                deaf_until: None,
            }),
        ),
        (
            "serving, leaving",
            live(Doing::Serving {
                since,
                leaving: true,
                deaf_until: None,
            }),
        ),
        (
            "serving, deaf",
            live(Doing::Serving {
                since,
                leaving: false,
                deaf_until: Some(NOW),
            }),
        ),
        (
            "retiring",
            live(Doing::Retiring {
                parted: false,
                abort_at: later,
                kill_at: later,
            }),
        ),
        (
            "retiring, late",
            live(Doing::Retiring {
                parted: true,
                abort_at: NOW,
                kill_at: later,
            }),
        ),
        ("aborted", live(Doing::Aborted { kill_at: later })),
        ("aborted, late", live(Doing::Aborted { kill_at: NOW })),
        ("killed", live(Doing::Killed)),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    let message = |message| Event::Message {
        slot: 0,
        pid: PID,
        message,
    };
    let exited = |ended| Event::Exited { pid: PID, ended };
    vec![
        (
            "tick",
            Event::Tick {
                heartbeats: Vec::new(),
            },
        ),
        ("TERM", Event::Command(Command::Stop)),
        ("INT QUIT", Event::Command(Command::QuickStop)),
        ("TTIN", Event::Command(Command::More)),
        ("TTOU", Event::Command(Command::Fewer)),
        ("USR1", Event::Command(Command::Dump)),
        ("HUP", Event::Command(Command::Reload)),
        ("USR2", Event::Command(Command::Upgrade)),
        (
            "forked",
            Event::Forked {
                slot: 0,
                pid: OTHER,
            },
        ),
        (
            "fork failed",
            Event::ForkFailed {
                slot: 0,
                fatal: false,
            },
        ),
        (
            "fork fatal",
            Event::ForkFailed {
                slot: 0,
                fatal: true,
            },
        ),
        ("exit 0", exited(Ended::Code(0))),
        ("exit 3", exited(Ended::Code(3))),
        ("exit 4", exited(Ended::Code(4))),
        ("died of 9", exited(Ended::Signal(9))),
        (
            "stranger died",
            Event::Exited {
                pid: 5,
                ended: Ended::Code(3),
            },
        ),
        ("Ready", message(ToMaster::Ready)),
        (
            "Recycle",
            message(ToMaster::Recycle {
                reason: RecycleReason::Requests,
            }),
        ),
        ("Draining", message(ToMaster::Draining)),
        ("BootFailed", message(ToMaster::BootFailed { fatal: true })),
        (
            "stale Ready",
            Event::Message {
                slot: 0,
                pid: 6,
                message: ToMaster::Ready,
            },
        ),
        ("eof", Event::Eof { slot: 0, pid: PID }),
        ("stale eof", Event::Eof { slot: 0, pid: 6 }),
    ]
}

pub(super) fn slot_word(slot: &Slot) -> &'static str {
    match slot {
        Slot::Empty => "empty",
        Slot::Forking { .. } => "forking",
        Slot::Live(worker) => match worker.doing {
            Doing::Booting { .. } => "booting",
            Doing::Serving {
                deaf_until: Some(_),
                ..
            } => "deaf",
            Doing::Serving { leaving: true, .. } => "leaving",
            Doing::Serving { .. } => "serving",
            Doing::Retiring { parted: true, .. } => "parted",
            Doing::Retiring { .. } => "retiring",
            Doing::Aborted { .. } => "aborted",
            Doing::Killed => "killed",
        },
    }
}

fn phase_word(phase: &Phase) -> String {
    match phase {
        Phase::Booting { .. } => "booting".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Stopping { quick, code, .. } => {
            format!("stopping{}({code})", if *quick { " quickly" } else { "" })
        }
        Phase::Done => "done".to_owned(),
    }
}

pub(super) fn action_word(action: &Action) -> Option<String> {
    Some(match action {
        Action::Fork { slot, .. } => format!("fork {slot}"),
        Action::Drain { slot, .. } => format!("drain {slot}"),
        Action::Quick { slot, .. } => format!("quick {slot}"),
        Action::Abort { .. } => "ABRT".to_owned(),
        Action::Kill { .. } => "KILL".to_owned(),
        Action::Check(what) => format!("check {what}"),
        Action::Adopt => "adopt".to_owned(),
        Action::Execute => "execute".to_owned(),
        Action::Proven(_) => "proven".to_owned(),
        Action::Revert { what, .. } => format!("revert {what}"),
        Action::Outcome {
            change: u64::MAX, ..
        } => "refuse all".to_owned(),
        Action::Outcome { change, ok, .. } => {
            format!("answer {change} {}", if *ok { "yes" } else { "no" })
        }
        Action::CloseListener => "close".to_owned(),
        Action::Dump => "dump".to_owned(),
        Action::Notify(Notice::Ready) => "say ready".to_owned(),
        Action::Notify(Notice::Reloading) => "say reloading".to_owned(),
        Action::Notify(Notice::Reloaded) => "say reloaded".to_owned(),
        Action::Notify(Notice::Stopping) => "say stopping".to_owned(),
        Action::Notify(Notice::Status(_)) => "say status".to_owned(),
        Action::Notify(Notice::Watchdog) => "feed".to_owned(),
        Action::Log(Level::Error, _) => "error".to_owned(),
        Action::Log(..) => return None,
        Action::Exit(code) => format!("exit {code}"),
    })
}

/// A stop sends every worker home, so a pool that stops has none that boots or serves.
fn reachable(phase: Phase, slot: Slot) -> bool {
    match phase {
        Phase::Booting { .. } | Phase::Running => true,
        Phase::Stopping { .. } => !matches!(
            slot,
            Slot::Live(Worker {
                doing: Doing::Booting { .. } | Doing::Serving { .. },
                ..
            })
        ),
        Phase::Done => slot == Slot::Empty,
    }
}

/// What one event does, as the rest of a row: the pool, its slots, the actions.
fn outcome(phase: Phase, slot: Slot, event: Event) -> String {
    let mut pool = pool(phase, slot);
    let actions = step(&mut pool, NOW, event);
    let words: Vec<String> = actions.iter().filter_map(action_word).collect();
    let slots: Vec<&str> = pool
        .slots
        .iter()
        .map(slot_word)
        .filter(|word| *word != "empty")
        .collect();
    let slots = if slots.is_empty() {
        "-".to_owned()
    } else {
        slots.join("+")
    };
    let row = format!(
        "{:<20} {slots:<20} {}",
        phase_word(&pool.phase),
        words.join(", ")
    );
    row.trim_end().to_owned()
}

fn table() -> String {
    let mut table = String::new();
    for (phase_name, phase) in phases() {
        for (slot_name, slot) in slots() {
            if !reachable(phase, slot) {
                continue;
            }
            // Most events say nothing to most states; what the pool does of itself is one row for all of them.
            let nothing = outcome(
                phase,
                slot,
                Event::Exited {
                    pid: 5,
                    ended: Ended::Code(3),
                },
            );
            let mut others = Vec::new();
            let _ = writeln!(table, "pool {phase_name} | slot {slot_name}");
            for (event_name, event) in events() {
                let row = outcome(phase, slot, event);
                if row == nothing {
                    others.push(event_name);
                } else {
                    let _ = writeln!(table, "  {event_name:<14} {row}");
                }
            }
            let _ = writeln!(table, "  {:<14} {nothing}", "otherwise");
            let _ = writeln!(table, "    = {}", others.join(", "));
        }
    }
    table
}

/// The table must be the reviewed one in `file`, beside this source.
pub(super) fn compare(found: &str, expected: &str, file: &str) {
    if std::env::var_os("TINE_WRITE_TABLE").is_some() {
        let path = format!("{}/src/pool/{file}", env!("CARGO_MANIFEST_DIR"));
        return std::fs::write(path, found).expect("write");
    }
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {file}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn every_state_meets_every_event_as_reviewed() {
    compare(&table(), include_str!("table.txt"), "table.txt");
}

/// That it is ready can be on its way to the master, and a client's call on its way through it.
#[test]
fn a_worker_that_seems_to_boot_has_time_to_finish_unless_all_stop() {
    let booting = Slot::Live(Worker {
        pid: OTHER,
        generation: 1,
        doing: Doing::Booting {
            deadline: NOW + Duration::from_secs(5),
        },
    });
    for (command, expected) in [(Command::Fewer, "drain 1"), (Command::Stop, "quick 1")] {
        let mut pool = pool(Phase::Running, Slot::Empty);
        pool.target = 2;
        pool.slots[1] = booting;
        let actions = step(&mut pool, NOW, Event::Command(command));
        let words: Vec<String> = actions.iter().filter_map(action_word).collect();
        assert!(words.iter().any(|word| word == expected), "{words:?}");
    }
}
