//! pcs_list_tags, pcs_get_tag, pcs_search_tags.

use super::*;

const TYPES: [(&str, &str, &str); 4] = [
    ("p", "physics", "Physics"),
    ("e", "evgen", "EvGen"),
    ("s", "simu", "Simulation"),
    ("r", "reco", "Reconstruction"),
];

/// One tag with everything that any tool shows of it.
struct Tag {
    kind: &'static str,
    number: i64,
    fields: Value,
}

impl Tag {
    /// These fields and, of a physics tag, the category.
    fn shown(&self, names: &[&str]) -> Value {
        let physics = (self.kind == "p").then_some("category");
        let shown = names.iter().copied().chain(physics);
        Value::Object(
            shown
                .map(|name| (name.to_owned(), self.fields[name].clone()))
                .collect(),
        )
    }

    fn has(&self, name: &str, text: &str) -> bool {
        self.fields[name]
            .as_str()
            .expect("text")
            .to_lowercase()
            .contains(&text.to_lowercase())
    }
}

/// All tags, in the order of types and the highest number first.
fn tags(bench: &mut Bench) -> Vec<Tag> {
    let mut tags = Vec::new();
    for (kind, table, _) in TYPES {
        let (category, join) = match kind {
            "p" => (
                "c.name, c.digit",
                "JOIN pcs_physics_category c ON c.digit = category_id",
            ),
            _ => ("NULL, NULL", ""),
        };
        let query = format!(
            "SELECT json_build_array(tag_number, tag_label, t.status, t.description, parameters, t.created_by, {}, {category})::text
             FROM pcs_{table}_tag t {join} ORDER BY tag_number DESC",
            micros("t.created_at")
        );
        for row in texts(&mut bench.swf, &query, &[]) {
            let row: Value = serde_json::from_str(&row).expect("JSON");
            tags.push(Tag {
                kind,
                number: row[0].as_i64().expect("a number"),
                fields: json!({
                    "tag_number": row[0],
                    "tag_label": row[1],
                    "status": row[2],
                    "description": row[3],
                    "parameters": row[4],
                    "created_by": row[5],
                    "created_at": moment(row[6].as_i64(), "+00:00"),
                    "category": row[7],
                    "category_digit": row[8],
                }),
            });
        }
    }
    assert_eq!(tags.len(), 500);
    tags
}

#[test]
fn each_filter_of_tags_alone_and_all_together() {
    let mut bench = Bench::start();
    let tags = tags(&mut bench);
    type Chosen = fn(&Tag) -> bool;
    let none: Option<Chosen> = None;
    let table: [(Value, &str, Option<Chosen>); 19] = [
        (json!({}), "p", Some(|_| true)),
        (json!({}), "e", Some(|_| true)),
        (json!({}), "s", Some(|_| true)),
        (
            json!({"category": "", "status": null, "creator": "", "search": ""}),
            "r",
            Some(|_| true),
        ),
        (
            json!({"category": "dis"}),
            "p",
            Some(|tag| tag.fields["category"] == "DIS"),
        ),
        (
            json!({"category": "JETS & hf"}),
            "p",
            Some(|tag| tag.fields["category"] == "Jets & HF"),
        ),
        (
            json!({"category": "übergänge"}),
            "p",
            Some(|tag| tag.fields["category"] == "Übergänge"),
        ),
        (json!({"category": "D%"}), "p", none),
        // Other types have no category to filter by.
        (json!({"category": "nonesuch"}), "e", Some(|_| true)),
        (
            json!({"status": "LOCKED"}),
            "s",
            Some(|tag| tag.fields["status"] == "locked"),
        ),
        (json!({"status": "lock"}), "s", none),
        (
            json!({"creator": "o'neill"}),
            "p",
            Some(|tag| tag.fields["created_by"] == "o'neill"),
        ),
        (json!({"creator": "AMARA"}), "p", none),
        (
            json!({"search": "100%"}),
            "e",
            Some(|tag| tag.has("description", "100%")),
        ),
        (
            json!({"search": "S_C"}),
            "e",
            Some(|tag| tag.has("description", "s_c")),
        ),
        (
            json!({"search": "R1"}),
            "r",
            Some(|tag| tag.has("tag_label", "r1")),
        ),
        (
            json!({"search": "第二"}),
            "p",
            Some(|tag| tag.has("description", "第二")),
        ),
        (json!({"search": "\\"}), "p", none),
        (
            json!({"category": "DIS", "status": "locked", "creator": "amara", "search": "a"}),
            "p",
            Some(|tag| {
                tag.fields["category"] == "DIS"
                    && tag.fields["status"] == "locked"
                    && tag.fields["created_by"] == "amara"
                    && (tag.has("description", "a") || tag.has("tag_label", "a"))
            }),
        ),
    ];
    for (filters, kind, chosen) in table {
        let mut arguments = filters.clone();
        arguments["tag_type"] = json!(kind);
        let answer = bench.call("pcs_list_tags", arguments.clone());
        let shown: Vec<Value> = tags
            .iter()
            .filter(|tag| tag.kind == kind && chosen.is_some_and(|chosen| chosen(tag)))
            .map(|tag| {
                tag.shown(&[
                    "tag_label",
                    "status",
                    "description",
                    "created_by",
                    "parameters",
                ])
            })
            .collect();
        let label = TYPES
            .iter()
            .find(|(name, ..)| *name == kind)
            .expect("a type")
            .2;
        assert_eq!(shown.is_empty(), chosen.is_none(), "{arguments}");
        let expected =
            json!({"tag_type": kind, "label": label, "count": shown.len(), "tags": shown});
        assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    }
    for wrong in [
        json!("P"),
        json!("physics"),
        json!(""),
        json!(null),
        json!(1),
    ] {
        let message = bench.refused("pcs_list_tags", json!({"tag_type": wrong}));
        assert!(message.starts_with("tag_type: "), "{message}");
    }
}

