//! PostgreSQL for tests: one cluster for the whole test binary, one database for each test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls};
use tine::cluster::{Cluster, Options, SUPERUSER};

use super::wait;

/// The role that servers under test log in with.
pub const ROLE: &str = "bot";

/// Tests with a cluster of their own get the same settings.
pub fn options() -> Options {
    Options {
        settings: vec![("max_connections".into(), "300".into())],
        ..Options::temporary()
    }
}

/// A cluster that only one test uses, because it halts, freezes or restarts it.
pub fn own_cluster() -> Cluster {
    cluster_with(options())
}

/// The same with options of its own.
pub fn cluster_with(options: Options) -> Cluster {
    let cluster = Cluster::start(options, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    connect(&cluster.url("postgres", SUPERUSER))
        .batch_execute(&format!("CREATE ROLE {ROLE} LOGIN"))
        .expect("role");
    cluster
}

/// The cluster of all other tests. It ends with the test binary.
fn shared_cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(own_cluster)
}

/// A database of one test.
pub struct Database {
    pub name: String,
    /// With [`ROLE`], which owns it.
    pub url: String,
    admin_url: String,
}

impl Database {
    /// An empty database in the shared cluster.
    pub fn fresh() -> Database {
        Database::fresh_in(shared_cluster())
    }

    /// A fresh database with this script run in it by its owner.
    pub fn with(script: &str) -> Database {
        let database = Database::fresh();
        database
            .owner()
            .batch_execute(script)
            .expect("the test's own script");
        database
    }

    pub fn fresh_in(cluster: &Cluster) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        connect(&cluster.url("postgres", SUPERUSER))
            .batch_execute(&format!("CREATE DATABASE {name} OWNER {ROLE}"))
            .expect("database");
        Database {
            url: cluster.url(&name, ROLE),
            admin_url: cluster.url(&name, SUPERUSER),
            name,
        }
    }

    /// A session as the role that servers use.
    pub fn owner(&self) -> Client {
        connect(&self.url)
    }

    /// A session as superuser.
    pub fn admin(&self) -> Client {
        connect(&self.admin_url)
    }

    /// Closes a gate: calls of the tool `gate` wait until it is opened.
    pub fn close_gate(&self) -> Gate {
        let mut holder = self.admin();
        holder
            .execute("SELECT pg_advisory_lock(1)", &[])
            .expect("lock");
        Gate {
            holder,
            watcher: self.admin(),
        }
    }
}

/// Holds calls of the tool `gate` inside PostgreSQL, so that a test decides when they end.
pub struct Gate {
    holder: Client,
    watcher: Client,
}

impl Gate {
    /// Calls that wait at the gate now.
    pub fn waiting(&mut self) -> usize {
        let row = self
            .watcher
            .query_one(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'",
                &[],
            )
            .expect("activity");
        usize::try_from(row.get::<_, i64>(0)).expect("a count")
    }

    /// Waits until exactly so many calls wait at the gate.
    pub fn until_waiting(&mut self, calls: usize) {
        wait::until(&format!("{calls} calls at the gate"), || {
            self.waiting() == calls
        });
    }

    /// Lets all calls go on, those that wait and those to come.
    pub fn open(mut self) {
        self.holder
            .execute("SELECT pg_advisory_unlock(1)", &[])
            .expect("unlock");
    }
}

pub fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap_or_else(|fault| panic!("{url}: {fault}"))
}
