//! A copy of the board in plain numbers, and the table that SIGUSR1 prints of it.
//!
//! Only reads. Pids and states are the master's word, everything else is what the workers say of themselves.

use std::fmt;

use crate::count::Totals;
use crate::fold::View;
use crate::layout::{Header, Phase, Slot, SlotState};
use crate::monotonic_ns;

/// The whole pool at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the copy was taken, by [`crate::monotonic_ns`].
    pub taken_ns: u64,
    /// When the pool was created, by [`crate::monotonic_ns`].
    pub started_ns: u64,
    /// The number of the current configuration.
    pub generation: u64,
    /// Requests in flight that one worker admits.
    pub limit_concurrency: u32,
    /// Whether the master is stopping the pool.
    pub shutting_down: bool,
    /// Workers that ended other than by exit code 0.
    pub crashes: u64,
    /// Counts of workers that are gone.
    pub retired: Totals,
    /// Counts of all workers, living and gone.
    pub totals: Totals,
    /// The slots that hold a process, in the order of their numbers.
    pub slots: Vec<SlotSnapshot>,
}

/// One living worker at that moment.
#[derive(Debug, Clone)]
pub struct SlotSnapshot {
    /// Its place in the pool.
    pub slot: usize,
    /// Its process id.
    pub pid: u32,
    /// The number of the configuration that it was forked with.
    pub generation: u64,
    /// The master's view of it.
    pub state: SlotState,
    /// When it was forked, by [`crate::monotonic_ns`].
    pub started_ns: u64,
    /// How many workers the slot has lost before.
    pub restarts: u64,
    /// How the slot's previous worker ended: its exit code, or minus the number of the signal that killed it.
    pub last_status: i32,
    /// The worker's view of itself.
    pub phase: Phase,
    /// Whether it watches the listener.
    pub armed: bool,
    /// Requests admitted and not yet answered.
    pub inflight: u32,
    /// Open client connections.
    pub connections: u32,
    /// Subscriptions among them.
    pub subscriptions: u32,
    /// When its loop last turned, by [`crate::monotonic_ns`]; 0 = never.
    pub heartbeat_ns: u64,
    /// When its oldest request in flight began, by [`crate::monotonic_ns`]; 0 = none.
    pub oldest_start_ns: u64,
    /// What it has done so far.
    pub counters: Totals,
}

impl Snapshot {
    pub(crate) fn take(header: &Header, slots: &[Slot], view: View) -> Snapshot {
        let retired = header.retired.totals(view);
        let mut totals = retired;
        let mut living = Vec::new();
        for (slot, line) in slots.iter().enumerate() {
            let counters = line.counters.totals();
            if view.included != Some(slot) {
                totals += counters;
            }
            if line.master.pid() != 0 {
                living.push(SlotSnapshot::take(slot, line, counters));
            }
        }
        Snapshot {
            taken_ns: monotonic_ns(),
            started_ns: header.started_ns(),
            generation: header.generation(),
            limit_concurrency: header.limit_concurrency(),
            shutting_down: header.shutting_down(),
            crashes: header.crashes(),
            retired,
            totals,
            slots: living,
        }
    }

    /// Workers that said Ready and are neither retiring nor being killed.
    pub fn ready(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.state == SlotState::Ready)
            .count()
    }

    /// Requests in flight in the whole pool.
    pub fn inflight(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.inflight)).sum()
    }
}

impl SlotSnapshot {
    fn take(slot: usize, line: &Slot, counters: Totals) -> SlotSnapshot {
        SlotSnapshot {
            slot,
            pid: line.master.pid(),
            generation: line.master.generation(),
            state: line.master.state(),
            started_ns: line.master.started_ns(),
            restarts: line.master.restarts(),
            last_status: line.master.last_status(),
            phase: line.hot.phase(),
            armed: line.hot.armed(),
            inflight: line.hot.inflight.get(),
            connections: line.hot.connections.get(),
            subscriptions: line.hot.subscriptions.get(),
            heartbeat_ns: line.hot.heartbeat_ns(),
            oldest_start_ns: line.hot.oldest_start_ns(),
            counters,
        }
    }
}

/// The table that SIGUSR1 logs: one line for the pool, one for each living worker, one for the sums.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "pool: up {}, generation {}, {} ready of {}, {} in flight, limit {} a worker, {} crashed{}",
            Age::between(self.started_ns, self.taken_ns),
            self.generation,
            self.ready(),
            self.slots.len(),
            self.inflight(),
            self.limit_concurrency,
            self.crashes,
            if self.shutting_down { ", stopping" } else { "" },
        )?;
        writeln!(
            f,
            "{:>4} {:>8} {:>4} {:<9} {:<9} {:>5} {:>8} {:>11} {:>9} {:>7} {:>8} {:>8}",
            "slot",
            "pid",
            "gen",
            "state",
            "phase",
            "armed",
            "inflight",
            "connections",
            "heartbeat",
            "oldest",
            "up",
            "restarts"
        )?;
        for slot in &self.slots {
            writeln!(
                f,
                "{:>4} {:>8} {:>4} {:<9} {:<9} {:>5} {:>8} {:>11} {:>9} {:>7} {:>8} {:>8}",
                slot.slot,
                slot.pid,
                slot.generation,
                slot.state.name(),
                slot.phase.name(),
                if slot.armed { "yes" } else { "no" },
                slot.inflight,
                slot.connections,
                Age::between(slot.heartbeat_ns, self.taken_ns).to_string(),
                Age::between(slot.oldest_start_ns, self.taken_ns).to_string(),
                Age::between(slot.started_ns, self.taken_ns).to_string(),
                slot.restarts,
            )?;
        }
        write!(f, "totals:")?;
        for (name, count) in self.totals.entries() {
            write!(f, " {name}={count}")?;
        }
        Ok(())
    }
}

/// A span in seconds with one decimal, or `-` when it never began.
struct Age(Option<u64>);

impl Age {
    fn between(then_ns: u64, now_ns: u64) -> Age {
        Age((then_ns != 0).then(|| now_ns.saturating_sub(then_ns)))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(ns) => write!(f, "{}.{}s", ns / 1_000_000_000, ns / 100_000_000 % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scoreboard;

    #[test]
    fn the_table_names_every_living_worker_and_the_sums() {
        let board = Scoreboard::create(4, 32).expect("map");
        let slot = board.slot(1);
        slot.master.starting(7, monotonic_ns(), monotonic_ns());
        slot.master.set_pid(4242);
        slot.master.set_state(SlotState::Ready);
        slot.hot.set_phase(Phase::Parked);
        slot.hot.inflight.set(31);
        slot.hot.beat(monotonic_ns());
        slot.counters.served.add(12_345);
        let table = board.snapshot().to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(
            lines[0].contains("1 ready of 1, 31 in flight, limit 32 a worker"),
            "{table}"
        );
        let words: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(
            words[..8],
            ["1", "4242", "7", "ready", "parked", "no", "31", "0"],
            "{table}"
        );
        assert_eq!(words[9], "-", "no request began: {table}");
        assert!(lines[3].contains(" served=12345 "), "{table}");
        assert_eq!(lines[1].split_whitespace().count(), words.len(), "{table}");
    }
}
