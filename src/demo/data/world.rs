//! Names and facts that several tables agree on: who there is, what they run, and when. Knows nothing of
//! columns.

use super::Counts;
use crate::demo::copy::{DAY, HOUR, MINUTE, Micros, SECOND};
use crate::demo::random::Random;

pub const USERS: &[&str] = &[
    "amara", "bjørn", "chloé", "dmitri", "elif", "farid", "grace", "haruka", "ines", "o'neill",
    "李雷",
];

/// Names as a grid certificate gives them.
pub const PRODUCERS: &[&str] = &[
    "Amara Okafor",
    "Bjørn Dahl",
    "Chloé Martin",
    "Dmitri Volkov",
    "Elif Şahin",
    "Farid Haddad",
    "Grace O'Neill",
    "production_100%",
    "Haruka 田中",
    "Inés Peña",
];

pub const SITES: &[&str] = &[
    "NORTHLAB_PanDA_1",
    "NORTHLAB_OSG_1",
    "LAKESIDE_HPC",
    "LAKESIDE_GPU",
    "ALPINE_GRID",
    "COAST-CLOUD_100%",
    "TEST_SITE",
];

pub const AGENT_TYPES: &[&str] = &[
    "DAQ_Simulator",
    "data_agent",
    "processing_agent",
    "fastmon_agent",
    "workflow_runner",
    "stf_processing",
];

pub struct Namespace {
    pub name: String,
    pub owner: &'static str,
}

pub struct Agent {
    pub name: String,
    pub kind: &'static str,
    /// Index into [`World::namespaces`]; a few agents belong nowhere.
    pub namespace: Option<usize>,
}

pub struct Definition {
    pub name: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
}

pub struct Execution {
    pub id: String,
    /// Index into [`DEFINITIONS`].
    pub definition: usize,
    pub namespace: Option<usize>,
    pub user: &'static str,
    pub start: Micros,
    pub end: Option<Micros>,
    pub status: &'static str,
    /// Index into [`World::runs`].
    pub run: usize,
}

pub struct Run {
    pub number: i64,
    pub start: Micros,
    pub end: Option<Micros>,
}

/// A super time frame: one file of raw data.
pub struct StfFile {
    pub id: String,
    pub name: String,
    /// Index into [`World::runs`].
    pub run: usize,
    pub created: Micros,
}

pub struct Task {
    pub id: i64,
    pub request: i64,
    pub user: &'static str,
    pub created: Micros,
}

pub const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "stf_datataking",
        version: "1.9",
        kind: "datataking",
    },
    Definition {
        name: "stf_datataking",
        version: "1.10",
        kind: "datataking",
    },
    Definition {
        name: "fast_processing",
        version: "1.0",
        kind: "processing",
    },
    Definition {
        name: "fast_processing",
        version: "2.0",
        kind: "processing",
    },
    Definition {
        name: "prompt_reconstruction",
        version: "0.3",
        kind: "reconstruction",
    },
    Definition {
        name: "calibration \"quick\"",
        version: "1.0",
        kind: "calibration",
    },
    Definition {
        name: "überwachung",
        version: "1.0",
        kind: "monitoring",
    },
    Definition {
        name: "never_run",
        version: "0.1",
        kind: "test",
    },
];

pub struct World {
    pub seed: u64,
    /// The moment that all times count back from.
    pub now: Micros,
    pub counts: Counts,
    pub namespaces: Vec<Namespace>,
    pub agents: Vec<Agent>,
    /// Oldest first.
    pub executions: Vec<Execution>,
    /// Oldest first.
    pub runs: Vec<Run>,
    /// Oldest run first.
    pub stf_files: Vec<StfFile>,
    /// Oldest first.
    pub tasks: Vec<Task>,
}

impl World {
    pub fn new(counts: Counts, seed: u64, now: Micros) -> World {
        let mut random = Random::new(seed, "world");
        let namespaces = namespaces(&mut random, counts.namespaces);
        let agents = agents(&mut random, &counts, &namespaces);
        let executions = executions(&mut random, &counts, now);
        let tasks = tasks(&mut random, counts.tasks, now);
        let mut random = Random::new(seed, "runs");
        let runs = runs(&mut random, counts.runs, now);
        let stf_files = stf_files(&mut random, &runs, counts.stf_files, now);
        World {
            seed,
            now,
            counts,
            namespaces,
            agents,
            executions,
            runs,
            stf_files,
            tasks,
        }
    }

    pub fn namespace(&self, index: Option<usize>) -> Option<&str> {
        index
            .and_then(|index| self.namespaces.get(index))
            .map(|namespace| namespace.name.as_str())
    }
}

