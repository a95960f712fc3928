//! Why a worker wishes to be replaced, and how its master hears of it. It goes on serving until the drain that follows: the master
//! brings the replacement up first.
//!
//! Requests and memory are gunicorn's and granian's reasons; a broken part is ours. A message can be lost (the master's queue is full,
//! or another binary has taken over since), so the wish is repeated until it is granted.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};
use tine_scoreboard::control::{RecycleReason, ToMaster};

use crate::event_loop::Worker;

/// A wish that was heard is repeated after this.
const REPEAT: Duration = Duration::from_secs(10);
/// One that could not be sent, after this.
const RETRY: Duration = Duration::from_millis(100);
/// How often the memory is measured.
const MEASURE: Duration = Duration::from_secs(1);
/// A worker that breaks again and again must not keep its master busy with forking.
const BREAKS_APART: Duration = Duration::from_secs(10);

/// The wish, if there is one. The first reason stays.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wish(Option<(RecycleReason, Instant)>);

impl Wish {
    /// There is a reason from `when` on.
    pub fn add(&mut self, reason: RecycleReason, when: Instant) {
        self.0.get_or_insert((reason, when));
    }

    pub fn exists(self) -> bool {
        self.0.is_some()
    }

    /// What to tell the master now.
    pub fn due(self, now: Instant) -> Option<RecycleReason> {
        self.0
            .filter(|(_, when)| *when <= now)
            .map(|(reason, _)| reason)
    }

    /// It was told, or could not be.
    pub fn told(&mut self, now: Instant, heard: bool) {
        if let Some((_, when)) = &mut self.0 {
            *when = now + if heard { REPEAT } else { RETRY };
        }
    }
}

/// Looks after the memory that the worker uses.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    /// When to look next; `None` before the first look.
    next: Option<Instant>,
    /// It was more than the limit from the start: a replacement would not be better.
    hopeless: bool,
}

impl Memory {
    /// What is used, when it is more than the limit and was not at the first look. All in bytes; `measure` is asked once a second.
    fn exceeds(
        &mut self,
        limit: u64,
        now: Instant,
        measure: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        if self.hopeless || self.next.is_some_and(|next| now < next) {
            return None;
        }
        let used = measure()?;
        let first = self.next.is_none();
        self.next = Some(now + MEASURE);
        if used <= limit {
            return None;
        }
        if first {
            self.hopeless = true;
            log::error!(
                "limit_memory ({limit} bytes) is less than a new worker uses ({used} bytes): nobody is replaced for it"
            );
            return None;
        }
        Some(used)
    }
}

/// Bytes of memory that belong to this process alone or were inherited from the master and could be written: heap and stacks, which a
/// worker can grow by, without the pages of files, which the page cache would hold anyway and all workers share. What
/// `RssAnon` of proc_pid_status(5) says, from the file that costs least to read (statm: resident less shared).
fn own_memory() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let mut fields = statm.split_ascii_whitespace().skip(1);
    let resident: u64 = fields.next()?.parse().ok()?;
    let shared: u64 = fields.next()?.parse().ok()?;
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    Some(resident.saturating_sub(shared) * page)
}

impl Worker {
    /// Asks the master for a successor when there is a reason, and goes on serving.
    pub fn recycle_if_due(&mut self) {
        if self.draining.is_some() {
            return;
        }
        let limit = self.settings.limits.requests;
        if !self.wish.exists() && limit.is_some_and(|limit| self.requests >= limit) {
            log::debug!("{} requests served: asking to be replaced", self.requests);
            self.wish.add(RecycleReason::Requests, self.now);
        }
        let Some(reason) = self.wish.due(self.now) else {
            return;
        };
        let sent = self.control.send(&ToMaster::Recycle { reason });
        if let Err(error) = &sent
            && error.kind() != ErrorKind::WouldBlock
        {
            // The channel's end is seen, and obeyed, where it is read.
            log::debug!("cannot ask to be replaced: {error}");
        }
        self.wish.told(self.now, sent.is_ok());
    }

