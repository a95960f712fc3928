//! The tables of the PanDA database that say where jobs run: queues with their configuration, and the pilots that
//! Harvester started there.

use std::io;

use super::Table;
use super::panda::{Job, jobs};
use super::world::{SITES, World};
use crate::demo::copy::DAY;
use crate::demo::random::Random;

pub const QUEUES: Table = Table::panda(
    "doma_panda.schedconfig_json",
    "panda_queue, data, last_update",
    |world, random, rows| {
        for index in 0..world.counts.queues {
            let name = match SITES.get(index) {
                Some(site) => (*site).to_owned(),
                None => format!("{}_Q{index:03}", random.pick(SITES)),
            };
            let data = configuration(random, &name);
            rows.row(|row| {
                row.text(&name)
                    .maybe_text((!random.percent(1)).then_some(data.as_str()))
                    .maybe_time(
                        (!random.percent(3)).then(|| world.now - random.age(90 * DAY, 2.0)),
                    );
            })?;
        }
        Ok(())
    },
);

/// A queue's configuration as its JSON is stored: keys in an order of its own, nulls, numbers of both kinds.
fn configuration(random: &mut Random, name: &str) -> String {
    let vo = random.pick(&["eic", "eic", "eic", "atlas", "wlcg"]);
    let status = random.pick(&["online", "online", "online", "offline", "test", "brokeroff"]);
    let state = random.pick(&["ACTIVE", "ACTIVE", "ACTIVE", "DISABLED"]);
    let cores = random.pick(&["1", "8", "null"]);
    let power = random.pick(&["10.0", "12.75", "null"]);
    let country = random.pick(&["\"US\"", "\"Österreich\"", "\"日本\"", "null"]);
    let rss = random.between(1, 64) * 1_000;
    let nickname = name.to_lowercase();
    format!(
        "{{\"nickname\": \"{nickname}\", \"status\": \"{status}\", \"state\": \"{state}\", \"vo_name\": \"{vo}\", \
         \"resource_type\": \"GRID\", \"corecount\": {cores}, \"corepower\": {power}, \"country\": {country}, \
         \"type\": \"unified\", \"capability\": \"ucore\", \"maxrss\": {rss}, \"maxtime\": 86400, \"tier\": null, \
         \"container_type\": \"singularity:pilot\", \"last_update\": \"of the site\", \
         \"params\": {{\"note\": \"100% \\\"frei\\\"\", \"limits\": [1, null]}}, \"pilot_version\": \"3.9.2.41\"}}"
    )
}

pub const WORKERS: Table = Table::panda(
    "doma_panda.harvester_workers",
    "harvesterid, workerid, lastupdate, status, batchid, computingsite, submittime, errorcode, stdout, stderr, \
     batchlog, diagmessage, njobs",
    |world, random, rows| {
        piloted(world, |job| {
            let failed = job.status == "failed";
            rows.row(|row| {
                row.text(HARVESTER)
                    .plain(worker(job))
                    .time(job.modified)
                    .text(if failed { "failed" } else { "finished" })
                    .maybe_plain((!random.percent(10)).then_some(job.id * 3))
                    .maybe_text(job.site)
                    .time(job.created)
                    .maybe_plain(failed.then_some(9_999))
                    .maybe_text(match random.below(3) {
                        0 => None,
                        1 => Some(""),
                        _ => Some("https://harvester.example.org/out"),
                    })
                    .maybe_text(
                        random
                            .percent(50)
                            .then_some("https://harvester.example.org/err"),
                    )
                    .maybe_text(
                        random
                            .percent(50)
                            .then_some("https://harvester.example.org/log"),
                    )
                    .maybe_text(failed.then_some("Pilot beendet: \"100%\" of the wall time"))
                    .plain(1);
            })
        })
    },
);

pub const WORKER_JOBS: Table = Table::panda(
    "doma_panda.harvester_rel_jobs_workers",
    "harvesterid, workerid, pandaid, lastupdate",
    |world, _, rows| {
        piloted(world, |job| {
            rows.row(|row| {
                row.text(HARVESTER)
                    .plain(worker(job))
                    .plain(job.id)
                    .time(job.modified);
            })
        })
    },
);

const HARVESTER: &str = "harvester-eic-1";

fn worker(job: &Job) -> i64 {
    job.id - 3_000_000
}

/// The jobs whose pilot Harvester started.
fn piloted(world: &World, mut each: impl FnMut(&Job) -> io::Result<()>) -> io::Result<()> {
    jobs(world, |job, random| {
        let piloted = job.started.is_some() && random.percent(40);
        if piloted { each(job) } else { Ok(()) }
    })
}