fn namespaces(random: &mut Random, count: usize) -> Vec<Namespace> {
    // The odd ones first: quotes, percent signs and other scripts must survive the way through a tool.
    const ODD: &[&str] = &[
        "torre1",
        "fastmon-100%",
        "o'neill's-tests",
        "prüfstand",
        "東京-daq",
        "with space",
        "back\\slash_1",
        "\"quoted\"",
    ];
    (0..count)
        .map(|index| {
            let owner = random.skewed(USERS);
            let name = match ODD.get(index) {
                Some(name) => (*name).to_owned(),
                None => format!("{owner}-{:02}", index - ODD.len() + 1),
            };
            Namespace { name, owner }
        })
        .collect()
}

fn agents(random: &mut Random, counts: &Counts, namespaces: &[Namespace]) -> Vec<Agent> {
    (0..counts.agents)
        .map(|index| match USERS.get(index) {
            Some(user) => Agent {
                name: format!("agent-manager-{user}"),
                kind: "agent_manager",
                namespace: namespaces
                    .iter()
                    .position(|namespace| namespace.owner == *user),
            },
            None => {
                let kind = random.pick(AGENT_TYPES);
                let user = random.skewed(USERS);
                Agent {
                    name: format!("{}-agent-{user}-{index}", kind.to_lowercase()),
                    kind,
                    namespace: (!random.percent(6))
                        .then(|| random.below(namespaces.len() as u64) as usize),
                }
            }
        })
        .collect()
}

fn executions(random: &mut Random, counts: &Counts, now: Micros) -> Vec<Execution> {
    let mut starts: Vec<Micros> = (0..counts.executions)
        .map(|_| now - random.age(10 * MINUTE, 1.0) - random.age(45 * DAY, 2.5))
        .collect();
    starts.sort_unstable();
    // Whole seconds and shared starts happen: a script that starts three at once.
    for index in 1..starts.len() {
        if random.percent(5) {
            starts[index] = starts[index - 1];
        } else if random.percent(10) {
            starts[index] -= starts[index] % SECOND;
        }
    }
    starts
        .into_iter()
        .enumerate()
        .map(|(index, start)| {
            let definition = random.below(DEFINITIONS.len() as u64 - 1) as usize;
            let user = random.skewed(USERS);
            let recent = now - start < 6 * HOUR;
            let status = random.weighted(&[
                ("completed", 70),
                ("failed", 12),
                ("terminated", 6),
                ("running", if recent { 25 } else { 1 }),
                ("Running", if recent { 2 } else { 0 }),
                ("pending", if recent { 5 } else { 0 }),
            ]);
            let open = matches!(status, "running" | "Running" | "pending");
            let end = start + random.between(20 * SECOND, 90 * MINUTE);
            Execution {
                id: format!("{}-{user}-{:04}", DEFINITIONS[definition].kind, index + 1),
                definition,
                namespace: (!random.percent(4))
                    .then(|| random.below(counts.namespaces as u64) as usize),
                user,
                start,
                end: (!open).then_some(end.min(now)),
                status,
                run: index * counts.runs / counts.executions.max(1),
            }
        })
        .collect()
}

fn runs(random: &mut Random, count: usize, now: Micros) -> Vec<Run> {
    (0..count)
        .map(|index| {
            let mut start =
                now - spread(index, count, 60 * DAY, 2.0) - random.age(10 * MINUTE, 1.0);
            if random.percent(20) {
                start -= start % SECOND;
            }
            let end = start + random.between(30 * SECOND, 4 * HOUR);
            // What still takes data has no end, nor has what broke down.
            let open = end > now || random.percent(3);
            Run {
                number: 1_001 + index as i64,
                start,
                end: (!open).then_some(end),
            }
        })
        .collect()
}

fn stf_files(random: &mut Random, runs: &[Run], count: usize, now: Micros) -> Vec<StfFile> {
    let mut last = now;
    (0..count)
        .map(|index| {
            let place = index * runs.len() / count;
            let run = &runs[place];
            let end = run.end.unwrap_or(now);
            // Several detectors write a file in the same microsecond.
            let created = match random.percent(8) {
                true => last.clamp(run.start, end),
                false => run.start + random.age(end - run.start, 1.0),
            };
            last = created;
            StfFile {
                id: random.uuid(),
                name: format!("swf.run{}.{:06}.stf", run.number, index + 1),
                run: place,
                created,
            }
        })
        .collect()
}

fn tasks(random: &mut Random, count: usize, now: Micros) -> Vec<Task> {
    (0..count)
        .map(|index| Task {
            id: 30_000 + index as i64,
            request: 700 + random.below(40) as i64,
            user: random.skewed(PRODUCERS),
            created: now - spread(index, count, 90 * DAY, 2.0) - random.below(HOUR as u64) as i64,
        })
        .collect()
}

/// The age of item `index` of `count`, the first of which is `oldest` old: numbers that grow with time, as
/// identifiers do, and more of them the nearer the present.
pub fn spread(index: usize, count: usize, oldest: Micros, power: f64) -> Micros {
    let left = (count - index) as f64 / count.max(1) as f64;
    (left.powf(power) * oldest as f64) as Micros
}
