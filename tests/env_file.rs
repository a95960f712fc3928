//! A server takes the variables of an old service's file: for its database, for what tools bind, and anew with each reload.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::mcp::{Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const TOOL: &str = r#"/*+++
description = "Says what is set."
shape = "row"
[params.here]
type = "text"
from = "setting.here"
[params.own]
type = "text"
from = "setting.own"
+++*/
SELECT :here AS here, :own AS own
"#;

fn said(server: &Server) -> Value {
    let answer = Post::call(Era::Legacy, "settings", json!({})).send(server.address());
    answer.result()["structuredContent"].clone()
}

#[test]
fn variables_of_a_file_reach_databases_settings_and_toolsets() {
    let database = Database::fresh();
    let config: postgres::Config = database.url.parse().expect("a URL");
    let host = match &config.get_hosts()[0] {
        postgres::config::Host::Unix(path) => path.display().to_string(),
        postgres::config::Host::Tcp(name) => name.clone(),
    };
    let variables = |place: &str| {
        format!(
            "# of the old service\nDB_HOST={host}\nDB_NAME={}\nexport DB_USER='{}'\nPLACE='{place}'\nUNUSED=x\n",
            config.get_dbname().expect("a name"),
            config.get_user().expect("a user"),
        )
    };
    let setup = Setup::bare()
        .workers(1)
        .option("env_file = \"service.env\"")
        .table("[databases.main]\nhost = \"${DB_HOST}\"\nport = \"${DB_PORT:-}\"")
        .table("user = \"${DB_USER}\"\npassword = \"${DB_PASSWORD:-}\"\ndbname = \"${DB_NAME}\"")
        .table("[settings]\nhere = \"at ${PLACE}\"")
        .tool("settings", TOOL)
        .variable("DB_PORT", &config.get_ports()[0].to_string());
    setup.file(
        "own/_toolset.toml",
        "[settings]\nown = \"${PLACE:-nowhere}\"\n",
    );
    setup.file("service.env", &variables("a $1 place"));
    let server = setup.start();
    assert_eq!(
        said(&server),
        json!({"here": "at a $1 place", "own": "a $1 place"})
    );

    fs::write(server.path("service.env"), variables("another")).expect("a file");
    server.signal(Signal::SIGHUP);
    server.until_generation(2);
    assert_eq!(
        said(&server),
        json!({"here": "at another", "own": "another"})
    );
    assert!(!server.log().contains("another"), "{}", server.log());
}
