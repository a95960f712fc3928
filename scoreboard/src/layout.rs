//! The layout of the shared page: which number stands where, and who may write it.
//!
//! One writer a cache line: the master writes [`Header`] and [`MasterLine`], the slot's worker writes [`HotLine`] and
//! [`Counters`]. Nothing here knows how the page is mapped. Sizes are asserted at compile time, and [`LAYOUT`] tells a build
//! that takes over from another whether both mean the same by the page.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::count::{Counter, Counters, Gauge, Totals};
use crate::fold::Retired;

/// What a worker says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Forked, not yet able to serve.
    Boot = 0,
    /// Takes requests.
    Serving = 1,
    /// Full; has left the listener to its siblings.
    Parked = 2,
    /// Full like all its siblings; answers 503.
    Rejecting = 3,
    /// Takes nothing new, finishes what it has.
    Draining = 4,
    /// About to exit.
    Done = 5,
}

impl Phase {
    /// All phases, in the order of their numbers.
    pub const ALL: [Phase; 6] = [
        Phase::Boot,
        Phase::Serving,
        Phase::Parked,
        Phase::Rejecting,
        Phase::Draining,
        Phase::Done,
    ];

    /// The lower-case word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Boot => "boot",
            Phase::Serving => "serving",
            Phase::Parked => "parked",
            Phase::Rejecting => "rejecting",
            Phase::Draining => "draining",
            Phase::Done => "done",
        }
    }

    fn from_number(number: u32) -> Option<Phase> {
        Phase::ALL.get(number as usize).copied()
    }
}

/// What the master says about a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum SlotState {
    /// No process.
    Empty = 0,
    /// Forked, has not said Ready.
    Starting = 1,
    /// Said Ready.
    Ready = 2,
    /// Told to drain.
    Retiring = 3,
    /// Sent SIGABRT or SIGKILL.
    Killing = 4,
}

impl SlotState {
    /// All states, in the order of their numbers.
    pub const ALL: [SlotState; 5] = [
        SlotState::Empty,
        SlotState::Starting,
        SlotState::Ready,
        SlotState::Retiring,
        SlotState::Killing,
    ];

    /// The lower-case word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            SlotState::Empty => "empty",
            SlotState::Starting => "starting",
            SlotState::Ready => "ready",
            SlotState::Retiring => "retiring",
            SlotState::Killing => "killing",
        }
    }

    fn from_number(number: u32) -> Option<SlotState> {
        SlotState::ALL.get(number as usize).copied()
    }
}

/// The master's line about one slot. Written by the master only.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct MasterLine {
    generation: AtomicU64,
    started_ns: AtomicU64,
    boot_deadline_ns: AtomicU64,
    restarts: AtomicU64,
    pid: AtomicU32,
    state: AtomicU32,
    last_status: AtomicI32,
}

impl MasterLine {
    /// Process id, 0 = none.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// The master's view of the slot.
    pub fn state(&self) -> SlotState {
        SlotState::from_number(self.state.load(Ordering::Acquire)).unwrap_or(SlotState::Empty)
    }

    /// The number of the configuration that the worker was forked with.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// When the worker was forked, by [`crate::monotonic_ns`].
    pub fn started_ns(&self) -> u64 {
        self.started_ns.load(Ordering::Relaxed)
    }

    /// When the worker must have said Ready, by [`crate::monotonic_ns`].
    pub fn boot_deadline_ns(&self) -> u64 {
        self.boot_deadline_ns.load(Ordering::Relaxed)
    }

    /// How many workers this slot has lost so far, for whatever reason.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// How the slot's last worker ended: its exit code, or minus the number of the signal that killed it.
    pub fn last_status(&self) -> i32 {
        self.last_status.load(Ordering::Relaxed)
    }

    /// Master: a worker is about to be forked. Written before the fork, so that a child that hangs while it boots is
    /// already on the clock (pitchfork's order).
    pub fn starting(&self, generation: u64, now_ns: u64, boot_deadline_ns: u64) {
        self.generation.store(generation, Ordering::Relaxed);
        self.started_ns.store(now_ns, Ordering::Relaxed);
        self.boot_deadline_ns
            .store(boot_deadline_ns, Ordering::Relaxed);
        self.set_state(SlotState::Starting);
    }

    /// Master: the fork's result, or 0.
    pub fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Master: the slot's state.
    pub fn set_state(&self, state: SlotState) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// Master: the slot's worker was reaped.
    pub fn emptied(&self, last_status: i32) {
        self.last_status.store(last_status, Ordering::Relaxed);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.pid.store(0, Ordering::Relaxed);
        self.set_state(SlotState::Empty);
    }
}

/// What a worker changes with every request. Written by the slot's worker only.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct HotLine {
    heartbeat_ns: AtomicU64,
    oldest_start_ns: AtomicU64,
    phase: AtomicU32,
    armed: AtomicU32,
    /// Requests admitted and not yet answered.
    pub inflight: Gauge,
    /// Open client connections.
    pub connections: Gauge,
    /// Connections among them that are subscriptions: streams that wait for a change of the tools.
    pub subscriptions: Gauge,
    catalog: AtomicU64,
}

