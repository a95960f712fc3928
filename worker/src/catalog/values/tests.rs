//! Tests of `values`.

use super::*;

fn read(rules: &Rules, raw: &str) -> Result<String, String> {
    let zone = TimeZone::UTC;
    let clock = Clock {
        now: "2026-04-28T12:00:00Z".parse().unwrap(),
        zone: &zone,
    };
    rules.read(raw, clock).map_err(Cow::into_owned)
}

fn table(kind: Type, good: &[(&str, &str)], bad: &[(&str, &str)]) {
    let rules = Rules::of(kind, false);
    for (raw, expected) in good {
        assert_eq!(
            read(&rules, raw).as_deref(),
            Ok(*expected),
            "{kind:?} {raw}"
        );
    }
    for (raw, expected) in bad {
        let complaint = read(&rules, raw).expect_err(raw);
        assert!(complaint.contains(expected), "{kind:?} {raw}: {complaint}");
    }
}

#[test]
fn texts() {
    table(
        Type::Text,
        &[
            (r#""a""#, "a"),
            (r#""""#, ""),
            (r#""a\"\n\u00e9\ud83d\ude00""#, "a\"\né😀"),
            (r#""\\u0000""#, "\\u0000"),
        ],
        &[
            ("5", "must be a string"),
            ("true", "must be a string"),
            ("{}", "must be a string"),
            (r#""a\u0000""#, "NUL"),
            (r#""\ud83d""#, "surrogate"),
            (r#""\ude00\ud83d""#, "surrogate"),
            (r#""\ud83dx""#, "surrogate"),
        ],
    );
}

#[test]
fn integers() {
    table(
        Type::Integer,
        &[
            ("5", "5"),
            ("-0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            (r#""5""#, "5"),
            (r#"" -7 ""#, "-7"),
            (r#""5.0""#, "5"),
            ("9007199254740993.0", "9007199254740993"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
        &[
            ("1.5", "must be an integer"),
            ("true", "must be an integer"),
            (r#""abc""#, "must be an integer"),
            (r#""""#, "must be an integer"),
            (r#""0x10""#, "must be an integer"),
            (r#""1_000""#, "must be an integer"),
            (r#""+5""#, "must be an integer"),
            ("[1]", "must be an integer"),
            ("100000000000000000000", "must be from"),
            ("1e30", "must be from"),
            ("1e-1", "must be an integer"),
        ],
    );
}

#[test]
fn numbers() {
    table(
        Type::Number,
        &[
            ("5", "5.0"),
            ("-1.25", "-1.25"),
            (r#""1e-3""#, "0.001"),
            ("1e300", "1e300"),
        ],
        &[
            ("1e400", "too large"),
            (r#""NaN""#, "must be a number"),
            (r#""Infinity""#, "must be a number"),
            ("null", "must be a number"),
        ],
    );
    table(
        Type::Numeric,
        &[
            ("100000000000000000000", "100000000000000000000"),
            (r#""0.10""#, "0.10"),
            ("1e10", "1e10"),
        ],
        &[
            ("1e5000", "1000 digits"),
            (r#""1e99999999999""#, "1000 digits"),
            (r#""x""#, "must be a number"),
        ],
    );
}

#[test]
fn booleans_uuids_times_and_json() {
    table(
        Type::Boolean,
        &[
            ("true", "true"),
            ("0", "false"),
            (r#""TRUE""#, "true"),
            ("1", "true"),
        ],
        &[
            ("2", "true or false"),
            (r#""yes""#, "true or false"),
            (r#""1""#, "true or false"),
        ],
    );
    table(
        Type::Uuid,
        &[
            (
                r#""0F8FAD5B-D9CB-469F-A165-70867728950E""#,
                "0f8fad5b-d9cb-469f-a165-70867728950e",
            ),
            (
                r#""{0f8fad5b-d9cb-469f-a165-70867728950e}""#,
                "0f8fad5b-d9cb-469f-a165-70867728950e",
            ),
            (
                r#""0f8fad5bd9cb469fa16570867728950e""#,
                "0f8fad5b-d9cb-469f-a165-70867728950e",
            ),
            (
                r#""urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e""#,
                "0f8fad5b-d9cb-469f-a165-70867728950e",
            ),
        ],
        &[(r#""x""#, "must be a UUID"), ("1", "must be a UUID")],
    );
    table(
        Type::Timestamptz,
        &[
            (r#""now-1h""#, "2026-04-28T11:00:00Z"),
            (r#"" 2026-04-28 ""#, "2026-04-28T00:00:00Z"),
        ],
        &[
            (r#""soon""#, "relative such as now-7d"),
            ("5", "relative such as now-7d"),
        ],
    );
    table(
        Type::Jsonb,
        &[
            (r#"{"a":[1,"\u00e9"]}"#, r#"{"a":[1,"\u00e9"]}"#),
            ("1", "1"),
        ],
        &[(r#"{"\u0000":1}"#, "NUL"), (r#"["\udc00"]"#, "surrogate")],
    );
    table(
        Type::Object,
        &[("{}", "{}")],
        &[
            ("[]", "must be a JSON object"),
            (r#""{}""#, "must be a JSON object"),
        ],
    );
}

#[test]
fn lists_are_array_literals() {
    let mut rules = Rules::of(Type::Text, true);
    assert_eq!(
        read(&rules, r#"["a","b\"\\c","{,}",""]"#).unwrap(),
        r#"{"a","b\"\\c","{,}",""}"#
    );
    assert_eq!(read(&rules, "[]").unwrap(), "{}");
    assert_eq!(
        read(&rules, r#""a""#).unwrap_err(),
        "must be a list of strings"
    );
    assert_eq!(
        read(&rules, r#"["a",1]"#).unwrap_err(),
        "element 2 must be a string"
    );
    assert_eq!(
        read(&rules, r#"["a",null]"#).unwrap_err(),
        "element 2 must not be null"
    );
    rules.max_length = Some(1);
    assert_eq!(
        read(&rules, r#"["a","b"]"#).unwrap_err(),
        "must have at most 1 elements, not 2"
    );
}

#[test]
fn rules_are_checked_in_the_caller_s_terms() {
    let bound = |n: i64| {
        Some(Bound {
            text: n.to_string(),
            integer: n,
            float: n as f64,
        })
    };
    let mut rules = Rules::of(Type::Integer, false);
    (rules.min, rules.max) = (bound(1), bound(100));
    assert!(rules.is_small());
    assert_eq!(read(&rules, "0").unwrap_err(), "must be at least 1");
    assert_eq!(read(&rules, "\"101\"").unwrap_err(), "must be at most 100");
    rules.kind = Type::Number;
    assert_eq!(read(&rules, "0.5").unwrap_err(), "must be at least 1");
    let mut rules = Rules::of(Type::Text, false);
    (rules.min_length, rules.max_length) = (Some(1), Some(2));
    assert_eq!(read(&rules, r#""""#).unwrap_err(), "must not be empty");
    assert_eq!(read(&rules, r#""éé""#).unwrap(), "éé");
    assert_eq!(
        read(&rules, r#""abc""#).unwrap_err(),
        "must have at most 2 characters, not 3"
    );
    let mut rules = Rules::of(Type::Text, false);
    rules.pattern = Some(Regex::new("^p[0-9]+$").unwrap());
    assert_eq!(
        read(&rules, r#""x""#).unwrap_err(),
        "must match the pattern ^p[0-9]+$"
    );
    rules.pattern = None;
    rules.choices = vec!["open".into(), "wip".into(), "closed".into()];
    assert_eq!(
        read(&rules, r#""opne""#).unwrap_err(),
        "must be one of open, wip, closed"
    );
}

#[test]
fn zero_in_any_dress() {
    for raw in ["0", "-0", "0.0", "\"0\"", "0e5"] {
        assert!(is_zero(raw), "{raw}");
    }
    for raw in ["1", "\"\"", "false", "null", "\"x\""] {
        assert!(!is_zero(raw), "{raw}");
    }
}
