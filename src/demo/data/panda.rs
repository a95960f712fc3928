//! The tables of the PanDA database: tasks, the jobs of each (those under way in one table, those that ended in
//! another) and the files of jobs.

use std::io;

use super::Table;
use super::world::{PRODUCERS, SITES, World, spread};
use crate::demo::copy::{DAY, HOUR, MINUTE, Micros, Row};
use crate::demo::random::Random;

const TASK_STATUSES: &[(&str, u64)] = &[
    ("done", 55),
    ("finished", 12),
    ("failed", 9),
    ("aborted", 6),
    ("broken", 3),
    ("running", 8),
    ("ready", 3),
    ("scouting", 2),
    ("exhausted", 2),
];

pub const TASKS: Table = Table::panda(
    "doma_panda.jedi_tasks",
    "jeditaskid, taskname, status, username, creationdate, modificationtime, reqid, site, starttime, endtime, \
     prodsourcelabel, workinggroup, vo, corecount, processingtype, taskpriority, currentpriority, transpath, \
     progress, failurerate, errordialog, parent_tid, gshare, attemptnr",
    |world, random, rows| {
        for task in &world.tasks {
            // Those older than 60 days that never ended are what the tools leave out.
            let status = random.weighted(TASK_STATUSES);
            let ended = matches!(
                status,
                "done" | "finished" | "failed" | "aborted" | "broken"
            );
            let modified = world
                .now
                .min(task.created + random.age(world.now - task.created, 2.0));
            let modified = if ended {
                modified
            } else {
                world.now - random.age(3 * DAY, 1.0)
            };
            let name = format!(
                "group.EIC.{}.{}.s{:03}_é100%",
                random.pick(&["DIS", "SIDIS", "EXCLUSIVE"]),
                task.id,
                random.below(200)
            );
            rows.row(|row| {
                row.plain(task.id)
                    .text(&name)
                    .text(status)
                    .text(task.user)
                    .time(task.created)
                    .time(modified)
                    .plain(task.request)
                    .maybe_text(random.percent(40).then(|| random.pick(SITES)))
                    .time(task.created + MINUTE)
                    .maybe_time(ended.then_some(modified))
                    .text(random.pick(&["managed", "user", "test"]))
                    .maybe_text(random.pick(&[None, Some("EIC"), Some("eic-production")]))
                    .text("eic")
                    .maybe_plain((!random.percent(20)).then(|| random.pick(&[1, 1, 1, 4, 8])))
                    .text(random.pick(&["epicproduction", "panda-client-1.5", "stfprocessing"]))
                    .plain(random.between(100, 990))
                    .plain(random.between(100, 990))
                    .text("https://example.org/trf/run")
                    .maybe_plain(ended.then(|| random.between(0, 100)))
                    .maybe_plain(random.percent(50).then(|| random.between(0, 100)))
                    .maybe_text((status == "broken").then_some("no input <b>100%</b> \"missing\""))
                    .maybe_plain(random.percent(10).then_some(task.id - 1))
                    .text("EIC Express")
                    .plain(random.between(0, 3));
            })?;
        }
        Ok(())
    },
);

/// The columns of a job that are the same in both tables.
const JOB_COLUMNS: &str = "pandaid, jobdefinitionid, pilotid, creationtime, modificationtime, transformation, \
                           prodsourcelabel, attemptnr, maxattempt, jobstatus, jobname, starttime, endtime, \
                           cpuconsumptiontime, cpuconsumptionunit, commandtopilot, transexitcode, piloterrorcode, \
                           piloterrordiag, exeerrorcode, exeerrordiag, ddmerrorcode, ddmerrordiag, \
                           taskbuffererrorcode, taskbuffererrordiag, computingsite, computingelement, \
                           destinationdblock, nevents, vo, workinggroup, processingtype, produsername, batchid, \
                           specialhandling, corecount, inputfilebytes, noutputdatafiles, outputfilebytes, \
                           jeditaskid, actualcorecount, reqid, maxrss, statechangetime, currentpriority, \
                           superrorcode, superrordiag, brokerageerrorcode, brokerageerrordiag, \
                           jobdispatchererrorcode, jobdispatchererrordiag, maxpss, jobmetrics";

pub const ACTIVE_JOBS: Table =
    Table::panda("doma_panda.jobsactive4", JOB_COLUMNS, |world, _, rows| {
        jobs(world, |job, random| match job.under_way {
            true => rows.row(|row| job.write(row, random)),
            false => Ok(()),
        })
    });

pub const ARCHIVED_JOBS: Table =
    Table::panda("doma_panda.jobsarchived4", JOB_COLUMNS, |world, _, rows| {
        jobs(world, |job, random| match job.under_way {
            true => Ok(()),
            false => rows.row(|row| job.write(row, random)),
        })
    });

