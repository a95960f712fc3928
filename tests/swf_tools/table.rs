//! What the tests of most tools have in common: a table of calls, and for each the rows that plain SQL says it must show,
//! field by field.

use super::*;

/// How a field follows from the tables.
#[derive(Clone, Copy)]
pub enum Is {
    /// An SQL expression's value as it stands.
    Plain(&'static str),
    /// A `timestamptz`.
    Time(&'static str),
    /// A `timestamp`, which is shown without a zone.
    Naive(&'static str),
    /// An SQL expression's value, and what the service makes of it.
    Made(&'static str, fn(Value) -> Value),
}

/// An object's fields, in order.
pub type Fields = &'static [(&'static str, Is)];

/// The objects that these rows must be shown as.
pub fn objects(client: &mut Client, fields: Fields, rest: &str) -> Vec<Value> {
    let expressions: Vec<String> = fields
        .iter()
        .map(|(_, is)| match is {
            Is::Plain(sql) | Is::Made(sql, _) => (*sql).to_owned(),
            Is::Time(sql) | Is::Naive(sql) => micros(sql),
        })
        .collect();
    let query = format!(
        "SELECT json_build_array({})::text {rest}",
        expressions.join(", ")
    );
    let rows = texts(client, &query, &[]);
    rows.iter()
        .map(|row| {
            let values: Vec<Value> = serde_json::from_str(row).expect("JSON");
            let shown = fields.iter().zip(values).map(|((name, is), value)| {
                let value = match is {
                    Is::Plain(_) => value,
                    Is::Time(_) => moment(value.as_i64(), "+00:00"),
                    Is::Naive(_) => moment(value.as_i64(), ""),
                    Is::Made(_, make) => make(value),
                };
                ((*name).to_owned(), value)
            });
            Value::Object(shown.collect())
        })
        .collect()
}

/// A list tool of the service, and the table that it shows.
pub struct List {
    pub tool: &'static str,
    /// Items that it shows at most.
    pub limit: usize,
    pub title: &'static str,
    pub path: &'static str,
    pub fields: Fields,
    pub from: &'static str,
    pub order: &'static str,
}

impl List {
    /// Compares a list with the rows that satisfy the condition, and says how many these are.
    pub fn check(&self, bench: &mut Bench, arguments: &Value, condition: &str, query: &str) -> i64 {
        let from = format!("FROM {} WHERE {condition}", self.from);
        let count = format!("SELECT count(*) {from}");
        let rest = format!("{from} ORDER BY {} LIMIT {}", self.order, self.limit);
        let look = |bench: &mut Bench| {
            (
                number(&mut bench.swf, &count, &[]),
                objects(&mut bench.swf, self.fields, &rest),
            )
        };
        let (list, (total, expected)) = bench.call_while(self.tool, arguments, look);
        let context = format!("{} {arguments}", self.tool);
        assert_eq!(list["total_count"], json!(total), "{context}");
        check_list(
            &list,
            self.limit,
            self.title,
            &format!("{}{query}", self.path),
        );
        for (item, expected) in list["items"]
            .as_array()
            .expect("items")
            .iter()
            .zip(expected)
        {
            assert_eq!(item.to_string(), expected.to_string(), "{context}");
        }
        total
    }

    /// Arguments, the condition that they stand for, and the query of the page that shows the same. A condition other than
    /// `false` must find something, or it would prove nothing.
    pub fn check_all(&self, bench: &mut Bench, table: &[(Value, String, String)]) {
        for (arguments, condition, query) in table {
            let total = self.check(bench, arguments, condition, query);
            let context = format!("{} {arguments}: {condition}", self.tool);
            assert_eq!(total == 0, condition == "false", "{context}");
        }
    }
}

/// A case of a table, with less noise.
pub fn case(
    arguments: Value,
    condition: impl Into<String>,
    query: impl Into<String>,
) -> (Value, String, String) {
    (arguments, condition.into(), query.into())
}

/// Compares one object with the row that satisfies the condition. `page` is the title and the path of the page that shows
/// the same, if the answer names one.
pub fn check_one(
    bench: &mut Bench,
    tool: &str,
    arguments: &Value,
    fields: Fields,
    rest: &str,
    page: Option<(&str, String)>,
) {
    let answer = bench.call(tool, arguments.clone());
    let client = match tool.starts_with("panda") {
        true => &mut bench.panda,
        false => &mut bench.swf,
    };
    let mut expected = objects(client, fields, rest).remove(0);
    if let Some((title, path)) = page {
        check_url(&answer, title, &path);
        expected["monitor_urls"] = answer["monitor_urls"].clone();
    }
    assert_eq!(
        answer.to_string(),
        expected.to_string(),
        "{tool} {arguments}"
    );
}

/// A text as an SQL literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A number of microseconds as the service shows a length of time: seconds with at least one decimal.
pub fn seconds(micros: Value) -> Value {
    match micros.as_i64() {
        Some(micros) => json!(micros as f64 / 1e6),
        None => Value::Null,
    }
}
