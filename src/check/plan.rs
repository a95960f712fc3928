//! Reads an `EXPLAIN (FORMAT JSON)` plan: what it would change, and which tables it would read whole. Pure.

use serde_json::Value;

/// What a plan says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`, or a row lock, which a read-only transaction refuses, too.
    pub changes: Vec<String>,
    /// Schema and name of tables that are read from end to end.
    pub scans: Vec<(String, String)>,
}

/// Walks every node of every plan in the document.
pub fn read(document: &Value) -> Plan {
    let mut plan = Plan::default();
    walk(document, &mut plan);
    plan.scans.sort();
    plan.scans.dedup();
    plan
}

fn walk(value: &Value, plan: &mut Plan) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, plan)),
        Value::Object(entries) => {
            let text = |key: &str| entries.get(key).and_then(Value::as_str).unwrap_or_default();
            match text("Node Type") {
                "ModifyTable" => plan.changes.push(format!(
                    "{} {}",
                    text("Operation").to_uppercase(),
                    text("Relation Name")
                )),
                "LockRows" => plan
                    .changes
                    .push("a lock on rows (FOR UPDATE or FOR SHARE)".to_owned()),
                "Seq Scan" => plan
                    .scans
                    .push((text("Schema").to_owned(), text("Relation Name").to_owned())),
                _ => {}
            }
            entries.values().for_each(|value| walk(value, plan));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_at_any_depth() {
        let document = serde_json::json!([{"Plan": {
            "Node Type": "CTE Scan",
            "Plans": [
                {"Node Type": "ModifyTable", "Operation": "Delete", "Relation Name": "t",
                 "Plans": [{"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t"}]},
                {"Node Type": "LockRows", "Plans": [{"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t"}]},
            ]
        }}]);
        let plan = read(&document);
        assert_eq!(
            plan.changes,
            ["DELETE t", "a lock on rows (FOR UPDATE or FOR SHARE)"]
        );
        assert_eq!(plan.scans, [("public".to_owned(), "t".to_owned())]);
        assert_eq!(
            read(&serde_json::json!([{"Plan": {"Node Type": "Result"}}])),
            Plan::default()
        );
    }
}
