//! The examples of a tool file: a call and what it must yield. Read here, run by `tine check`.

use std::ops::Range;

use serde_json::{Map, Value};

use super::fault::Faults;
use super::table::Table;

/// One `[[example]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The arguments, a JSON object.
    pub arguments: Value,
    /// Whose token calls.
    pub user: Option<String>,
    /// What came of each effect, for a check, which performs none; what is not here went well.
    pub outcome: Vec<Map<String, Value>>,
    pub expect: Expect,
    pub span: Range<usize>,
}

/// What must hold for an example's outcome. Without any: that it is no error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    pub min_rows: Option<u64>,
    pub max_rows: Option<u64>,
    /// The keys of each row (or of the object), in order.
    pub columns: Option<Vec<String>>,
    /// The call must fail, with a text that contains this.
    pub error: Option<String>,
    /// The result's JSON or text must contain each of these.
    pub contains: Vec<String>,
}

pub(crate) fn read(tables: Vec<Table<'_, '_>>, faults: &mut Faults) -> Vec<Example> {
    tables
        .into_iter()
        .filter_map(|table| read_one(table, faults))
        .collect()
}

fn read_one(mut table: Table<'_, '_>, faults: &mut Faults) -> Option<Example> {
    let span = table.span.clone();
    let arguments = table
        .json("args", faults)
        .map_or_else(|| Value::Object(serde_json::Map::new()), |at| at.value);
    if !arguments.is_object() {
        faults.error(
            table.place_of("args"),
            "`args` must be a table of arguments",
        );
        return None;
    }
    let user = table.string("user", faults).map(|at| at.value);
    let expect = table
        .table("expect", faults)
        .map_or_else(Expect::default, |table| expect(table, faults));
    let outcome = outcomes(&mut table, faults);
    table.finish(faults);
    Some(Example {
        arguments,
        user,
        outcome,
        expect,
        span,
    })
}

fn outcomes(table: &mut Table<'_, '_>, faults: &mut Faults) -> Vec<Map<String, Value>> {
    let Some(list) = table.json("outcome", faults) else {
        return Vec::new();
    };
    let object = |value: &Value| value.as_object().cloned();
    let read = list
        .value
        .as_array()
        .map(|items| items.iter().map(object).collect());
    let Some(Some(outcomes)) = read else {
        faults.error(
            list.span,
            "`outcome` must be a list of tables, one for each effect",
        );
        return Vec::new();
    };
    outcomes
}

fn expect(mut table: Table<'_, '_>, faults: &mut Faults) -> Expect {
    let strings = |key, table: &mut Table<'_, '_>, faults: &mut Faults| -> Option<Vec<String>> {
        Some(
            table
                .strings(key, faults)?
                .value
                .into_iter()
                .map(|item| item.value)
                .collect(),
        )
    };
    let expect = Expect {
        min_rows: table.count("min_rows", 0, faults).map(|at| at.value),
        max_rows: table.count("max_rows", 0, faults).map(|at| at.value),
        columns: strings("columns", &mut table, faults),
        error: table.string("error", faults).map(|at| at.value),
        contains: strings("contains", &mut table, faults).unwrap_or_default(),
    };
    table.finish(faults);
    expect
}
