//! Maps the board and answers the questions that need the whole of it.
//!
//! The only `unsafe` of the crate is the mapping. The page is never unmapped, so that references to it live for ever. It has
//! a descriptor (memfd_create(2)), so that a program that is executed in place of this one can map it again.

use std::fmt;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};

use crate::layout::{Header, LAYOUT, Phase, Slot, SlotState};
use crate::monotonic_ns;
use crate::snapshot::Snapshot;

/// A worker whose heartbeat is older does not count as having room: it may be stopped or stuck, and a client that is left
/// to it would wait. A healthy loop turns at least once a second.
pub const FRESH_HEARTBEAT_NS: u64 = 3_000_000_000;

/// A snapshot is taken again only when another worker has died meanwhile; so often that cannot be.
const SNAPSHOT_RETRIES: usize = 100;

/// The shared page. The struct itself lies in each process's own memory, only what it refers to is shared; so no stray
/// write of a sibling can change where the slots are or how many there are.
#[derive(Debug)]
pub struct Scoreboard {
    header: &'static Header,
    slots: &'static [Slot],
    file: File,
}

/// Why there is no board.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No slots, or more than a pid could ever fill.
    SlotCount(usize),
    /// Memory could not be had or mapped: memfd_create(2), ftruncate(2) or mmap(2) failed for so many bytes.
    Map(usize, std::io::Error),
    /// What was handed over is no board of this build's layout: so it says of itself.
    Foreign(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::SlotCount(slots) => write!(
                f,
                "a scoreboard of {slots} slots is not possible, choose 1 to 65536"
            ),
            Error::Map(bytes, error) => write!(
                f,
                "mapping {bytes} bytes of shared memory for the scoreboard failed: {error}"
            ),
            Error::Foreign(what) => write!(f, "the scoreboard that was handed over {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl Scoreboard {
    /// Maps a new board, shared with every process forked from now on.
    ///
    /// `slots` is 1 to 65536; a pool that brings replacements up before it retires needs twice its workers.
    /// `limit_concurrency` is the number of requests in flight that one worker admits.
    pub fn create(slots: usize, limit_concurrency: u32) -> Result<&'static Scoreboard, Error> {
        let bytes = bytes_for(slots)?;
        let failed = |error: std::io::Error| Error::Map(bytes, error);
        let file = memfd_create("tine-scoreboard", MFdFlags::MFD_CLOEXEC)
            .map_err(|error| failed(error.into()))?;
        let file = File::from(file);
        file.set_len(bytes as u64).map_err(failed)?;
        let board = Scoreboard::map(file, slots)?;
        board.header.begin(monotonic_ns(), limit_concurrency);
        Ok(board)
    }

    /// Maps the board that another program of the same layout made, with all its numbers.
    pub fn resume(descriptor: OwnedFd) -> Result<&'static Scoreboard, Error> {
        let file = File::from(descriptor);
        let failed = |error| Error::Map(0, error);
        let length = file.metadata().map_err(failed)?.len() as usize;
        let slots = length.saturating_sub(size_of::<Header>()) / size_of::<Slot>();
        if bytes_for(slots).ok() != Some(length) {
            return Err(Error::Foreign(format!(
                "has {length} bytes, which no board has"
            )));
        }
        let board = Scoreboard::map(file, slots)?;
        match board.header.layout() {
            LAYOUT => Ok(board),
            other => Err(Error::Foreign(format!(
                "has layout {other:#x}, not {LAYOUT:#x}"
            ))),
        }
    }

    fn map(file: File, slots: usize) -> Result<&'static Scoreboard, Error> {
        let bytes = bytes_for(slots)?;
        let length = NonZeroUsize::new(bytes).ok_or(Error::SlotCount(slots))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that exists; the file is as long as the
        // mapping and never shortened, since nobody else has its descriptor.
        let base = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &file,
                0,
            )
        }
        .map_err(|error| Error::Map(bytes, error.into()))?;
        let base = base.cast::<u8>().as_ptr();
        // SAFETY: the mapping is page-aligned (4096, which suits Header, and with it Slot behind it), `bytes` long, never
        // unmapped, and zeroed at first; both types consist of atomic integers only, for which every bit pattern is a value and
        // through which alone it is written, here and in other processes.
        let (header, slots) = unsafe {
            let header: &'static Header = &*base.cast::<Header>();
            let first = base.add(size_of::<Header>()).cast::<Slot>();
            (header, std::slice::from_raw_parts(first, slots))
        };
        Ok(Box::leak(Box::new(Scoreboard {
            header,
            slots,
            file,
        })))
    }

    /// The memory's descriptor, closed on exec; for [`Scoreboard::resume`].
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Slot `i`. The caller passes its own slot number or one below `slots().len()`; anything else panics.
    pub fn slot(&self, i: usize) -> &Slot {
        &self.slots[i]
    }

    /// All slots, the empty ones too.
    pub fn slots(&self) -> &[Slot] {
        self.slots
    }

    /// The master's page.
    pub fn header(&self) -> &Header {
        self.header
    }

    /// Places that *other* workers have free, each a request more below its limit: Ready ones with a fresh heartbeat, armed or parked.
    ///
    /// The numbers are read without order, so the answer may be a moment old in either direction.
    pub fn places_elsewhere(&self, me: usize) -> u32 {
        let limit = self.header.limit_concurrency();
        let now_ns = monotonic_ns();
        let free = self.slots.iter().enumerate().filter_map(|(i, slot)| {
            let listening = match slot.hot.phase() {
                Phase::Serving => slot.hot.armed(),
                Phase::Parked => true,
                Phase::Boot | Phase::Rejecting | Phase::Draining | Phase::Done => false,
            };
            let lives = slot.master.state() == SlotState::Ready
                && now_ns.saturating_sub(slot.hot.heartbeat_ns()) <= FRESH_HEARTBEAT_NS;
            (i != me && listening && lives).then(|| limit.saturating_sub(slot.hot.inflight.get()))
        });
        free.fold(0, u32::saturating_add)
    }

    /// True when every worker that may answer a client serves the lists of tools of the current configuration: no old one is left.
    ///
    /// A worker that drains may still answer on connections that it has.
    pub fn catalog_settled(&self) -> bool {
        let current = self.header.catalog();
        self.slots.iter().all(|slot| match slot.hot.phase() {
            Phase::Boot | Phase::Done => true,
            Phase::Serving | Phase::Parked | Phase::Rejecting | Phase::Draining => {
                slot.hot.catalog() == current
            }
        })
    }

    /// Master: the worker of slot `i` was reaped. Its counts move to the retired totals, its lines start from zero.
    ///
    /// `status` is its exit code, or minus the number of the signal that killed it; anything but 0 counts as a crash.
    pub fn retire(&self, i: usize, status: i32) {
        let slot = self.slot(i);
        self.header
            .retired
            .take_over(i, slot.counters.totals(), || slot.clear_worker_lines());
        slot.master.emptied(status);
        if status != 0 {
            self.header.count_crash();
        }
    }

    /// Plain numbers of the whole pool, as one moment saw them.
    ///
    /// Totals never fall and never count a worker twice: a snapshot during which the master moved a dead worker's counts is
    /// taken again (see `fold`).
    pub fn snapshot(&self) -> Snapshot {
        let retired = &self.header.retired;
        for _ in 0..SNAPSHOT_RETRIES {
            let view = retired.view();
            let snapshot = Snapshot::take(self.header, self.slots, view);
            if retired.holds(view) {
                return snapshot;
            }
        }
        Snapshot::take(self.header, self.slots, retired.view())
    }
}

