//! Random sequences of events against a simulated kernel: what must hold in every order.

use std::collections::HashSet;

use tine_scoreboard::control::{RecycleReason, ToMaster};

use super::*;

/// A sequence of numbers that depends on the seed only, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}

/// The processes as the kernel sees them.
struct World {
    pool: Pool,
    now: Time,
    next_pid: u32,
    /// Forked, not reaped.
    alive: Vec<(u32, usize)>,
    /// Sent SIGKILL: must be reaped soon.
    doomed: HashSet<u32>,
    exit: Option<u8>,
    seed: u64,
    checker: Option<u32>,
    /// Every fork succeeds.
    kind: bool,
    /// The number of the change that was answered last.
    answered: u64,
}

impl World {
    fn apply(&mut self, dice: &mut Dice, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in step(&mut self.pool, self.now, event) {
                assert_eq!(self.exit, None, "seed {}: nothing after Exit", self.seed);
                self.perform(dice, action, &mut events);
            }
        }
        let max = self.pool.settings.max_workers;
        assert!(
            self.alive.len() <= 2 * max,
            "seed {}: {} processes",
            self.seed,
            self.alive.len()
        );
        let known: HashSet<u32> = self.pool.live().map(|(_, worker)| worker.pid).collect();
        assert_eq!(
            known.len(),
            self.pool.live().count(),
            "seed {}: pids are unique",
            self.seed
        );
        if self.exit.is_none() {
            let alive: HashSet<u32> = self.alive.iter().map(|(pid, _)| *pid).collect();
            assert_eq!(
                known, alive,
                "seed {}: the policy knows every process and no other",
                self.seed
            );
        }
        assert!((1..=max).contains(&self.pool.target));
    }

    fn perform(&mut self, dice: &mut Dice, action: Action, events: &mut Vec<Event>) {
        let is_alive = |pid: u32| self.alive.iter().any(|(alive, _)| *alive == pid);
        match action {
            Action::Fork { slot, generation } => {
                assert_eq!(generation, self.pool.generation());
                assert!(
                    self.alive.iter().all(|(_, used)| *used != slot),
                    "seed {}: slot {slot} is taken",
                    self.seed
                );
                if !self.kind && dice.below(10) == 0 {
                    events.push(Event::ForkFailed {
                        slot,
                        fatal: dice.below(50) == 0,
                    });
                } else {
                    self.next_pid += 1;
                    self.alive.push((self.next_pid, slot));
                    events.push(Event::Forked {
                        slot,
                        pid: self.next_pid,
                    });
                }
            }
            Action::Drain { slot, pid, .. } | Action::Quick { slot, pid } => {
                assert!(
                    self.alive.contains(&(pid, slot)),
                    "seed {}: told a process that is gone",
                    self.seed
                );
            }
            Action::Abort { pid } => assert!(
                is_alive(pid),
                "seed {}: ABRT for a reaped process",
                self.seed
            ),
            Action::Kill { pid } if self.checker == Some(pid) => {
                self.checker = None;
                events.push(Event::Checked {
                    pid,
                    verdict: Err("killed".to_owned()),
                });
            }
            Action::Kill { pid } => {
                assert!(
                    is_alive(pid),
                    "seed {}: KILL for a reaped process",
                    self.seed
                );
                assert!(self.doomed.insert(pid), "seed {}: killed twice", self.seed);
            }
            Action::Exit(code) => self.exit = Some(code),
            Action::Check(_) => {
                self.next_pid += 1;
                let begun = match dice.below(10) {
                    0 => Err("no fork".to_owned()),
                    _ => Ok(self.next_pid),
                };
                self.checker = begun.clone().ok();
                events.push(Event::CheckBegun(begun));
            }
            Action::Adopt | Action::Execute => {
                events.push(Event::Adopted(match dice.below(6) {
                    0 => Err("no".to_owned()),
                    _ => Ok(Settings {
                        workers: 1 + dice.below(self.pool.settings.max_workers),
                        ..self.pool.settings.clone()
                    }),
                }));
            }
            Action::Outcome { .. } => self.answered = self.pool.begun,
            Action::Proven(_) => {}
            Action::Revert { why, .. } => events.push(Event::Adopted(Err(why))),
            Action::CloseListener | Action::Dump | Action::Notify(_) | Action::Log(..) => {}
        }
    }

    fn reap(&mut self, dice: &mut Dice, index: usize, ended: Ended) {
        let (pid, _) = self.alive.swap_remove(index);
        self.doomed.remove(&pid);
        self.apply(dice, Event::Exited { pid, ended });
    }

    fn random_event(&mut self, dice: &mut Dice) {
        if dice.below(3) == 0 {
            self.now += Duration::from_millis(dice.below(4000) as u64);
        }
        let some = (!self.alive.is_empty()).then(|| dice.below(self.alive.len().max(1)));
        let (pid, slot) = some.map_or((4242, 0), |index| self.alive[index]);
        let message = |message| Event::Message { slot, pid, message };
        let event = match dice.below(22) {
            0..=2 => self.tick(dice),
            3..=6 => message(ToMaster::Ready),
            7 | 8 => message(ToMaster::Recycle {
                reason: RecycleReason::Requests,
            }),
            9 => message(ToMaster::Draining),
            10 => message(ToMaster::BootFailed {
                fatal: dice.below(2) == 0,
            }),
            11 => Event::Eof { slot, pid },
            12 => Event::Command(Command::More),
            13 => Event::Command(Command::Fewer),
            14 => Event::Exited {
                pid: 4243,
                ended: Ended::Code(3),
            },
            18 => Event::Command(Command::Reload),
            19 => Event::Command(Command::Upgrade),
            20 | 21 => match self.checker.take() {
                Some(pid) => Event::Checked {
                    pid,
                    verdict: match dice.below(4) {
                        0 => Err("wrong".to_owned()),
                        _ => Ok(()),
                    },
                },
                None => return,
            },
            15 => Event::Message {
                slot: dice.below(8),
                pid: 4244,
                message: ToMaster::Ready,
            },
            _ => {
                if let Some(index) = some {
                    let ended = match dice.below(8) {
                        0 => Ended::Code(3),
                        1 => Ended::Code(4),
                        2 => Ended::Signal(9),
                        _ => Ended::Code(0),
                    };
                    self.reap(dice, index, ended);
                }
                return;
            }
        };
        self.apply(dice, event);
    }

    fn tick(&self, dice: &mut Dice) -> Event {
        let heartbeats = (0..self.pool.slots.len())
            .map(|_| match dice.below(12) {
                0 => Time::ZERO,
                1 => Time::MAX,
                _ => self.now,
            })
            .collect();
        Event::Tick { heartbeats }
    }
}

