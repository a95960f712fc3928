//! An old service's file of variables and the configuration that the repository ships are enough: each setting reaches what it is for.

use super::clients::Monitor;
use super::*;
use crate::harness::broker::{OTHER, broker};

/// The shipped configuration without what every test's server has of its own: options, and tables.
fn shipped() -> (String, String) {
    let text = include_str!("../../tine.toml");
    let own = ["toolsets = ", "workers = "];
    let lines = text.lines();
    let kept: Vec<&str> = lines
        .filter(|line| !own.iter().any(|key| line.starts_with(key)))
        .collect();
    let tables = kept.iter().position(|line| line.starts_with('['));
    let (options, tables) = kept.split_at(tables.expect("a table"));
    (options.join("\n"), tables.join("\n"))
}

/// The file as such a service has it.
fn variables(home: &str, monitor: &Monitor) -> String {
    let config: postgres::Config = data().cluster().url("swf", LOGIN).parse().expect("a URL");
    let host = match &config.get_hosts()[0] {
        postgres::config::Host::Unix(path) => path.display().to_string(),
        postgres::config::Host::Tcp(name) => name.clone(),
    };
    let port = config.get_ports()[0];
    let broker = broker().plain;
    format!(
        "# Settings of the monitor\n\
         export SWF_MONITOR_HTTP_URL=\"https://monitor.example/swf-monitor/\"   # with a slash\n\
         \n\
         SWF_HOME='{home}'\nSWF_TESTBED_CONFIG=testbed-fast.toml\n\
         export ACTIVEMQ_HOST={}\nACTIVEMQ_PORT=\"{}\"\nACTIVEMQ_USER='{}'\nACTIVEMQ_PASSWORD='{}'\n\
         PANDA_BASE_URL=http://{}\n\
         DB_HOST={host}\n  DB_PORT = {port}\nDB_NAME=swf\nDB_USER={LOGIN}\nDB_PASSWORD='not $needed here'\n\
         PANDA_DB_HOST={host}\nPANDA_DB_PORT={port}\nPANDA_DB_NAME=panda\nPANDA_DB_USER=\"{LOGIN}\"\nPANDA_DB_PASSWORD=\n\
         DISPLAY_TIMEZONE=Asia/Tokyo\nMCP_BEARER_TOKEN='the $ecret'\n\
         SECRET_KEY='django-insecure-%(x)\"'\nDEBUG=False\n",
        broker.ip(),
        broker.port(),
        OTHER.0,
        OTHER.1,
        monitor.address,
    )
}

#[test]
fn an_old_services_file_of_variables_is_enough() {
    let monitor = Monitor::start();
    let (options, tables) = shipped();
    let setup = Setup::bare()
        .workers(1)
        .option(&options)
        .option("env_file = \"swf.env\"")
        .table(&tables)
        .table("[http]\nprivate = [\"127.0.0.1\"]")
        .toolset(FOLDER);
    let home = setup.path("home with a space");
    let folder = home.join("swf-testbed/workflows");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(
        folder.join("testbed-fast.toml"),
        "[testbed]\nnamespace = \"of the file\"\n",
    )
    .expect("a file");
    setup.file("swf.env", &variables(&home.display().to_string(), &monitor));
    let server = setup.start();
    let ask = |tool: &str, arguments: Value, token: &str| {
        Post::call(Era::Legacy, tool, arguments)
            .path("/swf-monitor/mcp/")
            .header("Authorization", &format!("Bearer {token}"))
            .send(server.address())
    };
    let call = |tool: &str, arguments: Value| {
        let result = ask(tool, arguments, "the $ecret").result();
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    };
    assert_eq!(
        ask("swf_list_namespaces", json!({}), "guessed").status(),
        401
    );

    assert_eq!(
        call("swf_list_namespaces", json!({}))["monitor_urls"][0]["url"],
        "https://monitor.example/swf-monitor/namespaces/"
    );
    assert!(call("panda_get_activity", json!({"days": 30}))["jobs"].is_object());
    let context = &call("swf_get_system_state", json!({"username": "haruka"}))["user_context"];
    assert_eq!(context["namespace"], "of the file");
    assert_eq!(context["config_source"], "SWF_TESTBED_CONFIG");
    call("panda_harvester_workers", json!({}));
    assert_eq!(monitor.asked(), ["/harvester/getworkerstats/"]);

    // A message of a queue that nobody else listens to.
    let mut manager = broker().listen("/queue/agent_control.haruka");
    call("swf_start_user_testbed", json!({"username": "haruka"}));
    let message: Value = serde_json::from_str(&manager.message().1).expect("JSON");
    let sent: jiff::civil::DateTime = message["timestamp"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time without a zone");
    let tokyo = jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone");
    let now = jiff::Timestamp::now().to_zoned(tokyo).datetime();
    assert_eq!((now - sent).get_hours(), 0, "{sent}");

    for secret in ["$ecret", OTHER.1, "django"] {
        assert!(!server.log().contains(secret), "{secret}");
    }
}