    /// Measures the memory from time to time.
    pub fn watch_memory(&mut self) {
        let Some(limit) = self.settings.limits.memory else {
            return;
        };
        if let Some(used) = self.memory.exceeds(limit, self.now, own_memory)
            && !self.wish.exists()
        {
            log::info!(
                "{used} bytes of memory are in use, {limit} are allowed (limit_memory): asking to be replaced"
            );
            self.wish.add(RecycleReason::Memory, self.now);
        }
    }

    /// Finds out about databases that this process cannot reach any more, whatever their servers do.
    pub fn watch_pools(&mut self) {
        if let Some(what) = self.pools.iter().find_map(|pool| pool.broken(self.now)) {
            self.broken(&what);
        }
    }

    /// Something in this process does not work any more, and a new one is the cure.
    pub fn broken(&mut self, what: &str) {
        if self.wish.exists() {
            return;
        }
        log::error!("{what}; asking to be replaced");
        self.wish.add(
            RecycleReason::Broken,
            self.now.max(self.started + BREAKS_APART),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn a_wish_is_repeated_until_it_is_granted() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut wish = Wish::default();
        assert_eq!(wish.due(at(0)), None);
        wish.told(at(0), true);
        assert!(!wish.exists());
        wish.add(RecycleReason::Memory, at(50));
        wish.add(RecycleReason::Requests, at(0));
        assert_eq!(wish.due(at(49)), None, "not yet");
        assert_eq!(wish.due(at(50)), Some(RecycleReason::Memory), "the first");
        wish.told(at(50), false);
        assert_eq!(wish.due(at(149)), None);
        assert_eq!(wish.due(at(150)), Some(RecycleReason::Memory), "not sent");
        wish.told(at(150), true);
        assert_eq!(wish.due(at(10_149)), None);
        assert_eq!(wish.due(at(10_150)), Some(RecycleReason::Memory), "unheard");
    }

    #[test]
    fn a_master_whose_queue_is_full_is_asked_again() {
        let mut bench = Bench::new();
        while bench.worker.control.send(&ToMaster::Ready).is_ok() {}
        bench
            .worker
            .wish
            .add(RecycleReason::Memory, bench.worker.now);
        bench.worker.recycle_if_due();
        while bench.heard() == Some(ToMaster::Ready) {}
        bench.worker.recycle_if_due();
        assert_eq!(bench.heard(), None, "not in every turn");
        bench.worker.now += RETRY;
        bench.worker.recycle_if_due();
        let reason = RecycleReason::Memory;
        assert_eq!(bench.heard(), Some(ToMaster::Recycle { reason }));
    }

    #[test]
    fn what_breaks_at_once_is_not_replaced_at_once() {
        let mut bench = Bench::new();
        bench.worker.broken("a test");
        bench.worker.recycle_if_due();
        assert_eq!(bench.heard(), None);
        bench.worker.now += BREAKS_APART;
        bench.worker.recycle_if_due();
        let reason = RecycleReason::Broken;
        assert_eq!(bench.heard(), Some(ToMaster::Recycle { reason }));
    }

    #[test]
    fn memory_counts_from_the_second_look_on() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut memory = Memory::default();
        assert_eq!(memory.exceeds(100, at(0), || None), None, "no answer");
        assert_eq!(memory.exceeds(100, at(1), || Some(100)), None);
        assert_eq!(
            memory.exceeds(100, at(1000), || Some(101)),
            None,
            "too soon"
        );
        assert_eq!(memory.exceeds(100, at(1001), || Some(101)), Some(101));
        assert_eq!(memory.exceeds(100, at(2001), || Some(50)), None);
        let mut hopeless = Memory::default();
        for second in 0..3 {
            assert_eq!(hopeless.exceeds(100, at(second * 1000), || Some(101)), None);
        }
    }

    #[test]
    fn what_this_process_uses_is_what_the_kernel_says() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kernel: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|number| number.trim().parse().ok())
            .unwrap();
        let ours = own_memory().unwrap() / 1024;
        // Other tests allocate meanwhile.
        assert!(ours.abs_diff(kernel) < 64 * 1024, "{ours} {kernel}");
        let block = vec![1u8; 256 << 20];
        assert!(own_memory().unwrap() / 1024 > ours + (128 << 10));
        drop(block);
    }
}