fn world(seed: u64) -> World {
    let max_workers = 1 + (seed % 4) as usize;
    let settings = Settings {
        workers: 1 + (seed / 4) as usize % max_workers,
        max_workers,
        ..Settings::default()
    };
    let now = Duration::from_secs(5000);
    World {
        pool: Pool::new(settings, now, seed),
        now,
        next_pid: 100_000,
        alive: Vec::new(),
        doomed: HashSet::new(),
        exit: None,
        seed,
        checker: None,
        kind: false,
        answered: 0,
    }
}

#[test]
fn random_sequences_keep_the_invariants_and_a_stop_always_ends() {
    for seed in 1..=2000 {
        let mut dice = Dice::new(seed);
        let mut world = world(seed);
        let tick = world.tick(&mut dice);
        world.apply(&mut dice, tick);
        for _ in 0..dice.below(200) {
            if world.exit.is_none() {
                world.random_event(&mut dice);
            }
        }
        if let Some(code) = world.exit {
            let left = world
                .alive
                .iter()
                .all(|(pid, _)| world.doomed.contains(pid));
            assert!(left, "seed {seed}: left a process that it had not killed");
            assert!(
                world.alive.is_empty() || code == crate::exit::INTERNAL,
                "seed {seed}: exit {code}"
            );
            continue;
        }
        let quick = dice.below(2) == 0;
        world.apply(
            &mut dice,
            Event::Command(if quick {
                Command::QuickStop
            } else {
                Command::Stop
            }),
        );
        let begun = world.now;
        // From here on no worker does anything by itself: only SIGKILL ends one.
        while world.exit.is_none() {
            let deadline = world
                .pool
                .next_deadline()
                .expect("a stopping pool always waits for something");
            assert!(
                deadline <= begun + world.pool.settings.exit_after,
                "seed {seed}: waits beyond the chain"
            );
            world.now = world.now.max(deadline);
            let tick = world.tick(&mut dice);
            world.apply(&mut dice, tick);
            while let Some(index) = world
                .alive
                .iter()
                .position(|(pid, _)| world.doomed.contains(pid))
            {
                world.reap(&mut dice, index, Ended::Signal(9));
            }
        }
        assert!(
            world.alive.is_empty(),
            "seed {seed}: every worker was killed and reaped before the exit"
        );
        let within = if quick {
            Duration::from_millis(3500)
        } else {
            world.pool.settings.exit_after
        };
        assert!(
            world.now - begun <= within,
            "seed {seed}: took {:?}",
            world.now - begun
        );
    }
}

