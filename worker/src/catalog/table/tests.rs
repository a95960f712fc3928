//! Tests of `table`.

use super::*;
use crate::catalog::fault::Source;

fn read(toml: &str, with: impl FnOnce(&mut Table<'_, '_>, &mut Faults)) -> Vec<String> {
    let text = format!("??{toml}");
    let mut faults = Faults::new(Source::new("t".into(), text.clone()));
    if let Some(parsed) = parse(&text, &(2..text.len()), &mut faults) {
        let mut table = Table::new(parsed.get_ref(), "", 0..0, 2);
        with(&mut table, &mut faults);
        table.finish(&mut faults);
    }
    faults.list.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_of_a_table_is_reported_with_its_place() {
    let faults = read(
        "a = 1\nb = \"x\"\ntimout = \"2s\"\nzzzzzz = 1",
        |table, faults| {
            assert_eq!(table.string("a", faults), None);
            assert_eq!(table.integer("b", faults), None);
            assert_eq!(table.duration("timeout", faults), None);
        },
    );
    assert_eq!(
        faults,
        [
            "t:1:7: error: `a` must be a string, not an integer",
            "t:2:5: error: `b` must be an integer, not a string",
            "t:3:1: error: unknown key `timout` (help: did you mean `timeout`?)",
            "t:4:1: error: unknown key `zzzzzz` (help: known keys here: a, b, timeout)",
        ]
    );
}

#[test]
fn bad_toml_is_a_fault_where_it_is_bad() {
    let faults = read("a = \nb = 2", |_, _| panic!("must not be read"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("t:1:7: error: not valid TOML"),
        "{faults:?}"
    );
}

#[test]
fn durations_are_whole_numbers_with_a_unit() {
    assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(parse_duration("2 s"), Some(Duration::from_secs(2)));
    assert_eq!(parse_duration("1m"), Some(Duration::from_secs(60)));
    for bad in [
        "",
        "2",
        "0s",
        "-1s",
        "s",
        "2 hours",
        "99999999999999999999s",
    ] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}

#[test]
fn named_tables_keep_the_order_of_the_file() {
    read("[p.z]\n[p.a]\n[p.m]", |table, faults| {
        let params = table.table("p", faults).unwrap();
        let names: Vec<String> = params
            .named_tables(faults)
            .into_iter()
            .map(|(name, _)| name.value)
            .collect();
        assert_eq!(names, ["z", "a", "m"]);
    });
}
