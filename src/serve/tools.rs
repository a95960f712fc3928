//! The [`Service`] that a master runs: tools over MCP. It keeps the adopted generation, from which workers are forked, so that they share
//! its memory, and knows how to read the next one.

use std::sync::Arc;

use tine_master::{Adopted, Child, Service};
use tine_worker::Boot;
use tine_worker::files::Files;

use super::generation::{Generation, Refusal};
use crate::config::{Inputs, Settings};
use crate::logging::{self, Role};

/// What is served.
pub struct Tools {
    inputs: Inputs,
    /// What the server started with.
    started: Settings,
    /// Somebody else has bound the socket.
    passed: bool,
    generation: Generation,
    /// Where it is served, for the log.
    pub place: String,
}

impl Tools {
    pub fn new(inputs: Inputs, started: Settings, generation: Generation) -> Tools {
        Tools {
            inputs,
            started,
            passed: tine_master::listen::is_passed(),
            generation,
            place: String::new(),
        }
    }

    /// That the adopted generation changes nothing that takes effect at the start only.
    ///
    /// # Errors
    /// It does.
    pub fn check_kept(&self) -> Result<(), Refusal> {
        self.generation.keeps(&self.started, self.passed)
    }

    fn load(&self, files: &Files) -> Result<Generation, Refusal> {
        let generation = Generation::load(&self.inputs, files)?;
        generation.keeps(&self.started, self.passed)?;
        Ok(generation)
    }

    /// What the master needs to know of the adopted generation.
    pub fn adopted(&self) -> Adopted {
        Adopted {
            settings: self.generation.master.clone(),
            limit_concurrency: self.generation.settings.limit_concurrency,
            catalog: self.generation.worker.catalog_digest(),
        }
    }
}

impl Service for Tools {
    fn work(&self, child: Child) -> i32 {
        let slot = u16::try_from(child.slot).unwrap_or(u16::MAX);
        logging::set_role(Role::Worker {
            slot,
            generation: child.generation,
        });
        let mut settings = Arc::clone(&self.generation.worker);
        if let Some(log) = &settings.log_table {
            logging::set_table(log.level);
        }
        let jitter = self.generation.settings.limit_max_requests_jitter;
        if let (Some(requests), 1..) = (settings.limits.requests, jitter) {
            Arc::make_mut(&mut settings).limits.requests =
                Some(spread(requests, jitter, std::process::id()));
        }
        tine_worker::run(Boot {
            settings,
            slot: child.slot,
            board: child.board,
            listener: child.listener,
            control: child.control,
        })
    }

    fn read(&mut self) -> Result<Vec<u8>, String> {
        let files = Files::disk();
        let generation = self.load(&files).map_err(|refusal| {
            // The master says the first one.
            let more = refusal.faults.iter().skip(1);
            more.for_each(|fault| log::error!("{}", fault.line()));
            refusal.line()
        })?;
        let warnings = generation.settings.warnings.iter();
        for warning in warnings.chain(&generation.warnings) {
            log::warn!("{}", warning.line());
        }
        Ok(files.snapshot())
    }

    fn adopt(&mut self, bytes: &[u8]) -> Result<Adopted, String> {
        let files = Files::held(bytes).map_err(|error| error.to_string())?;
        self.generation = self.load(&files).map_err(|refusal| refusal.line())?;
        let settings = &self.generation.settings;
        logging::set(&settings.log_level, &settings.log_format);
        Ok(self.adopted())
    }

    fn ready(&mut self) {
        log::info!(
            "serving {} tools at {} with {} workers",
            self.generation.worker.catalog.tools().len(),
            self.place,
            self.generation.master.workers
        );
    }
}

/// A number from `requests` to `requests + jitter`, by process id, so that workers which began together do not end together.
fn spread(requests: u64, jitter: u64, pid: u32) -> u64 {
    // Neighbouring numbers land far apart (Fibonacci hashing), and the multiplication's upper half scales them to the span evenly.
    let hash = u64::from(pid).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let share = (u128::from(hash) * (u128::from(jitter) + 1)) >> 64;
    requests.saturating_add(u64::try_from(share).unwrap_or(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_end_apart_from_each_other() {
        assert_eq!(spread(100, 0, 77), 100);
        let mut ends: Vec<u64> = (4000..4008).map(|pid| spread(1000, 800, pid)).collect();
        assert!(
            ends.iter().all(|end| (1000..=1800).contains(end)),
            "{ends:?}"
        );
        ends.sort_unstable();
        let nearest = ends.windows(2).map(|pair| pair[1] - pair[0]).min();
        assert!(nearest >= Some(25), "{ends:?}");
        let all: std::collections::HashSet<u64> = (1..2000).map(|pid| spread(0, 9, pid)).collect();
        assert_eq!(all.len(), 10, "both ends of the span among them");
        assert!(spread(u64::MAX - 1, u64::MAX, 77) >= u64::MAX - 1);
        assert_eq!(spread(u64::MAX, 5, 77), u64::MAX, "no overflow");
    }
}
