//! What the pool does about a change of what it runs, as one visible table: how far the change may be, against every event.
//!
//! `changes.txt` is the reviewed expectation, written anew like `table.txt`.

use std::fmt::Write;
use std::time::Duration;

use tine_scoreboard::control::ToMaster;

use super::table::{NOW, OTHER, PID, action_word, compare, pool, slot_word};
use super::*;

const CHECKER: u32 = 55;

/// A change as far as it may be, with the worker of generation 1 as the incumbent and `OTHER` as its challenger.
fn changes() -> Vec<(&'static str, Change, Doing, Slot)> {
    let checking = |pid, deadline| Change::Checking {
        what: What::Reload,
        pid,
        deadline,
    };
    let later = NOW + Duration::from_secs(5);
    let rolling = |what, proven, failures| Change::Rolling {
        until: later,
        what,
        from: 1,
        before: Box::new(change::Before {
            settings: Settings {
                workers: 1,
                max_workers: 2,
                ..Settings::default()
            },
            target: 1,
        }),
        proven,
        failures,
    };
    let challenger = |doing| {
        Slot::Live(Worker {
            pid: OTHER,
            generation: 2,
            doing,
        })
    };
    let booting = challenger(Doing::Booting { deadline: later });
    let late = challenger(Doing::Booting { deadline: NOW });
    let (reload, upgrade) = (What::Reload, What::Upgrade);
    let serving = Doing::Serving {
        since: NOW - Duration::from_secs(1),
        leaving: false,
        deaf_until: None,
    };
    let retiring = Doing::Retiring {
        parted: false,
        abort_at: later,
        kill_at: later,
    };
    let up = challenger(serving);
    let states = vec![
        ("none", Change::None, Slot::Empty),
        ("checking, unforked", checking(None, later), Slot::Empty),
        ("checking", checking(Some(CHECKER), later), Slot::Empty),
        ("checking, late", checking(Some(CHECKER), NOW), Slot::Empty),
        ("adopting", Change::Adopting { what: reload }, Slot::Empty),
        ("executing", Change::Adopting { what: upgrade }, Slot::Empty),
        ("rolling", rolling(reload, false, 0), Slot::Empty),
        ("rolling, challenged", rolling(reload, false, 0), booting),
        ("rolling, late", rolling(reload, false, 0), late),
        ("rolling, proven", rolling(reload, true, 0), booting),
        (
            "rolling, proven, 4 failed",
            rolling(reload, true, 4),
            booting,
        ),
        ("upgrading, challenged", rolling(upgrade, false, 0), booting),
        ("last", rolling(reload, true, 0), up),
    ];
    let state = |(name, change, slot)| match name {
        "last" => ("rolling, the last one leaves", change, retiring, slot),
        name => (name, change, serving, slot),
    };
    states.into_iter().map(state).collect()
}

fn change_events() -> Vec<(&'static str, Event)> {
    let exited = |pid, code| Event::Exited {
        pid,
        ended: Ended::Code(code),
    };
    let checked = |pid, verdict: Result<(), &str>| Event::Checked {
        pid,
        verdict: verdict.map_err(str::to_owned),
    };
    let settings = Settings {
        workers: 2,
        max_workers: 2,
        ..Settings::default()
    };
    vec![
        (
            "tick",
            Event::Tick {
                heartbeats: vec![NOW; 4],
            },
        ),
        ("TERM", Event::Command(Command::Stop)),
        ("INT QUIT", Event::Command(Command::QuickStop)),
        ("TTIN", Event::Command(Command::More)),
        ("HUP", Event::Command(Command::Reload)),
        ("USR2", Event::Command(Command::Upgrade)),
        ("check begun", Event::CheckBegun(Ok(CHECKER))),
        ("no check", Event::CheckBegun(Err("no fork".to_owned()))),
        ("sound", checked(CHECKER, Ok(()))),
        ("unsound", checked(CHECKER, Err("line 4"))),
        ("stale sound", checked(6, Ok(()))),
        ("adopted, 2", Event::Adopted(Ok(settings))),
        ("not adopted", Event::Adopted(Err("no".to_owned()))),
        (
            "challenger up",
            Event::Message {
                slot: 2,
                pid: OTHER,
                message: ToMaster::Ready,
            },
        ),
        ("challenger 3", exited(OTHER, 3)),
        ("challenger 4", exited(OTHER, 4)),
        (
            "incumbent left",
            Event::Message {
                slot: 0,
                pid: PID,
                message: ToMaster::Draining,
            },
        ),
        ("incumbent dies", exited(PID, 1)),
    ]
}

fn change_word(pool: &Pool) -> String {
    let word = match &pool.change {
        Change::None => "none".to_owned(),
        Change::Checking { pid: None, .. } => "checking, unforked".to_owned(),
        Change::Checking { .. } => "checking".to_owned(),
        Change::Adopting { .. } => "adopting".to_owned(),
        Change::Rolling { proven: true, .. } => "rolling, proven".to_owned(),
        Change::Rolling { .. } => "rolling".to_owned(),
    };
    let pending = pool
        .pending
        .map_or(String::new(), |what| format!(" then {what}"));
    format!("{word}{pending}")
}

fn change_outcome(change: &Change, doing: Doing, challenger: Slot, event: Event) -> String {
    let incumbent = Slot::Live(Worker {
        pid: PID,
        generation: 1,
        doing,
    });
    let mut pool = pool(Phase::Running, incumbent);
    pool.slots[2] = challenger;
    pool.begun = u64::from(*change != Change::None);
    if matches!(change, Change::Rolling { .. }) {
        (pool.generation, pool.newest) = (2, 2);
    }
    pool.change = change.clone();
    pool.report(&mut Vec::new());
    let mut actions = step(&mut pool, NOW, event);
    // As the mechanism answers it.
    if let Some(Action::Revert { why, .. }) = actions
        .iter()
        .find(|action| matches!(action, Action::Revert { .. }))
    {
        let answer = Event::Adopted(Err(why.clone()));
        actions.extend(step(&mut pool, NOW, answer));
    }
    let words: Vec<String> = actions.iter().filter_map(action_word).collect();
    let slots: Vec<String> = pool
        .slots
        .iter()
        .filter(|slot| **slot != Slot::Empty)
        .map(|slot| match slot {
            Slot::Live(worker) => format!("{}.{}", slot_word(slot), worker.generation),
            _ => slot_word(slot).to_owned(),
        })
        .collect();
    let row = format!(
        "{:<24} g{} {:<24} {}",
        change_word(&pool),
        pool.generation,
        slots.join("+"),
        words.join(", ")
    );
    row.trim_end().to_owned()
}

#[test]
fn every_change_meets_every_event_as_reviewed() {
    let mut table = String::new();
    for (name, change, incumbent, challenger) in changes() {
        let _ = writeln!(table, "change {name}");
        for (event_name, event) in change_events() {
            let row = change_outcome(&change, incumbent, challenger, event);
            let _ = writeln!(table, "  {event_name:<14} {row}");
        }
    }
    compare(&table, include_str!("changes.txt"), "changes.txt");
}