#[test]
fn a_pool_whose_workers_behave_becomes_and_stays_full() {
    for seed in 1..=200 {
        let mut dice = Dice::new(seed);
        let mut world = world(seed);
        for _ in 0..400 {
            if world.exit.is_none() {
                world.random_event(&mut dice);
            }
        }
        if world.exit.is_some()
            || !matches!(world.pool.phase, Phase::Booting { .. } | Phase::Running)
        {
            continue;
        }
        world.kind = true;
        // Everybody becomes ready, beats, and obeys within a second.
        for _ in 0..120 {
            world.now += Duration::from_secs(1);
            if let Some(pid) = world.checker.take() {
                let verdict = Ok(());
                world.apply(&mut dice, Event::Checked { pid, verdict });
            }
            for (pid, slot) in world.alive.clone() {
                match world.pool.slot_state(slot) {
                    SlotState::Starting => {
                        world.apply(
                            &mut dice,
                            Event::Message {
                                slot,
                                pid,
                                message: ToMaster::Ready,
                            },
                        );
                    }
                    SlotState::Retiring | SlotState::Killing => {
                        let index = world
                            .alive
                            .iter()
                            .position(|(alive, _)| *alive == pid)
                            .expect("alive");
                        world.reap(&mut dice, index, Ended::Code(0));
                    }
                    SlotState::Empty | SlotState::Ready => {}
                }
            }
            let heartbeats = vec![world.now; world.pool.slots.len()];
            world.apply(&mut dice, Event::Tick { heartbeats });
        }
        assert_eq!(world.exit, None, "seed {seed}");
        assert_eq!(world.pool.phase, Phase::Running, "seed {seed}");
        assert_eq!(
            world.pool.ready_count(),
            world.pool.target,
            "seed {seed}: {:?}",
            world.pool
        );
        assert_eq!(world.pool.change, Change::None, "seed {seed}");
        assert_eq!(
            world.answered, world.pool.begun,
            "seed {seed}: every change is answered"
        );
        let current = world.pool.generation();
        let unfinished = world.pool.refusal.is_some();
        assert!(
            unfinished
                || world
                    .pool
                    .live()
                    .all(|(_, worker)| worker.generation == current),
            "seed {seed}: nobody is of another generation"
        );
        assert_eq!(
            world.alive.len(),
            world.pool.target,
            "seed {seed}: nobody is left over"
        );
    }
}