pub const FILES: Table = Table::panda(
    "doma_panda.filestable4",
    "row_id, pandaid, modificationtime, guid, lfn, type, dataset, status, destinationdblock, destinationse, fsize, \
     checksum, scope, jeditaskid, attemptnr",
    |world, random, rows| {
        let mut id = 1_000;
        jobs(world, |job, _| {
            if job.under_way {
                return Ok(());
            }
            for kind in ["log", "output"] {
                // Some jobs have no file, some no place for it, some two different places.
                if random.percent(30) {
                    continue;
                }
                let place = (!random.percent(25))
                    .then(|| random.pick(&["NORTHLAB_DISK", "LAKESIDE_TAPE", "ALPINE_DISK"]));
                id += 1;
                rows.row(|row| {
                    row.plain(id)
                        .plain(job.id)
                        .time(job.modified)
                        .plain(format_args!("{:016x}", random.next()))
                        .text(&format!("epic.{}.{kind}.tgz", job.id))
                        .text(kind)
                        .text(&format!("group.EIC.{}", job.task))
                        .text("ready")
                        .text(&format!("group.EIC.{}_sub", job.task))
                        .maybe_text(place)
                        .plain(random.below(1 << 34))
                        .maybe_text(random.percent(80).then_some("ad:1a2b3c4d"))
                        .text("group.EIC")
                        .plain(job.task)
                        .plain(1);
                })?;
            }
            Ok(())
        })
    },
);

pub struct Job {
    pub id: i64,
    task: i64,
    request: i64,
    user: Option<&'static str>,
    pub site: Option<&'static str>,
    pub status: &'static str,
    under_way: bool,
    pub created: Micros,
    pub started: Option<Micros>,
    ended: Option<Micros>,
    pub modified: Micros,
}

const UNDER_WAY: &[(&str, u64)] = &[
    ("defined", 5),
    ("assigned", 5),
    ("activated", 25),
    ("sent", 3),
    ("starting", 8),
    ("running", 40),
    ("holding", 6),
    ("transferring", 5),
    ("merging", 1),
];

const ENDED: &[(&str, u64)] = &[
    ("finished", 74),
    ("failed", 17),
    ("cancelled", 5),
    ("closed", 4),
];

/// Goes through all jobs, oldest first, always the same ones. `each` also gets a stream of random numbers that is the
/// job's own, so that the three tables that look at a job agree on it.
pub fn jobs(
    world: &World,
    mut each: impl FnMut(&Job, &mut Random) -> io::Result<()>,
) -> io::Result<()> {
    let mut random = Random::new(world.seed, "jobs");
    let count = world.counts.jobs;
    for index in 0..count {
        let age = spread(index, count, 75 * DAY, 2.5);
        let created = world.now - age - random.below(10 * MINUTE as u64) as i64;
        // A task's jobs are made about when the task is.
        let newest = world.tasks.partition_point(|task| task.created <= created);
        let task = &world.tasks[newest.saturating_sub(1 + random.below(6) as usize)];
        let under_way = age < 3 * DAY && random.percent(22);
        let status = random.weighted(if under_way { UNDER_WAY } else { ENDED });
        let waits = matches!(status, "defined" | "assigned" | "activated" | "sent");
        let never_ran = waits || matches!(status, "cancelled" | "closed") && random.percent(60);
        let started = (!never_ran).then(|| created + random.age(2 * HOUR, 2.0));
        let ended = match started {
            Some(started) if !under_way => Some(started + random.age(12 * HOUR, 2.0)),
            _ => None,
        };
        let last = ended.or(started).unwrap_or(created);
        let job = Job {
            id: 4_000_000 + index as i64,
            task: task.id,
            request: task.request,
            user: match random.below(60) {
                0 => None,
                1 => Some(random.pick(PRODUCERS)),
                _ => Some(task.user),
            },
            site: (!random.percent(3)).then(|| random.skewed(SITES)),
            status,
            under_way,
            created,
            started: started.map(|at| at.min(world.now)),
            ended: ended.map(|at| at.min(world.now)),
            modified: (last + random.age(20 * MINUTE, 1.0)).min(world.now),
        };
        let mut own = random.clone();
        random.next();
        each(&job, &mut own)?;
    }
    Ok(())
}

/// Longer than what the summary of errors groups by.
const LONG_DIAGNOSIS: &str = "work directory (/scratch/é) is too large: it holds the input, the output, the logs of four attempts, \
     a core file, the container's image, what the payload unpacked there, a checkout of the reconstruction with its \
     history, the conditions of three months, and the results of the job before, which nobody cleaned up when it ended";

