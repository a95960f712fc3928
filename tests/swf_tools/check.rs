//! The toolset proves itself: every statement prepares, every example holds, nothing is even warned about.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tine::check;
use tine_worker::catalog::{Catalog, LoadContext};
use tine_worker::files::Files;

use super::data;
use crate::harness::database::connect;

#[test]
fn every_tool_is_proven_against_the_generated_data() {
    let databases = ["swf", "panda"];
    let context = LoadContext {
        databases: databases.map(str::to_owned).to_vec(),
        ..LoadContext::default()
    };
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/toolsets/swf"));
    let (catalog, faults) = Catalog::load(&[folder], &context, &Files::disk());
    assert!(faults.is_empty(), "{faults:#?}");
    let client = |name: &str| {
        (
            name.to_owned(),
            Ok(connect(&data().cluster().url(name, "bot"))),
        )
    };
    let mut clients: BTreeMap<_, _> = databases.into_iter().map(client).collect();
    let report = check::run(
        &catalog,
        Vec::new(),
        &mut clients,
        &check::Options::default(),
    );
    assert!(report.faults.is_empty(), "{report}");
    for tool in report.tools.iter().filter(|tool| {
        catalog
            .tools()
            .iter()
            .any(|t| t.name == tool.name && t.sql().is_some())
    }) {
        assert!(tool.proven && !tool.examples.is_empty(), "{}", tool.name);
    }
}
