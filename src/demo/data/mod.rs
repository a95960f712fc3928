//! The demo's data: which tables there are, in which order they are filled, and how many rows each size
//! has. Rows are made one at a time and never kept. Knows nothing of connections.

mod panda;
mod pcs;
mod queues;
mod runs;
mod swf;
mod world;

use std::io;

use super::copy::{Micros, Rows};
use super::random::Random;
pub use world::World;

/// How much data there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Loads in a few seconds.
    Small,
    /// As much as the largest service that was measured.
    Full,
}

/// Rows of the tables whose size matters; the others follow from these.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub agents: usize,
    pub namespaces: usize,
    pub executions: usize,
    pub messages: usize,
    pub logs: usize,
    pub memories: usize,
    pub runs: usize,
    pub stf_files: usize,
    pub slices: usize,
    pub tags: usize,
    pub jobs: usize,
    pub tasks: usize,
    pub queues: usize,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "small",
            Size::Full => "full",
        }
    }

    pub fn counts(self) -> Counts {
        match self {
            Size::Small => Counts {
                agents: 200,
                namespaces: 50,
                executions: 2_000,
                messages: 5_000,
                logs: 10_000,
                memories: 1_000,
                runs: 500,
                stf_files: 2_000,
                slices: 5_000,
                tags: 500,
                jobs: 20_000,
                tasks: 500,
                queues: 300,
            },
            Size::Full => Counts {
                agents: 200,
                namespaces: 50,
                executions: 2_000,
                messages: 50_000,
                logs: 100_000,
                memories: 10_000,
                runs: 500,
                stf_files: 20_000,
                slices: 50_000,
                tags: 500,
                jobs: 200_000,
                tasks: 5_000,
                queues: 300,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Swf,
    Panda,
}

/// One table and how it is filled.
pub struct Table {
    pub database: Database,
    pub name: &'static str,
    /// The columns that are written; the others get their defaults.
    pub columns: &'static str,
    fill: Fill,
}

type Fill = fn(&World, &mut Random, &mut Rows) -> io::Result<()>;

impl Table {
    const fn swf(name: &'static str, columns: &'static str, fill: Fill) -> Table {
        Table {
            database: Database::Swf,
            name,
            columns,
            fill,
        }
    }

    const fn panda(name: &'static str, columns: &'static str, fill: Fill) -> Table {
        Table {
            database: Database::Panda,
            name,
            columns,
            fill,
        }
    }

    /// Writes every row, and says how many.
    pub fn write(&self, world: &World, mut rows: Rows) -> io::Result<u64> {
        let mut random = Random::new(world.seed, self.name);
        (self.fill)(world, &mut random, &mut rows)?;
        rows.finish()
    }
}

/// All tables, each after those that it refers to.
pub const TABLES: &[Table] = &[
    swf::NAMESPACES,
    swf::AGENTS,
    swf::DEFINITIONS,
    swf::EXECUTIONS,
    swf::MESSAGES,
    swf::LOGS,
    swf::MEMORIES,
    runs::RUNS,
    runs::STF_FILES,
    runs::TF_FILES,
    runs::SLICES,
    runs::STATES,
    runs::EVENTS,
    runs::PERSISTENT,
    pcs::CATEGORIES,
    pcs::PHYSICS,
    pcs::EVGEN,
    pcs::SIMULATION,
    pcs::RECONSTRUCTION,
    panda::TASKS,
    panda::ACTIVE_JOBS,
    panda::ARCHIVED_JOBS,
    panda::FILES,
    queues::QUEUES,
    queues::WORKERS,
    queues::WORKER_JOBS,
];

/// What all tables of one load share.
pub fn world(size: Size, seed: u64, now: Micros) -> World {
    World::new(size.counts(), seed, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_790_000_000_000_000;

    fn lines(table: &Table, seed: u64) -> String {
        let mut out = Vec::new();
        let mut sent = |_| {};
        table
            .write(
                &world(Size::Small, seed, NOW),
                Rows::new(&mut out, &mut sent),
            )
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_has_a_value_for_every_column() {
        for table in TABLES {
            let columns = table.columns.split(',').count();
            let text = lines(table, 1);
            assert!(text.lines().count() > 0, "{}", table.name);
            for line in text.lines() {
                assert_eq!(line.split('\t').count(), columns, "{}: {line}", table.name);
            }
        }
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        for table in TABLES {
            let first = lines(table, 1);
            assert!(first == lines(table, 1), "{} is not repeatable", table.name);
            assert!(first != lines(table, 2), "{} ignores the seed", table.name);
        }
    }

    #[test]
    fn small_has_the_promised_number_of_rows() {
        let rows = |name: &str| {
            let table = TABLES.iter().find(|table| table.name == name).unwrap();
            lines(table, 1).lines().count()
        };
        assert_eq!(rows("swf_systemagent"), 200);
        assert_eq!(rows("swf_namespace"), 50);
        assert_eq!(rows("swf_workflow_executions"), 2_000);
        assert_eq!(rows("swf_applog"), 10_000);
        assert_eq!(rows("swf_runs"), 500);
        assert_eq!(rows("swf_stf_files"), 2_000);
        assert_eq!(rows("swf_tf_slices"), 5_000);
        assert_eq!(rows("doma_panda.schedconfig_json"), 300);
        let tags =
            ["physics", "evgen", "simu", "reco"].map(|kind| rows(&format!("pcs_{kind}_tag")));
        assert_eq!(tags.iter().sum::<usize>(), 500);
        assert_eq!(
            rows("doma_panda.jobsactive4") + rows("doma_panda.jobsarchived4"),
            20_000
        );
    }
}
