//! Tests of `parameters`.

use super::*;
use crate::catalog::fault::Source;
use crate::catalog::table;

fn load(toml: &str) -> (Vec<Parameter>, Vec<String>) {
    let mut faults = Faults::new(Source::new("t".into(), toml.to_owned()));
    let parsed = table::parse(toml, &(0..toml.len()), &mut faults).expect("valid TOML");
    let table = Table::new(parsed.get_ref(), "params", 0..0, 0);
    let list = read(&table, &Defaults::default(), &mut faults);
    (
        list,
        faults
            .list
            .iter()
            .map(|fault| fault.message.clone())
            .collect(),
    )
}

#[test]
fn a_good_parameter_is_read_whole() {
    let (list, faults) = load(
        "[n]\ntype = \"integer\"\nmin = 1\nmax = 9\ndefault = 3\ndescription = \"d\"\nheader = \"N\"\n\
         [t]\ntype = \"text[]\"\nenum = [\"a\", \"b\"]\noptional = true\nmax_length = 2\n\
         [s]\ntype = \"timestamptz\"\ndefault = \"now-7d\"\n\
         [u]\nfrom = \"token.user\"\n[w]\nfrom = \"now\"",
    );
    assert_eq!(faults, Vec::<String>::new());
    let [n, t, s, u, w] = list.as_slice() else {
        panic!("five parameters")
    };
    assert_eq!(
        (n.oid(), &n.absence, n.header.as_deref()),
        (23, &Absence::Fixed("3".into()), Some("N"))
    );
    assert_eq!(
        (t.oid(), &t.absence, t.type_name()),
        (1009, &Absence::Null, "text[]".into())
    );
    assert_eq!(s.absence, Absence::Fresh("\"now-7d\"".into()));
    assert_eq!(
        (u.origin, u.kind(), u.is_required()),
        (Origin::TokenUser, Type::Text, false)
    );
    assert_eq!(w.kind(), Type::Timestamptz);
}

#[test]
fn every_contradiction_is_a_fault() {
    let table = [
        ("[a-b]\ntype = \"text\"", "can't name a parameter"),
        ("[a]\ndescription = \"x\"", "has no type"),
        ("[a]\ntype = \"string\"", "unknown type `string`"),
        (
            "[a]\ntype = \"integer\"\nmin = 2\nmax = 1",
            "min 2 is above max 1",
        ),
        (
            "[a]\ntype = \"integer\"\nmin = 1.5",
            "`min` must be an integer",
        ),
        ("[a]\ntype = \"text\"\nmin = 1", "`min` is for integer"),
        (
            "[a]\ntype = \"integer\"\nmax_length = 1",
            "`max_length` is for texts and lists",
        ),
        (
            "[a]\ntype = \"text\"\npattern = \"(\"",
            "not a pattern: unclosed group",
        ),
        ("[a]\ntype = \"text\"\nenum = []", "allows nothing"),
        (
            "[a]\ntype = \"text\"\nenum = [1]",
            "the enum value 1 must be a string",
        ),
        (
            "[a]\ntype = \"text\"\nenum = [\"x\", \"x\"]",
            "in the enum twice",
        ),
        (
            "[a]\ntype = \"text\"\nenum = [\"x\"]\ndefault = \"y\"",
            "the default \"y\" must be one of x",
        ),
        (
            "[a]\ntype = \"timestamptz\"\ndefault = \"soon\"",
            "the default \"soon\" must be a time",
        ),
        (
            "[a]\ntype = \"integer\"\nexamples = [\"x\"]",
            "the example \"x\" must be an integer",
        ),
        ("[a]\ntype = \"text\"\nheader = \"a b\"", "a header's name"),
        ("[a]\ntype = \"jsonb\"\nheader = \"A\"", "can have a header"),
        (
            "[a]\ntype = \"text\"\nheader = \"A\"\n[b]\ntype = \"text\"\nheader = \"a\"",
            "taken by another",
        ),
        (
            "[a]\nfrom = \"token.user\"\ndefault = \"x\"",
            "`default` has no meaning",
        ),
        (
            "[a]\nfrom = \"now\"\ntype = \"text\"",
            "`now` can't be a text",
        ),
        ("[a]\nfrom = \"moon\"", "`from` must be one of"),
        (
            "[a]\ntype = \"text\"\nempty = \"nul\"",
            "`params.a.empty` must be one of absent, value",
        ),
        (
            "[a]\ntype = \"text\"\nzero = \"absent\"",
            "`zero` is for numbers",
        ),
        (
            "[a]\ntype = \"text\"\noptinal = true",
            "unknown key `params.a.optinal`",
        ),
    ];
    for (toml, expected) in table {
        let (_, faults) = load(toml);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{toml}: {faults:?}"
        );
    }
}
