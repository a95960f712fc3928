//! What the database tests share: a private cluster, and the smallest loop that drives a [`Pool`].

use std::io;
use std::os::unix::fs::chown;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use postgres::{Client, NoTls};
use tine::cluster::{Auth, Cluster, Options as ClusterOptions, SUPERUSER};
use tine_worker::db::{
    Access, DbError, Event, Job, JobId, Options, Pool, Rows, ServerError, Settings, Statement,
    Status,
};
use tine_worker::files::Files;

/// No single step of a test takes longer, or the test fails.
const LIMIT: Duration = Duration::from_secs(20);
const WAKER: Token = Token(0);
const FIRST: usize = 1;

/// The cluster that most tests share. Their data is in the table `ticket`; each test that writes has its own table.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = cluster(&[]);
        let mut admin = admin(&cluster);
        admin
            .batch_execute(
                "CREATE TABLE ticket(id int PRIMARY KEY, title text NOT NULL);
                 INSERT INTO ticket SELECT n, 'ticket ' || n FROM generate_series(1, 1000) n;",
            )
            .unwrap();
        cluster
    })
}

/// A cluster of its own, for tests that disturb it.
pub fn cluster(settings: &[(&str, &str)]) -> Cluster {
    let settings = settings
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let options = ClusterOptions {
        tcp: true,
        auth: Auth::Trust,
        settings,
        ..ClusterOptions::temporary()
    };
    Cluster::start(options, &mut |_| {}).unwrap()
}

pub fn admin(cluster: &Cluster) -> Client {
    Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap()
}

/// Puts lines before the cluster's own access rules.
pub fn allow(cluster: &Cluster, lines: &str) {
    let file = cluster.data_folder().join("pg_hba.conf");
    let rules = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{lines}\n{rules}")).unwrap();
    cluster.reload().unwrap();
}

/// Writes a file that the server's account owns and nobody else may read.
pub fn write_for_server(cluster: &Cluster, path: &Path, text: &str) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(cluster.data_folder()).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// Polls until the condition holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A reading job over `sql` with sensible bounds. The statement's name is a digest of its text, as the contract asks.
pub fn job(sql: &str) -> Job {
    Job {
        statement: statement(sql, &[]),
        parameters: Vec::new(),
        access: Access::ReadOnly,
        timeout: Duration::from_secs(8),
        custom_plan: false,
        max_rows: 1000,
        max_bytes: 1 << 20,
        expect_rows: None,
        notices: false,
        deadline: Instant::now() + Duration::from_secs(10),
    }
}

pub fn writing(sql: &str) -> Job {
    Job {
        access: Access::ReadWrite,
        ..job(sql)
    }
}

pub fn statement(sql: &str, types: &[u32]) -> Arc<Statement> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (sql, types).hash(&mut hasher);
    Arc::new(Statement {
        name: format!("tine_{:016x}", hasher.finish()),
        sql: sql.to_string(),
        types: types.to_vec(),
    })
}

/// A loop with connections to the shared cluster.
pub fn pool() -> Loop {
    pool_of(Options::default())
}

/// One connection, so that what one call leaves behind meets the next.
pub fn single() -> Loop {
    pool_of(Options {
        connections: 1,
        ..Options::default()
    })
}

pub fn pool_of(options: Options) -> Loop {
    Loop::new(&shared().url("postgres", SUPERUSER), options)
}

/// A worker's loop reduced to one pool.
pub struct Loop {
    poll: Poll,
    events: Events,
    pub pool: Pool,
    out: Vec<Event>,
    /// Everything that the pool has told and no test has taken yet.
    pub told: Vec<Event>,
}

impl Loop {
    pub fn new(url: &str, options: Options) -> Loop {
        Loop::with(Settings::parse("main", url, &options, &Files::disk()).unwrap())
    }

    pub fn with(settings: Settings) -> Loop {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let pool = Pool::new(settings, FIRST, waker);
        Loop {
            poll,
            events: Events::with_capacity(64),
            pool,
            out: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn submit(&mut self, job: Job) -> JobId {
        let id = self
            .pool
            .submit(self.poll.registry(), Instant::now(), job, &mut self.out);
        self.told.append(&mut self.out);
        id
    }

    pub fn cancel(&mut self, id: JobId) {
        self.pool
            .cancel(self.poll.registry(), Instant::now(), id, &mut self.out);
        self.told.append(&mut self.out);
    }

    /// One turn of the loop, of at most 50 ms.
    pub fn turn(&mut self) {
        let longest = Duration::from_millis(50);
        let due = self
            .pool
            .next_deadline()
            .map(|due| due.saturating_duration_since(Instant::now()));
        match self.poll.poll(
            &mut self.events,
            Some(due.map_or(longest, |due| due.min(longest))),
        ) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => return,
            result => result.unwrap(),
        }
        let now = Instant::now();
        for event in &self.events {
            match event.token() {
                WAKER => self.pool.woken(self.poll.registry(), now, &mut self.out),
                Token(token) => {
                    self.pool
                        .ready(self.poll.registry(), now, token, event, &mut self.out)
                }
            }
        }
        self.pool.tick(self.poll.registry(), now, &mut self.out);
        self.told.append(&mut self.out);
    }

    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Loop) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not within {LIMIT:?}; told {:?}",
                self.told
            );
            self.turn();
        }
    }

    /// Takes the result of a job out of what was told.
    pub fn take(&mut self, wanted: JobId) -> Option<Result<Rows, DbError>> {
        let at = self
            .told
            .iter()
            .position(|event| matches!(event, Event::Done(id, _) if *id == wanted))?;
        match self.told.remove(at) {
            Event::Done(_, result) => Some(result),
            _ => None,
        }
    }

    pub fn wait(&mut self, id: JobId) -> Result<Rows, DbError> {
        let mut result = None;
        self.until("the job ends", |it| {
            result = it.take(id);
            result.is_some()
        });
        result.unwrap()
    }

    pub fn run(&mut self, job: Job) -> Result<Rows, DbError> {
        let id = self.submit(job);
        self.wait(id)
    }

    /// The text that a reading statement yields.
    pub fn text(&mut self, sql: &str) -> String {
        String::from_utf8(self.run(job(sql)).unwrap().json).unwrap()
    }

    /// The server's error of a job that must fail.
    pub fn error(&mut self, job: Job) -> ServerError {
        match self.run(job) {
            Err(DbError::Server(error)) => *error,
            other => panic!("no error of the server: {other:?}"),
        }
    }

    pub fn probe(&mut self) -> Result<(), DbError> {
        self.pool
            .probe(self.poll.registry(), Instant::now(), &mut self.out);
        self.told.append(&mut self.out);
        let mut answer = None;
        self.until("the probe is answered", |it| {
            let at = it
                .told
                .iter()
                .position(|event| matches!(event, Event::Probed(_)));
            if let Some(Event::Probed(result)) = at.map(|at| it.told.remove(at)) {
                answer = Some(result);
            }
            answer.is_some()
        });
        answer.unwrap()
    }

    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Waits until no call is in flight.
    pub fn settle(&mut self) {
        self.until("all connections are idle", |it| it.status().busy == 0);
    }
}
