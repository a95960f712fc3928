//! Tests of `lexer`.

use proptest::prelude::*;

use super::*;

fn placeholders(sql: &str) -> Vec<&str> {
    let tokens = tokens(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    tokens
        .iter()
        .filter(|token| token.kind == Kind::Placeholder)
        .map(|token| token.text(sql))
        .collect()
}

#[test]
fn placeholders_are_found_in_code_only() {
    let table: &[(&str, &[&str])] = &[
        ("SELECT :a, :b_1", &[":a", ":b_1"]),
        ("SELECT ':a', '''':b", &[":b"]),
        ("SELECT 'back\\' :a", &[":a"]),
        ("SELECT E'back\\' :a' :b", &[":b"]),
        ("SELECT e'x'\n  '\\' :a' :b", &[":b"]),
        ("SELECT e'x'\n -- no\n '\\' :a' :b", &[":b"]),
        ("SELECT e'x' '\\' :a", &[":a"]),
        ("SELECT type'\\' :a", &[":a"]),
        ("SELECT U&'\\0041 :a' :b, N':a', B':a', X':a'", &[":b"]),
        ("SELECT \"a\"\":a\" :b", &[":b"]),
        ("SELECT $$ :a $$ :b", &[":b"]),
        ("SELECT $x$ :a $$ $y$ $x$ :b", &[":b"]),
        ("SELECT a$x$ :a, b$x$", &[":a"]),
        ("SELECT 1$x$ :a $x$", &[]),
        ("SELECT /* :a /* :b */ :c */ :d", &[":d"]),
        ("SELECT 1 -- :a\n, :b", &[":b"]),
        ("SELECT x::int, f(a := :a), y::text::int", &[":a"]),
        ("SELECT :a::int", &[":a"]),
        ("SELECT x[1:2], x[:2]", &[]),
        (
            "SELECT (a, b) < (:cursor.a, :cursor.b) AND :c.d",
            &[":cursor.a", ":cursor.b", ":c"],
        ),
        ("SELECT 5/*:a*/-:b, 5--:c", &[":b"]),
        ("SELECT 'é:a', é:b", &[":b"]),
        (": a :", &[]),
    ];
    for (sql, expected) in table {
        assert_eq!(placeholders(sql), *expected, "{sql}");
    }
}

#[test]
fn fragment_marks_are_comments_with_a_question_mark() {
    let sql = "a --? x y\n'--? s' /* --? c */ -- ? no\n$$--? d$$ \"--? q\" --?z";
    let marks: Vec<&str> = tokens(sql)
        .unwrap()
        .iter()
        .filter(|token| token.kind == Kind::Fragment)
        .map(|token| token.text(sql))
        .collect();
    assert_eq!(marks, ["--? x y", "--?z"]);
}

#[test]
fn unterminated_tokens_are_named_where_they_begin() {
    let table = [
        ("SELECT 'a", "string", 7..8),
        ("SELECT 'a''", "string", 7..8),
        ("SELECT E'a\\'", "string", 8..9),
        ("SELECT \"a", "quoted identifier", 7..8),
        ("SELECT $x$ $$", "dollar-quoted string", 7..10),
        ("a /* /* */", "comment", 2..4),
    ];
    for (sql, what, span) in table {
        assert_eq!(tokens(sql), Err(Unterminated { what, span }), "{sql}");
    }
}

#[test]
fn positions_and_statement_ends() {
    let kinds = |sql: &str| -> Vec<Kind> { tokens(sql).unwrap().iter().map(|t| t.kind).collect() };
    assert_eq!(kinds("$1;"), [Kind::Positional, Kind::Semicolon]);
    assert_eq!(kinds("(1.5e3)"), [Kind::Open, Kind::Number, Kind::Close]);
    assert_eq!(kinds("$ a"), [Kind::Other, Kind::Word]);
    assert_eq!(kinds("';'"), [Kind::Quoted]);
}

/// A piece of SQL and the placeholders that it holds.
fn piece() -> impl Strategy<Value = (String, usize)> {
    let text = "[a-z:; $?/*-]{0,12}";
    prop_oneof![
        text.prop_map(|t| (format!("'{t}'"), 0)),
        text.prop_map(|t| (format!("E'\\'{t}'"), 0)),
        text.prop_map(|t| (format!("\"{t}\""), 0)),
        "[a-z:; ?'\"]{0,12}".prop_map(|t| (format!("$q${t}$q$"), 0)),
        "[a-z:; $?'\"]{0,12}".prop_map(|t| (format!("/*{t}*/"), 0)),
        text.prop_map(|t| (format!("--{t}\n"), 0)),
        "[a-z]{1,5}".prop_map(|t| (format!(":{t}"), 1)),
        "[a-z]{1,5}".prop_map(|t| (format!("x::{t}"), 0)),
        "[a-z(),+]{1,5}".prop_map(|t| (t, 0)),
    ]
}

proptest! {
    #[test]
    fn any_text_is_lexed_without_panic_and_in_order(sql in "\\PC{0,60}|[\\\\'\"$:a/*;?E\n-]{0,60}") {
        if let Ok(tokens) = tokens(&sql) {
            let mut end = 0;
            for token in &tokens {
                prop_assert!(token.span.start >= end && token.span.end > token.span.start);
                prop_assert!(sql.get(token.span.clone()).is_some(), "not a character boundary");
                prop_assert!(sql[end..token.span.start].chars().all(char::is_whitespace));
                end = token.span.end;
            }
            prop_assert!(sql[end..].trim().is_empty());
        }
    }

    #[test]
    fn placeholders_are_counted_exactly(pieces in prop::collection::vec(piece(), 0..12)) {
        // The space keeps pieces apart: `e` before a quote would make an E-string.
        let sql: String = pieces.iter().map(|(text, _)| format!("{text} , ")).collect();
        let expected: usize = pieces.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(placeholders(&sql).len(), expected, "{}", sql);
    }
}
