//! `tine check`'s logic: proves every tool file against its database, and says what the tools cost. Prints nothing and
//! connects to nothing itself. Whatever runs, runs in a transaction that is read only or rolled back.
//!
//! The idea that a tool is prepared before it is served is ours; that examples in the file are its tests is MXCP's.

mod columns;
mod examples;
mod plan;
mod report;
mod session;
mod statement;

use std::collections::BTreeMap;

use jiff::Timestamp;
use postgres::Client;
use tine_worker::catalog::{Catalog, Era, Tool};

pub use report::{ExampleReport, Report, Size, ToolReport};

use crate::fault::{Fault, Origin};
use session::Session;

/// What to check, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Run the examples.
    pub examples: bool,
    /// Warn when a plan reads a whole table of more rows than this.
    pub scan_rows: f64,
    /// The time of the examples' calls.
    pub now: Timestamp,
    /// This host's name, for tools that ask for it.
    pub host: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            examples: true,
            scan_rows: 10_000.0,
            now: Timestamp::now(),
            host: "localhost".to_owned(),
        }
    }
}

/// Checks the catalog. `faults` are those of loading it; `databases` holds a connection, or why there is none, for
/// each configured database, the default one under the name that the catalog was loaded with.
pub fn run(
    catalog: &Catalog,
    faults: Vec<Fault>,
    databases: &mut BTreeMap<String, Result<Client, String>>,
    options: &Options,
) -> Report {
    let mut report = Report {
        faults,
        sizes: sizes(catalog),
        ..Report::default()
    };
    for (name, connection) in databases.iter() {
        if let Err(reason) = connection {
            let concerned = catalog
                .tools()
                .iter()
                .filter(|tool| tool.database.as_deref() == Some(name))
                .count();
            let message = format!(
                "database `{name}` can't be reached, so {concerned} tools are not proven: {reason}"
            );
            report.faults.push(Fault::error(Origin::Nowhere, message));
        }
    }
    for tool in catalog.tools() {
        let Some(sql) = tool.sql() else {
            let mut tool_report = ToolReport::named(&tool.name);
            if options.examples {
                tool_report.examples =
                    examples::run_without_statement(tool, options, &mut report.faults);
            }
            report.tools.push(tool_report);
            continue;
        };
        for guard in &sql.null_guards {
            let message = "this filter needs a new plan for every call: with a kept plan it could not use an index";
            let fault = Fault::warning(place(tool, guard.clone()), message);
            report.faults.push(
                fault.help("put the condition on a line of its own and mark it: AND a = :p --? p"),
            );
        }
        let database = tool
            .database
            .as_deref()
            .and_then(|name| databases.get_mut(name));
        let Some(Ok(client)) = database else {
            report.tools.push(ToolReport::named(&tool.name));
            continue;
        };
        let mut session = Session::new(client, tool.timeout);
        let mut tool_report =
            statement::check(tool, sql, &mut session, options, &mut report.faults);
        if options.examples && tool_report.proven {
            tool_report.examples =
                examples::run(tool, sql, &mut session, options, &mut report.faults);
        }
        report.tools.push(tool_report);
    }
    report
}

/// What `tools/list` costs a model, by toolset; the whole catalog comes first, under an empty name.
fn sizes(catalog: &Catalog) -> Vec<Size> {
    let named = catalog
        .toolsets()
        .map(|toolset| (toolset.name.clone(), toolset));
    let whole = catalog
        .toolset(None)
        .map(|toolset| (String::new(), toolset));
    let size = |(name, toolset): (String, &tine_worker::catalog::Toolset)| Size {
        toolset: name,
        tools: toolset.tools().len(),
        bytes: toolset
            .tools()
            .iter()
            .map(|tool| tool.definition(Era::Modern).len() + 1)
            .sum(),
    };
    whole.into_iter().chain(named).map(size).collect()
}

fn place(tool: &Tool, span: std::ops::Range<usize>) -> Origin {
    Origin::File {
        path: tool.source.file.to_path_buf(),
        text: tool.source.text.clone(),
        span,
    }
}