impl HotLine {
    /// The worker's phase. A number that no worker writes reads as [`Phase::Done`].
    pub fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Acquire)).unwrap_or(Phase::Done)
    }

    /// Worker: enters `phase`; what it wrote before is visible to whoever sees the phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Ordering::Release);
    }

    /// Whether the worker watches the listener.
    pub fn armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed) != 0
    }

    /// Worker: watches the listener, or has left it.
    pub fn set_armed(&self, armed: bool) {
        self.armed.store(u32::from(armed), Ordering::Relaxed);
    }

    /// Which lists of tools the worker serves, by the same number as [`Header::catalog`]; 0 = not said.
    pub fn catalog(&self) -> u64 {
        self.catalog.load(Ordering::Relaxed)
    }

    /// Worker: which lists of tools it serves. Before its phase says that it serves.
    pub fn set_catalog(&self, catalog: u64) {
        self.catalog.store(catalog, Ordering::Relaxed);
    }

    /// When the loop last turned, by [`crate::monotonic_ns`]; 0 = never.
    pub fn heartbeat_ns(&self) -> u64 {
        self.heartbeat_ns.load(Ordering::Relaxed)
    }

    /// Worker: the loop turns. At least once a second, also when there is nothing to do.
    pub fn beat(&self, now_ns: u64) {
        self.heartbeat_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the oldest request in flight began, by [`crate::monotonic_ns`]; 0 = none in flight.
    pub fn oldest_start_ns(&self) -> u64 {
        self.oldest_start_ns.load(Ordering::Relaxed)
    }

    /// Worker: when the oldest request in flight began; 0 = none.
    pub fn set_oldest_start_ns(&self, start_ns: u64) {
        self.oldest_start_ns.store(start_ns, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.heartbeat_ns.store(0, Ordering::Relaxed);
        self.oldest_start_ns.store(0, Ordering::Relaxed);
        self.armed.store(0, Ordering::Relaxed);
        self.inflight.set(0);
        self.connections.set(0);
        self.subscriptions.set(0);
        self.catalog.store(0, Ordering::Relaxed);
        self.set_phase(Phase::Boot);
    }
}

/// One slot of the pool.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Slot {
    /// The master's line.
    pub master: MasterLine,
    /// The worker's line that changes with every request.
    pub hot: HotLine,
    /// The worker's counts.
    pub counters: Counters,
}

impl Slot {
    /// Master: the worker is gone; its lines start from zero for the next one.
    pub(crate) fn clear_worker_lines(&self) {
        self.hot.clear();
        self.counters.clear();
    }
}

/// The first page of the board. Written by the master only.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Header {
    layout: AtomicU64,
    started_ns: AtomicU64,
    generation: AtomicU64,
    catalog: AtomicU64,
    crashes: Counter,
    limit_concurrency: AtomicU32,
    shutting_down: AtomicU32,
    /// Counts of all workers that have been reaped.
    pub(crate) retired: Retired,
}

/// "tine" and the number of this layout, to be raised with every change of what stands where.
pub const LAYOUT: u64 = 0x7469_6e65_0000_0002;

impl Header {
    /// [`LAYOUT`] of the build that made the page.
    pub fn layout(&self) -> u64 {
        self.layout.load(Ordering::Relaxed)
    }

    /// When the pool was created, by [`crate::monotonic_ns`].
    pub fn started_ns(&self) -> u64 {
        self.started_ns.load(Ordering::Relaxed)
    }

    /// The number of the current configuration.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Which lists of tools the current configuration serves: a digest of them; 0 = not said. The master carries the number and
    /// knows no more of it; workers compare it with their own.
    pub fn catalog(&self) -> u64 {
        self.catalog.load(Ordering::Relaxed)
    }

    /// Requests in flight that one worker admits.
    pub fn limit_concurrency(&self) -> u32 {
        self.limit_concurrency.load(Ordering::Relaxed)
    }

    /// Whether the master is stopping the pool.
    pub fn shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Relaxed) != 0
    }

    /// Workers that ended other than by exit code 0.
    pub fn crashes(&self) -> u64 {
        self.crashes.get()
    }

    /// Counts of all workers that have been reaped.
    pub fn retired(&self) -> Totals {
        self.retired.totals(self.retired.view())
    }

    /// Master: the number of the current configuration.
    pub fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Master: which lists of tools the current configuration serves.
    pub fn set_catalog(&self, catalog: u64) {
        self.catalog.store(catalog, Ordering::Relaxed);
    }

    /// Master: the pool is being stopped.
    pub fn set_shutting_down(&self) {
        self.shutting_down.store(1, Ordering::Relaxed);
    }

    /// Master: requests in flight that one worker admits, from a new configuration.
    pub fn set_limit_concurrency(&self, limit: u32) {
        self.limit_concurrency.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self, now_ns: u64, limit_concurrency: u32) {
        self.layout.store(LAYOUT, Ordering::Relaxed);
        self.started_ns.store(now_ns, Ordering::Relaxed);
        self.set_limit_concurrency(limit_concurrency);
    }

    pub(crate) fn count_crash(&self) {
        self.crashes.add(1);
    }
}

const _: () = {
    assert!(size_of::<MasterLine>() == 64);
    assert!(size_of::<HotLine>() == 64);
    assert!(size_of::<Counters>() == 128);
    assert!(size_of::<Slot>() == 256);
    assert!(size_of::<Header>() == 4096);
};
