//! How soon a place is filled again after a death, and when the pool gives up.
//!
//! Pure numbers; knows neither processes nor clocks. The spacing is s6's idea: starts are kept apart, so that a service that dies
//! at once does not spin, and one that has lived for longer than the gap is started again without a pause. The distinction by
//! how far a worker got is Apache's (a child that never was healthy says something else than one that served).

use std::collections::VecDeque;
use std::time::Duration;

/// Time since an arbitrary start, from the monotonic clock.
pub type Time = Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest that a place stays empty.
pub const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A worker that became ready does serve, if shortly; keeping its place empty for long would cost more than the forks.
const LONGEST_DELAY_IF_READY: Duration = Duration::from_secs(1);

/// The memory of one place.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
    not_before: Time,
}

impl Backoff {
    /// When the place may be filled.
    pub fn not_before(&self) -> Time {
        self.not_before
    }

    /// A worker died, or was given up. `ready_for` is how long it had been ready, `None` = it never was.
    /// Returns the delay before the next attempt.
    pub fn failed(
        &mut self,
        now: Time,
        ready_for: Option<Duration>,
        jitter: &mut Jitter,
    ) -> Duration {
        let delay = match ready_for {
            Some(served) => {
                let apart = spacing(self.failures, jitter).min(LONGEST_DELAY_IF_READY);
                self.failures = if served < apart {
                    self.failures.saturating_add(1)
                } else {
                    0
                };
                apart.saturating_sub(served)
            }
            None => {
                let delay = spacing(self.failures, jitter);
                self.failures = self.failures.saturating_add(1);
                delay
            }
        };
        self.not_before = now.saturating_add(delay);
        delay
    }
}

fn spacing(exponent: u32, jitter: &mut Jitter) -> Duration {
    let doubled = FIRST_DELAY
        .saturating_mul(1 << exponent.min(10))
        .min(LONGEST_DELAY);
    doubled.mul_f64(jitter.factor()).min(LONGEST_DELAY)
}

/// Spreads attempts by ±20 %, so that places that failed together do not try together. Quality of randomness is of no
/// matter here, and a random number generator would not survive fork well.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// A sequence that depends on `seed`.
    pub fn new(seed: u64) -> Jitter {
        Jitter(seed | 1)
    }

    fn factor(&mut self) -> f64 {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        0.8 + 0.4 * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

const LOOP_DEATHS: usize = 5;
const LOOP_WINDOW: Duration = Duration::from_secs(30);

/// Deaths before Ready since a worker was last ready.
#[derive(Debug, Clone, Default)]
pub struct CrashLoop(VecDeque<Time>);

impl CrashLoop {
    /// A worker died before it was ready, and no other is ready. Returns whether that is a loop: five within 30 s.
    pub fn died(&mut self, now: Time) -> bool {
        self.0.push_back(now);
        while self
            .0
            .front()
            .is_some_and(|then| now.saturating_sub(*then) > LOOP_WINDOW)
        {
            self.0.pop_front();
        }
        self.0.len() >= LOOP_DEATHS
    }

    /// A worker became ready: it can be done.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn deaths_before_ready_are_spaced_twice_as_far_each_time_up_to_five_seconds() {
        for seed in 0..200 {
            let (mut backoff, mut jitter) = (Backoff::default(), Jitter::new(seed));
            for expected in [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0] {
                let delay = backoff.failed(100 * S, None, &mut jitter).as_secs_f64();
                assert!(
                    delay >= expected * 0.799 && delay <= (expected * 1.201).min(5.0),
                    "{delay} for {expected}"
                );
                assert_eq!(
                    backoff.not_before(),
                    100 * S + Duration::from_secs_f64(delay)
                );
            }
        }
    }

    #[test]
    fn jitter_spreads() {
        let mut jitter = Jitter::new(7);
        let factors: Vec<f64> = (0..1000).map(|_| jitter.factor()).collect();
        assert!(factors.iter().all(|factor| (0.8..=1.2).contains(factor)));
        assert!(
            factors.iter().any(|factor| *factor < 0.85)
                && factors.iter().any(|factor| *factor > 1.15)
        );
    }

    #[test]
    fn a_worker_that_has_lived_is_replaced_at_once_and_clears_the_record() {
        let (mut backoff, mut jitter) = (Backoff::default(), Jitter::new(1));
        for _ in 0..6 {
            backoff.failed(S, None, &mut jitter);
        }
        assert_eq!(backoff.failed(20 * S, Some(S), &mut jitter), Duration::ZERO);
        assert_eq!(backoff.not_before(), 20 * S);
        assert!(backoff.failed(21 * S, None, &mut jitter) < Duration::from_millis(121));
    }

    #[test]
    fn a_pool_that_loses_a_worker_every_200_ms_is_whole_again_at_once() {
        let (mut backoff, mut jitter) = (Backoff::default(), Jitter::new(1));
        for kill in 1..50 {
            let served = Duration::from_millis(195);
            assert_eq!(
                backoff.failed(kill * S, Some(served), &mut jitter),
                Duration::ZERO
            );
        }
    }

    #[test]
    fn workers_that_die_as_soon_as_they_are_ready_are_spaced_up_to_a_second() {
        for seed in 0..200 {
            let (mut backoff, mut jitter) = (Backoff::default(), Jitter::new(seed));
            let served = Duration::from_millis(5);
            for expected in [0.1, 0.2, 0.4, 0.8, 1.0, 1.0] {
                let apart = (backoff.failed(S, Some(served), &mut jitter) + served).as_secs_f64();
                assert!(
                    apart >= expected * 0.799 && apart <= (expected * 1.201).min(1.0),
                    "{apart} for {expected}"
                );
            }
        }
    }

    #[test]
    fn five_deaths_in_thirty_seconds_are_a_loop_unless_one_became_ready() {
        let mut deaths = CrashLoop::default();
        assert_eq!(
            [0, 1, 2, 3, 4].map(|at| deaths.died(at * S)),
            [false, false, false, false, true]
        );
        let mut deaths = CrashLoop::default();
        assert_eq!(
            [0, 8, 16, 24, 31].map(|at| deaths.died(at * S)),
            [false; 5],
            "the first is out of the window"
        );
        let mut deaths = CrashLoop::default();
        assert_eq!([0, 1, 2, 3].map(|at| deaths.died(at * S)), [false; 4]);
        deaths.clear();
        assert!(!deaths.died(4 * S));
    }
}