#[test]
fn a_tag_is_found_by_its_label_however_it_is_written() {
    let mut bench = Bench::start();
    for (index, tag) in tags(&mut bench).iter().step_by(7).enumerate() {
        let (kind, number) = (tag.kind, tag.number);
        let label = match index % 4 {
            0 => format!("{kind}{number}"),
            1 => format!("  {}{number}\n", kind.to_uppercase()),
            2 => format!("{kind}000{number}"),
            _ => format!("{kind}+{number} "),
        };
        let answer = bench.call("pcs_get_tag", json!({"tag_label": label}));
        let mut expected = tag.shown(&[
            "tag_label",
            "tag_number",
            "status",
            "description",
            "parameters",
            "created_by",
            "created_at",
        ]);
        if kind == "p" {
            expected["category_digit"] = tag.fields["category_digit"].clone();
        }
        assert_eq!(answer.to_string(), expected.to_string(), "{label}");
    }
    assert_eq!(
        bench.call("pcs_get_tag", json!({"tag_label": "p1_001"}))["tag_number"],
        1001
    );
    for label in [
        "x9",
        "p",
        "p 1 2",
        "p1.5",
        "e",
        "p-1001",
        "p999999",
        "e1e1",
        "p१",
        "1001",
        "100%",
        "p99999999999999999999",
        "p1__001",
        "p'",
        "é1",
    ] {
        let message = bench.refused("pcs_get_tag", json!({"tag_label": label}));
        assert!(
            message.contains(&format!("'{label}'")) && message.contains("pcs_list_tags"),
            "{message}"
        );
    }
}

/// A parameter's value as a reader of the tag would write it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        // As PostgreSQL writes it, with spaces.
        other => other.to_string().replace(':', ": ").replace(',', ", "),
    }
}

#[test]
fn a_search_looks_into_label_description_and_parameters() {
    let mut bench = Bench::start();
    let tags = tags(&mut bench);
    for (query, kind, found) in [
        ("", None, true),
        ("", Some("r"), true),
        ("PYTHIA8", None, true),
        ("pythia8", Some("p"), false),
        ("beagle", Some("e"), true),
        ("none", None, true),
        ("TRUE", Some("p"), true),
        ("synchrotron", None, true),
        ("schnell & \"grob\"", None, true),
        ("高速", None, true),
        ("0.25", None, true),
        ("1.0", Some("p"), true),
        ("[18, 275]", None, true),
        ("p1001", None, true),
        ("o'neill's_", None, true),
        ("100% \"VORLÄUFIG\"", None, true),
        ("%", Some("s"), true),
        ("nonesuch", None, false),
        ("a", Some("z"), false),
        ("\\", None, false),
    ] {
        let mut arguments = json!({"query": query});
        if let Some(kind) = kind {
            arguments["tag_type"] = json!(kind);
        }
        let answer = bench.call("pcs_search_tags", arguments.clone());
        let shown: Vec<Value> = tags
            .iter()
            .filter(|tag| kind.is_none_or(|kind| kind == tag.kind))
            .filter(|tag| {
                let values = tag.fields["parameters"]
                    .as_object()
                    .expect("parameters")
                    .values();
                let mut text = vec![
                    words(&tag.fields["tag_label"]),
                    words(&tag.fields["description"]),
                ];
                text.extend(values.map(words));
                text.join(" ")
                    .to_lowercase()
                    .contains(&query.to_lowercase())
            })
            .map(|tag| tag.shown(&["tag_label", "status", "description", "parameters"]))
            .collect();
        assert_eq!(!shown.is_empty(), found, "{arguments}");
        let expected = json!({"query": query, "count": shown.len(), "tags": shown});
        assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    }
}
