//! `tine check` of tools that are one effect: their examples are run, and nothing is done to the world.

use std::collections::BTreeMap;
use std::fs;

use tine::check::{self, Options, Report};
use tine_worker::catalog::{Catalog, LoadContext};
use tine_worker::files::Files;

use crate::check_tools::{fault, told};

fn check(tool: &str) -> Report {
    let folder = std::env::temp_dir().join(format!("tine-check-effects-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("ask.toml"), tool).expect("a file");
    let context = LoadContext::default();
    let (catalog, faults) = Catalog::load(std::slice::from_ref(&folder), &context, &Files::disk());
    fs::remove_dir_all(&folder).expect("the folder");
    let faults = faults.into_iter().map(fault).collect();
    check::run(&catalog, faults, &mut BTreeMap::new(), &Options::default())
}

#[test]
fn examples_of_a_tool_that_is_one_effect_are_run_and_nothing_is_performed() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", nobody.local_addr().expect("an address"));
    let tool = |example: &str| {
        format!(
            "kind = \"http\"\ndescription = \"Asks for a job.\"\nannotations = {{ open_world = true }}\n\
             [params.id]\ntype = \"integer\"\ndescription = \"Its number\"\n\
             [http]\nurl = \"{url}\"\npath = [\"jobs\", \":id\"]\n[[example]]\n{example}\n"
        )
    };
    let table = [
        (
            "args = { id = 7 }\noutcome = [{ json = { id = 7, name = \"x\" } }]\n\
             expect = { columns = [\"id\", \"name\"], contains = [\"\\\"id\\\":7\"] }",
            None,
        ),
        (
            "args = { id = 7 }\noutcome = [{ error = \"no answer\" }]\nexpect = { error = \"no answer\" }",
            None,
        ),
        (
            "args = { id = \"x\" }\nexpect = { error = \"id: must be an integer\" }",
            None,
        ),
        ("args = {}", Some("fails: id: is required")),
        (
            "args = { id = 7 }\noutcome = [{ json = { name = 1 } }]\nexpect = { columns = [\"id\"] }",
            Some("yields the columns name"),
        ),
        (
            "args = { id = 7 }\noutcome = [{ error = \"no answer\" }]",
            Some("fails: no answer"),
        ),
    ];
    for (example, expected) in table {
        let report = check(&tool(example));
        let found = told(&report);
        match expected {
            None => assert!(found.is_empty(), "{example}: {found:#?}"),
            Some(part) => assert!(
                found.iter().any(|f| f.contains(part)),
                "{example}: {found:#?}"
            ),
        }
        assert_eq!(report.tools[0].examples.len(), 1);
        assert_eq!(report.tools[0].examples[0].passed, expected.is_none());
    }
    assert!(nobody.accept().is_err(), "nobody was asked");
}
