//! The tag tools against tags of the test's own: the order of types and numbers, and where a search looks.

use super::own::own;
use super::*;

/// A server whose tags are these only: table, number, description and parameters.
fn bench(name: &str, tags: &[(&str, i64, &str, &str)]) -> Bench {
    let mut bench = own(name, "");
    bench.put("INSERT INTO pcs_physics_category VALUES (3, 'DIS', '', 'amara', now())");
    for (table, number, description, parameters) in tags {
        let (more, category) = match *table {
            "physics" => (", category_id", ", 3"),
            _ => ("", ""),
        };
        let label = label(table, *number);
        bench.put(&format!(
            "INSERT INTO pcs_{table}_tag (tag_number, tag_label, status, description, parameters, created_by, created_at, updated_at{more})
             VALUES ({number}, '{label}', 'draft', '{description}', '{parameters}', 'amara', '2026-01-02 03:04:05+00', now(){category})"
        ));
    }
    bench
}

fn label(table: &str, number: i64) -> String {
    format!("{}{number}", &table[..1])
}

fn labels(answer: &Value) -> Vec<&str> {
    let tags = answer["tags"].as_array().expect("tags");
    tags.iter()
        .map(|tag| tag["tag_label"].as_str().expect("a label"))
        .collect()
}

#[test]
fn tags_come_by_type_before_number() {
    // The later a type comes the higher its numbers are here.
    let tags = [
        ("reco", 9, "x", "{}"),
        ("reco", 10, "x", "{}"),
        ("simu", 7, "x", "{}"),
        ("simu", 8, "x", "{}"),
        ("physics", 2, "x", "{}"),
        ("physics", 1, "x", "{}"),
        ("evgen", 5, "x", "{}"),
        ("evgen", 6, "x", "{}"),
    ];
    let bench = bench("pcs_order", &tags);
    let answer = bench.call("pcs_search_tags", json!({"query": ""}));
    let order = ["p2", "p1", "e6", "e5", "s8", "s7", "r10", "r9"];
    assert_eq!(labels(&answer), order);
    for (kind, shown) in ["p", "e", "s", "r"].iter().zip(order.chunks(2)) {
        let answer = bench.call("pcs_list_tags", json!({"tag_type": kind}));
        assert_eq!(labels(&answer), shown);
        for label in shown {
            let answer = bench.call("pcs_get_tag", json!({"tag_label": label}));
            assert_eq!(answer["tag_label"], *label);
        }
    }
}

#[test]
fn a_label_or_a_description_is_enough_in_any_case() {
    let tags = [
        ("evgen", 17, "nothing of it", "{\"a\": \"e16\"}"),
        ("evgen", 16, "Groß und klein", "{}"),
        ("evgen", 15, "like E16", "{}"),
    ];
    let bench = bench("pcs_words", &tags);
    for (search, found) in [
        ("e16", vec!["e16", "e15"]),
        ("E16", vec!["e16", "e15"]),
        ("E1", vec!["e17", "e16", "e15"]),
        ("uND KLEIN", vec!["e16"]),
        ("LIKE e", vec!["e15"]),
        ("draft", vec![]),
    ] {
        let arguments = json!({"tag_type": "e", "search": search});
        assert_eq!(
            labels(&bench.call("pcs_list_tags", arguments)),
            found,
            "{search}"
        );
    }
}

#[test]
fn a_search_reads_label_description_and_values_one_after_the_other() {
    let tags = [
        (
            "simu",
            2,
            "Said",
            r#"{"bb": null, "a": "first", "ccc": [1, {"x": null}], "dddd": true}"#,
        ),
        ("simu", 1, "alone", "{}"),
    ];
    let bench = bench("pcs_values", &tags);
    for (query, found) in [
        // Of values the shortest name comes first: so PostgreSQL keeps them.
        ("s2 said first none [1, ", vec!["s2"]),
        ("FIRST NONE [", vec!["s2"]),
        ("null}] true", vec!["s2"]),
        ("none first", vec![]),
        ("firstnone", vec![]),
        ("bb", vec![]),
        ("s1 alone", vec!["s1"]),
        ("draft", vec![]),
        ("amara", vec![]),
    ] {
        let answer = bench.call("pcs_search_tags", json!({"query": query}));
        assert_eq!(labels(&answer), found, "{query}");
        assert_eq!(answer["count"], found.len());
    }
}

#[test]
fn a_number_may_have_many_leading_zeros() {
    let bench = bench("pcs_zeros", &[("physics", 1001, "x", "{}")]);
    // The label of the tag is as it is kept, however it was asked for.
    for zeros in [0, 1, 12] {
        let label = format!("p{}1001", "0".repeat(zeros));
        let answer = bench.call("pcs_get_tag", json!({"tag_label": label}));
        let expected = json!({
            "tag_label": "p1001", "tag_number": 1001, "status": "draft", "description": "x", "parameters": {},
            "created_by": "amara", "created_at": "2026-01-02T03:04:05+00:00", "category": "DIS", "category_digit": 3,
        });
        assert_eq!(answer.to_string(), expected.to_string(), "{label}");
    }
    // No such tag, and no number that fits.
    for label in ["p9999999999999999", "p99999999999999999999"] {
        bench.refused("pcs_get_tag", json!({"tag_label": label}));
    }
}