/// Pilot errors as they come, with their codes.
const PILOT_ERRORS: &[(i32, &str)] = &[
    (1099, "Failed to stage-in file: rucio timed out after 100%"),
    (1150, "looping job killed by pilot"),
    (1201, "caught signal: SIGTERM"),
    (1235, "job has exceeded the memory limit"),
    (1104, LONG_DIAGNOSIS),
    (
        1305,
        "payload execution failed: /srv/run.sh: Befehl \"epic\" nicht gefunden",
    ),
];

impl Job {
    fn write(&self, row: &mut Row, random: &mut Random) {
        let faulty = matches!(self.status, "failed" | "cancelled" | "closed");
        let failed = self.status == "failed";
        let pilot = (failed && random.percent(70)).then(|| random.pick(PILOT_ERRORS));
        let ddm = (failed && random.percent(12)).then_some((200, "no replica at the destination"));
        let buffer = (faulty && pilot.is_none() && random.percent(80))
            .then_some((300, "The worker was finished while the job was starting"));
        let cores = random.pick(&[1_i64, 1, 1, 4, 8]);
        let ran = self.ended.is_some();
        row.plain(self.id)
            .plain(self.id / 50)
            .maybe_text(ran.then_some(&*format!(
                "https://logs.example.org/{}.out|PR|3.9|3.9.2.41",
                self.id
            )))
            .time(self.created)
            .time(self.modified)
            .text("https://example.org/trf/runGen-00-00-02")
            .text("managed")
            .plain(random.between(1, 4))
            .plain(3)
            .text(self.status)
            .text(&format!("epic.{}.{}", self.task, self.id))
            .maybe_time(self.started)
            .maybe_time(self.ended)
            .plain(if ran { random.between(10, 90_000) } else { 0 })
            .maybe_text(ran.then_some("s"))
            .maybe_text((self.status == "closed").then_some("tobekilled"))
            .maybe_text(random.pick(if failed {
                &[Some("1"), Some("137"), Some("0"), None]
            } else {
                &[Some("0"), None, Some(""), None]
            }))
            .plain(pilot.map_or(0, |(code, _)| code))
            .maybe_text(pilot.map(|(_, diagnosis)| diagnosis))
            .plain(if failed && random.percent(5) { 137 } else { 0 })
            .null()
            .plain(ddm.map_or(0, |(code, _)| code))
            .maybe_text(ddm.map(|(_, diagnosis)| diagnosis))
            .plain(buffer.map_or(0, |(code, _)| code))
            .maybe_text(buffer.map(|(_, diagnosis)| diagnosis))
            .maybe_text(self.site)
            .maybe_text(self.started.map(|_| "ce01.example.org"))
            .text(&format!("group.EIC.{}_sub", self.task))
            .plain(if self.status == "finished" {
                random.between(0, 5_000)
            } else {
                0
            })
            .text("eic")
            .maybe_text(random.pick(&[None, Some("EIC")]))
            .text(random.pick(&["epicproduction", "panda-client-1.5", "stfprocessing"]))
            .maybe_text(self.user)
            .maybe_text(self.started.map(|at| at.to_string()).as_deref())
            .null()
            .maybe_plain((!random.percent(10)).then_some(cores))
            .maybe_plain(random.percent(60).then(|| random.below(1 << 36)))
            .maybe_plain((!self.under_way).then(|| random.below(5)))
            .maybe_plain(ran.then(|| random.below(1 << 36)))
            .plain(self.task)
            .maybe_plain((ran && random.percent(70)).then_some(cores))
            .maybe_plain((!random.percent(3)).then_some(self.request))
            .maybe_plain(ran.then(|| random.below(8_000_000)))
            .time(self.modified)
            .plain(random.between(0, 1_000));
        self.write_rarer(row, random);
    }

    /// The errors of the components that seldom fail, and what the pilot measured.
    fn write_rarer(&self, row: &mut Row, random: &mut Random) {
        let faulty = matches!(self.status, "failed" | "cancelled" | "closed");
        let mut error = |percent, diagnosis| {
            (faulty && random.percent(percent))
                .then(|| (random.pick(&[100, 101, 2_000]), diagnosis))
        };
        let rare = [
            error(4, Some("Lost heartbeat — 100 %")),
            error(2, None),
            error(3, Some("dispatcher's \"timeout\"")),
        ];
        for (code, diagnosis) in rare.map(Option::unwrap_or_default) {
            row.plain(code).maybe_text(diagnosis);
        }
        let ran = self.ended.is_some();
        row.maybe_plain(ran.then(|| random.below(8_000_000)))
            .maybe_text((ran && random.percent(50)).then_some("nEvents=100 dbTime=0.0"));
    }
}
