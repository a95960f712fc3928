//! What holds of all tools that write or act alike: faulty arguments are named, and lead to nothing.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::every::{listed, refuse_wrong_types};
use super::*;

/// What these tools would change.
fn state(swf: &mut Client) -> i64 {
    number(
        swf,
        "SELECT (SELECT count(*) FROM swf_systemagent WHERE status = 'EXITED') * 1000000
              + (SELECT count(*) FROM swf_workflow_executions WHERE status = 'running')",
        &[],
    )
}

#[test]
fn a_value_of_the_wrong_type_is_named_and_nobody_is_asked_or_told() {
    // Broker and PanDA monitor are one socket, which must not get a connection.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.set_nonblocking(true).expect("a socket");
    let address = nobody.local_addr().expect("an address");
    let mut bench = Bench::start();
    let cluster = data().cluster();
    bench.server = Setup::bare()
        .workers(1)
        .variable("PANDA_BASE_URL", &format!("http://{address}"))
        .database("swf", &cluster.url("swf", LOGIN))
        .database("panda", &cluster.url("panda", LOGIN))
        .table("[programs.kill]\npath = \"/bin/kill\"\n[http]\nprivate = [\"127.0.0.0/8\"]")
        .table(&format!("[brokers.activemq]\nurl = \"stomp://{address}\""))
        .toolset(FOLDER)
        .start();
    let before = state(&mut bench.swf);
    let tools = listed(&bench, |name| {
        WRITES.contains(&name) || ACTS.contains(&name)
    });
    assert_eq!(tools.len(), 10);
    let refusals = refuse_wrong_types(&bench, &tools);
    assert!(refusals > 120, "{refusals}");
    // What is needed may not be absent, null or empty either, and is named.
    for tool in &tools {
        let filled = |value: &Value| -> Value {
            let names = tool.properties.keys();
            names.map(|name| (name.clone(), value.clone())).collect()
        };
        if tool.required.as_object().is_none_or(|all| all.is_empty()) {
            continue;
        }
        for arguments in [json!({}), filled(&Value::Null), filled(&json!(""))] {
            let message = bench.refused(&tool.name, arguments.clone());
            for name in keys(&tool.required) {
                assert!(
                    message.contains(&format!("{name}: ")),
                    "{} {arguments}: {message}",
                    tool.name
                );
            }
        }
    }
    assert_eq!(state(&mut bench.swf), before);
    let called = nobody.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(called, Err(ErrorKind::WouldBlock), "nobody was asked");
}
