//! The published schema and our own judgement say the same, up to the documented coercions. The judge is `jsonschema`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Parameters of every type and rule, each alone in a tool. What differs on purpose is left out: coercions are told
/// apart below, times are published as plain strings, and an integer must fit into 64 bits.
const DECLARATIONS: [&str; 16] = [
    "type = \"text\"",
    "type = \"text\"\noptional = true\nmin_length = 2\nmax_length = 4",
    "type = \"text\"\nenum = [\"a\", \"é\", \"\"]",
    "type = \"text\"\npattern = \"^[a-z]+$\"\noptional = true",
    "type = \"text\"\npattern = \"b\"\ndefault = \"abc\"",
    "type = \"integer\"",
    "type = \"integer\"\nmin = -3\nmax = 5\noptional = true",
    "type = \"integer\"\nenum = [1, 2, 300]",
    "type = \"number\"\nmin = -0.5\nmax = 5",
    "type = \"number\"\nenum = [1, 2.5]",
    "type = \"numeric\"\nmin = 0",
    "type = \"boolean\"\ndefault = false",
    "type = \"object\"",
    "type = \"jsonb\"",
    "type = \"text[]\"\nmin_length = 1\nmax_length = 2\nenum = [\"a\", \"b\"]",
    "type = \"integer[]\"\nmax = 3",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-10i64..10).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(300)),
        (-20i32..20).prop_map(|n| json!(f64::from(n) / 2.0)),
        "[a-cé]{0,5}".prop_map(Value::from),
        "-?[0-9]{1,2}(\\.0|\\.5)?".prop_map(Value::from),
        Just(json!("true")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The value that a coerced one stands for, or itself.
fn uncoerced(kind: Type, value: &Value) -> Value {
    match (kind, value) {
        (Type::Integer | Type::Number | Type::Numeric, Value::String(text)) => {
            serde_json::from_str(text.trim())
                .ok()
                .filter(Value::is_number)
                .unwrap_or_else(|| value.clone())
        }
        (Type::Boolean, Value::String(text)) if text == "true" => json!(true),
        (Type::Boolean, Value::Number(number)) if number.as_i64() == Some(0) => json!(false),
        (Type::Boolean, Value::Number(number)) if number.as_i64() == Some(1) => json!(true),
        _ => value.clone(),
    }
}

fn plain(kind: Type, value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| uncoerced(kind, item)).collect(),
        other => uncoerced(kind, other),
    }
}

fn cases() -> Vec<(Arc<Tool>, jsonschema::Validator)> {
    let case = |(index, declaration): (usize, &&str)| {
        let tool = tool(
            &format!("schemas-{index}"),
            &format!("[params.p]\n{declaration}"),
            "SELECT :p AS p",
        );
        let definition: Value = serde_json::from_slice(tool.definition(Era::Modern)).unwrap();
        let validator = jsonschema::draft202012::new(&definition["inputSchema"]).unwrap();
        (tool, validator)
    };
    DECLARATIONS.iter().enumerate().map(case).collect()
}

#[test]
fn schemas_are_valid_and_agree_with_our_judgement() {
    let cases = cases();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&prop::option::weighted(0.9, value()), |value| {
            for (tool, validator) in &cases {
                let kind = tool.parameters[0].kind();
                let given = value
                    .as_ref()
                    .map_or(json!({}), |value| json!({ "p": value }));
                let meant = value
                    .as_ref()
                    .map_or(json!({}), |value| json!({ "p": plain(kind, value) }));
                let ours = bind(tool, &given);
                let published = validator.is_valid(&meant);
                prop_assert_eq!(
                    ours.is_ok(),
                    published,
                    "{} {} {:?}",
                    given,
                    tool.parameters[0].type_name(),
                    ours.err()
                );
                if validator.is_valid(&given) {
                    prop_assert!(bind(tool, &given).is_ok(), "the schema accepts {}", given);
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn defaults_and_examples_are_valid_in_their_own_schema() {
    for (tool, validator) in cases() {
        if let Some(default) = &tool.parameters[0].default {
            assert!(validator.is_valid(&json!({ "p": default })), "{default}");
        }
    }
}