fn bytes_for(slots: usize) -> Result<usize, Error> {
    if slots == 0 || slots > 65536 {
        return Err(Error::SlotCount(slots));
    }
    Ok(size_of::<Header>() + slots * size_of::<Slot>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Totals;

    fn ready(board: &Scoreboard, i: usize, phase: Phase, armed: bool, inflight: u32) {
        let slot = board.slot(i);
        slot.master.set_pid(100 + i as u32);
        slot.master.set_state(SlotState::Ready);
        slot.hot.set_phase(phase);
        slot.hot.set_armed(armed);
        slot.hot.inflight.set(inflight);
        slot.hot.beat(monotonic_ns());
    }

    #[test]
    fn a_new_board_is_zero_and_aligned() {
        let board = Scoreboard::create(8, 32).expect("map");
        assert_eq!(board.slots().len(), 8);
        assert_eq!(board.header().limit_concurrency(), 32);
        assert!(board.header().started_ns() > 0);
        assert_eq!(board.header().generation(), 0);
        for slot in board.slots() {
            assert_eq!(std::ptr::from_ref(slot).addr() % 64, 0);
            assert_eq!(slot.master.pid(), 0);
            assert_eq!(slot.master.state(), SlotState::Empty);
            assert_eq!(slot.hot.phase(), Phase::Boot);
            assert_eq!(slot.counters.totals(), Totals::default());
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(matches!(Scoreboard::create(0, 1), Err(Error::SlotCount(0))));
        assert!(matches!(
            Scoreboard::create(65537, 1),
            Err(Error::SlotCount(65537))
        ));
    }

    #[test]
    fn a_board_is_found_again_by_its_descriptor_with_all_its_numbers() {
        let board = Scoreboard::create(8, 32).expect("map");
        board.slot(5).counters.served.add(7);
        let copy = board.descriptor().try_clone_to_owned().expect("copy");
        let again = Scoreboard::resume(copy).expect("the same layout");
        assert_eq!(again.slots().len(), 8);
        assert_eq!(again.header().limit_concurrency(), 32);
        assert_eq!(again.slot(5).counters.totals().served, 7);
        board.slot(5).counters.served.add(1);
        assert_eq!(again.slot(5).counters.totals().served, 8, "one page");
    }

    #[test]
    fn what_is_no_board_of_this_layout_is_refused() {
        let file = memfd_create("test", MFdFlags::MFD_CLOEXEC).expect("memory");
        assert!(matches!(Scoreboard::resume(file), Err(Error::Foreign(_))));
        let file = File::from(memfd_create("test", MFdFlags::MFD_CLOEXEC).expect("memory"));
        file.set_len((size_of::<Header>() + size_of::<Slot>()) as u64)
            .expect("length");
        let error = Scoreboard::resume(file.into()).expect_err("zeros");
        assert!(error.to_string().contains("has layout 0x0"), "{error}");
    }

    #[test]
    fn places_elsewhere_are_those_of_ready_listening_live_siblings() {
        let board = Scoreboard::create(2, 4).expect("map");
        ready(board, 0, Phase::Serving, true, 0);
        assert_eq!(board.places_elsewhere(0), 0, "an empty sibling has no room");
        for (phase, armed, inflight, places) in [
            (Phase::Boot, true, 0, 0),
            (Phase::Serving, true, 0, 4),
            (Phase::Serving, true, 3, 1),
            (Phase::Serving, true, 4, 0),
            (Phase::Serving, false, 0, 0),
            (Phase::Parked, false, 3, 1),
            (Phase::Parked, false, 4, 0),
            (Phase::Rejecting, true, 0, 0),
            (Phase::Draining, true, 0, 0),
            (Phase::Done, true, 0, 0),
        ] {
            ready(board, 1, phase, armed, inflight);
            assert_eq!(
                board.places_elsewhere(0),
                places,
                "{phase:?} armed={armed} inflight={inflight}"
            );
        }
        ready(board, 1, Phase::Serving, true, 0);
        board
            .slot(1)
            .hot
            .beat(monotonic_ns().saturating_sub(FRESH_HEARTBEAT_NS + 1_000_000_000));
        assert_eq!(board.places_elsewhere(0), 0, "a stale sibling has no room");
        ready(board, 1, Phase::Serving, true, 0);
        for state in [
            SlotState::Empty,
            SlotState::Starting,
            SlotState::Retiring,
            SlotState::Killing,
        ] {
            board.slot(1).master.set_state(state);
            assert_eq!(board.places_elsewhere(0), 0, "{state:?}");
        }
    }

    #[test]
    fn the_catalog_is_settled_when_no_worker_that_may_answer_has_another() {
        let board = Scoreboard::create(3, 4).expect("map");
        board.header().set_catalog(7);
        assert_eq!(board.header().catalog(), 7);
        assert!(board.catalog_settled(), "nobody has another one");
        for (catalog, phase, settled) in [
            (7, Phase::Serving, true),
            (6, Phase::Boot, true),
            (6, Phase::Serving, false),
            (6, Phase::Parked, false),
            (6, Phase::Rejecting, false),
            (6, Phase::Draining, false),
            (6, Phase::Done, true),
        ] {
            ready(board, 0, Phase::Serving, true, 0);
            board.slot(0).hot.set_catalog(7);
            board.slot(2).hot.set_catalog(catalog);
            board.slot(2).hot.set_phase(phase);
            assert_eq!(board.catalog_settled(), settled, "{catalog} {phase:?}");
        }
        board.slot(2).hot.set_phase(Phase::Draining);
        board.retire(2, 0);
        assert_eq!(board.slot(2).hot.catalog(), 0);
        assert!(board.catalog_settled(), "the old one is gone");
    }

    #[test]
    fn retiring_a_worker_keeps_the_totals_and_zeroes_its_lines() {
        let board = Scoreboard::create(4, 4).expect("map");
        for round in 1..=3u64 {
            ready(board, 2, Phase::Serving, true, 3);
            ready(board, 3, Phase::Serving, true, 0);
            board.slot(2).counters.served.add(10);
            board.slot(2).counters.tool_errors.add(1);
            board.slot(3).counters.served.add(1);
            let before = board.snapshot();
            assert_eq!(before.totals.served, 11 * round);
            board.retire(2, if round == 3 { 0 } else { -9 });
            let after = board.snapshot();
            assert_eq!(after.totals, before.totals, "no count is lost or doubled");
            assert_eq!(after.retired.served, 10 * round);
            assert_eq!(after.slots.len(), 1, "only the other worker is left");
            let slot = board.slot(2);
            assert_eq!(slot.hot.inflight.get(), 0);
            assert_eq!(slot.hot.heartbeat_ns(), 0);
            assert!(!slot.hot.armed());
            assert_eq!(slot.hot.phase(), Phase::Boot);
            assert_eq!(slot.counters.totals(), Totals::default());
            assert_eq!(slot.master.restarts(), round);
        }
        assert_eq!(board.slot(2).master.last_status(), 0);
        assert_eq!(board.header().crashes(), 2);
    }

    #[test]
    fn snapshots_taken_during_folds_never_fall() {
        let board = Scoreboard::create(1, 4).expect("map");
        let reader = std::thread::spawn(move || {
            let mut last = 0;
            while !board.header().shutting_down() {
                let now = board.snapshot().totals.served;
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
        for _ in 0..20_000 {
            board.slot(0).master.set_pid(1);
            board.slot(0).counters.served.add(7);
            board.retire(0, 0);
        }
        board.header().set_shutting_down();
        reader.join().expect("totals never fall");
        assert_eq!(board.snapshot().totals.served, 140_000);
    }
}
