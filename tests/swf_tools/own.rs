//! Databases of a test's own: the tables without a row, so that what a tool must answer is what the test put there.

use std::time::{Duration, Instant};

use super::*;

/// What lies half a minute from the edge of a window is still on its side after so long.
const PROMPT: Duration = Duration::from_secs(20);

/// A server whose `swf` is a new database of this name, with this testbed.toml.
pub fn own(name: &str, testbed: &str) -> Bench {
    make(
        name,
        include_str!("../../src/demo/schema/swf_tables.sql"),
        "public",
    );
    let setup = Setup::bare();
    let home = setup.path("home");
    let folder = home.join("swf-testbed/workflows");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("testbed.toml"), testbed).expect("a file");
    let setup = setup.variable("SWF_HOME", &home.display().to_string());
    Bench::with(setup, LOGIN, name, "panda")
}

/// Makes a database of this name with PanDA's tables and no row.
pub fn make_panda(name: &str) {
    make(
        name,
        include_str!("../../src/demo/schema/panda_tables.sql"),
        "doma_panda",
    );
}

fn make(name: &str, tables: &str, schema: &str) {
    let cluster = data().cluster();
    connect(&cluster.url("postgres", SUPERUSER))
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .expect("a database");
    let mut client = connect(&cluster.url(name, SUPERUSER));
    client.batch_execute(tables).expect("the tables");
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {LOGIN}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {LOGIN}"
    );
    client.batch_execute(&grants).expect("the grants");
}

impl Bench {
    /// Runs statements on the test's own tables.
    pub fn put(&mut self, sql: &str) {
        self.swf
            .batch_execute(sql)
            .unwrap_or_else(|fault| panic!("{sql}: {fault:?}"));
    }

    /// What `look` sees of rows whose times `sql` sets beside the edges of windows: again, if it took so long that they may have
    /// moved over the edge.
    pub fn promptly<T>(&mut self, sql: &str, look: impl Fn(&mut Bench) -> T) -> T {
        loop {
            let begun = Instant::now();
            self.put(sql);
            let seen = look(self);
            if begun.elapsed() < PROMPT {
                return seen;
            }
        }
    }
}

/// `INSERT` of agents: name, type, status, operational state, namespace and the age of the last heartbeat, each as SQL.
pub fn agents(rows: &[[&str; 6]]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|[name, kind, status, state, namespace, age]| {
            format!(
                "('{name}', '{kind}', 'about {name}', '{status}', '{state}', {namespace}, now() - {age}, now(), now(), 0, 0, true)"
            )
        })
        .collect();
    format!(
        "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, operational_state, namespace, last_heartbeat,
             created_at, updated_at, current_stf_count, total_stf_processed, workflow_enabled)
         VALUES {};",
        rows.join(", ")
    )
}
