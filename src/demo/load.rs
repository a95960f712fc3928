//! Fills a cluster with the demo's two databases: tables, rows by COPY, indexes, a login that may do only what the
//! tools do. Knows nothing of where the cluster comes from or of who serves it.

use std::fmt;
use std::io;
use std::io::Write;

use postgres::{Client, Config, NoTls};

use super::copy::{Micros, Rows};
use super::data::{self, Database, Size, TABLES, World};
use super::progress::Progress;

/// The login that the served tools use.
pub const LOGIN: &str = "bot";

/// Both databases' names, as tool files and the configuration call them.
pub const SWF: &str = "swf";
pub const PANDA: &str = "panda";

/// What went wrong while filling.
#[derive(Debug)]
pub enum LoadError {
    /// PostgreSQL refused a step.
    Database {
        doing: String,
        source: postgres::Error,
    },
    /// Rows could not be sent.
    Rows {
        table: &'static str,
        source: io::Error,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Database { doing, source } => match source.as_db_error() {
                Some(error) => write!(f, "could not {doing}: {}", error.message()),
                None => write!(f, "could not {doing}: {source}"),
            },
            LoadError::Rows { table, source } => {
                write!(f, "could not send the rows of {table}: {source}")
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Database { source, .. } => Some(source),
            LoadError::Rows { source, .. } => Some(source),
        }
    }
}

/// What to load, and where.
pub struct Load<'a> {
    /// Superuser access to the cluster; the database's name is filled in.
    pub server: &'a Config,
    pub size: Size,
    pub seed: u64,
    /// The moment that all times count back from.
    pub now: Micros,
    /// Load even if the cluster has this data already.
    pub fresh: bool,
}

/// Whether data was loaded or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    Now,
    /// The data was there; its age in whole days.
    Before {
        days: i64,
    },
}

/// Makes and fills both databases, unless a finished earlier load of the same size and seed is found.
pub fn load(load: &Load, progress: &mut dyn FnMut(Progress)) -> Result<Loaded, LoadError> {
    let mut server = connect(load.server, "postgres")?;
    if !load.fresh
        && let Some(at) = finished(&mut server, load)?
    {
        let days = (load.now - at) / super::copy::DAY;
        return Ok(Loaded::Before { days });
    }
    progress(Progress::Step("making the databases swf and panda"));
    prepare(&mut server)?;
    let world = data::world(load.size, load.seed, load.now);
    for database in [Database::Swf, Database::Panda] {
        let mut client = connect(load.server, database.name())?;
        fill(&mut client, database, &world, progress)?;
    }
    mark(&mut server, load)?;
    Ok(Loaded::Now)
}

impl Database {
    pub fn name(self) -> &'static str {
        match self {
            Database::Swf => SWF,
            Database::Panda => PANDA,
        }
    }

    fn tables(self) -> &'static str {
        match self {
            Database::Swf => include_str!("schema/swf_tables.sql"),
            Database::Panda => include_str!("schema/panda_tables.sql"),
        }
    }

    fn indexes(self) -> &'static str {
        match self {
            Database::Swf => include_str!("schema/swf_indexes.sql"),
            Database::Panda => include_str!("schema/panda_indexes.sql"),
        }
    }

    /// Reading everything, writing only what a tool of ours writes.
    fn grants(self) -> &'static str {
        match self {
            Database::Swf => {
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bot; GRANT INSERT ON swf_ai_memory TO bot; \
                 GRANT UPDATE (status, operational_state) ON swf_systemagent TO bot; \
                 GRANT UPDATE (status, end_time) ON swf_workflow_executions TO bot"
            }
            Database::Panda => {
                "GRANT USAGE ON SCHEMA doma_panda TO bot; GRANT SELECT ON ALL TABLES IN SCHEMA doma_panda TO bot"
            }
        }
    }
}

fn failed(doing: impl Into<String>) -> impl FnOnce(postgres::Error) -> LoadError {
    let doing = doing.into();
    move |source| LoadError::Database { doing, source }
}

fn connect(server: &Config, database: &str) -> Result<Client, LoadError> {
    let mut config = server.clone();
    config.dbname(database).application_name("tine demo");
    config
        .connect(NoTls)
        .map_err(failed(format!("connect to the database {database}")))
}

/// When this data was loaded, if it was, to the end.
fn finished(server: &mut Client, load: &Load) -> Result<Option<Micros>, LoadError> {
    let looking = || failed("look for an earlier load");
    let known = server
        .query_one("SELECT to_regclass('tine_demo') IS NOT NULL", &[])
        .map_err(looking())?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = server
        .query_opt(
            "SELECT loaded FROM tine_demo WHERE size = $1 AND seed = $2",
            &[&load.size.name(), &load.seed.cast_signed()],
        )
        .map_err(looking())?;
    Ok(row.map(|row| row.get(0)))
}

fn prepare(server: &mut Client) -> Result<(), LoadError> {
    // One statement a message: databases cannot be made or dropped inside a transaction.
    for statement in [
        "DROP TABLE IF EXISTS tine_demo",
        "DROP DATABASE IF EXISTS swf WITH (FORCE)",
        "DROP DATABASE IF EXISTS panda WITH (FORCE)",
        "CREATE DATABASE swf",
        "CREATE DATABASE panda",
    ] {
        server
            .batch_execute(statement)
            .map_err(failed("make the databases"))?;
    }
    let known = server
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)",
            &[&LOGIN],
        )
        .map_err(failed("look for the login"))?;
    if !known.get::<_, bool>(0) {
        server
            .batch_execute("CREATE ROLE bot LOGIN")
            .map_err(failed("make the login bot"))?;
    }
    Ok(())
}

fn fill(
    client: &mut Client,
    database: Database,
    world: &World,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LoadError> {
    let name = database.name();
    client
        .batch_execute(database.tables())
        .map_err(failed(format!("make the tables of {name}")))?;
    for table in TABLES.iter().filter(|table| table.database == database) {
        let sending = || failed(format!("send the rows of {}", table.name));
        let mut copy = client
            .copy_in(&format!(
                "COPY {} ({}) FROM STDIN",
                table.name, table.columns
            ))
            .map_err(sending())?;
        let mut sent = |rows| {
            progress(Progress::Rows {
                table: table.name,
                rows,
            });
        };
        let out: &mut dyn Write = &mut copy;
        let rows = table
            .write(world, Rows::new(out, &mut sent))
            .map_err(|source| LoadError::Rows {
                table: table.name,
                source,
            })?;
        copy.finish().map_err(sending())?;
        progress(Progress::Table {
            table: table.name,
            rows,
        });
    }
    progress(Progress::Step(match database {
        Database::Swf => "making the indexes of swf",
        Database::Panda => "making the indexes of panda",
    }));
    for (doing, statements) in [
        ("make the indexes", database.indexes()),
        ("grant the login its rights", database.grants()),
        // Statistics for the planner, and a visibility map for index-only scans.
        ("analyse", "VACUUM ANALYZE"),
    ] {
        client
            .batch_execute(statements)
            .map_err(failed(format!("{doing} in {name}")))?;
    }
    Ok(())
}

fn mark(server: &mut Client, load: &Load) -> Result<(), LoadError> {
    let marking = || failed("note that the data is complete");
    server
        .batch_execute("CREATE TABLE tine_demo (size text, seed bigint, loaded bigint)")
        .map_err(marking())?;
    server
        .execute(
            "INSERT INTO tine_demo VALUES ($1, $2, $3)",
            &[&load.size.name(), &load.seed.cast_signed(), &load.now],
        )
        .map_err(marking())?;
    Ok(())
}
