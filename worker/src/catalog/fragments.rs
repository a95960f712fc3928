//! A tool's SQL as a template: text, placeholders, and lines that stay only when their parameters have values. Knows
//! places and names; what a placeholder is bound to is decided elsewhere.
//!
//! Kept or dropped text is the author's own; a value never becomes SQL. (DBHub and MCP Toolbox splice values; the
//! NULL-guard idiom they teach defeats indexes with a generic plan.)

use std::ops::Range;

use super::fault::Faults;
use super::lexer::{self, Kind, Token};
use super::table::At;

/// At most so many different conditions, so at most 2^8 variants.
pub(crate) const MAX_GUARDS: usize = 8;

/// A run of the author's text, or one placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// The placeholder's name, without the colon: `status`, `cursor.id`.
    pub placeholder: Option<String>,
    /// Index into [`Template::guards`]: kept only when that holds.
    pub guard: Option<usize>,
}

/// The parameter names of a `--?` mark, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub names: Vec<At<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// The statement in the file, from its first token to before its semicolon.
    pub span: Range<usize>,
    pub pieces: Vec<Piece>,
    pub guards: Vec<Guard>,
}

/// The two statements in `range` of the file; `None`: there is only one, or it is no SQL at all.
pub(crate) fn halves(text: &str, range: &Range<usize>) -> Option<[Range<usize>; 2]> {
    let tokens = lexer::tokens(text.get(range.clone())?).ok()?;
    let end = tokens
        .iter()
        .position(|token| token.kind == Kind::Semicolon)?;
    let (_, after) = tokens.split_at(end + 1);
    let cut = range.start + tokens.get(end)?.span.end;
    after
        .iter()
        .any(|token| !matches!(token.kind, Kind::Comment | Kind::Fragment | Kind::Semicolon))
        .then_some([range.start..cut, cut..range.end])
}

/// Reads the statement in `range` of the file. `None`: nothing usable is there, and a fault says why. The tokens are
/// those of the statement, with file offsets.
pub(crate) fn parse(
    text: &str,
    range: Range<usize>,
    faults: &mut Faults,
) -> Option<(Template, Vec<Token>)> {
    let base = range.start;
    let sql = text.get(range.clone())?;
    let mut tokens = match lexer::tokens(sql) {
        Ok(tokens) => tokens,
        Err(open) => {
            let span = base + open.span.start..base + open.span.end;
            faults.error(span, format!("this {} never ends", open.what));
            return None;
        }
    };
    for token in &mut tokens {
        token.span = base + token.span.start..base + token.span.end;
    }
    let is_code = |token: &Token| !matches!(token.kind, Kind::Comment | Kind::Fragment);
    if let Some(end) = tokens
        .iter()
        .position(|token| token.kind == Kind::Semicolon)
    {
        let after = tokens.get(end + 1..).unwrap_or_default();
        if let Some(second) = after.iter().find(|token| is_code(token)) {
            faults.error_with(
                second.span.clone(),
                "a second statement begins here",
                "a tool runs one statement; join them with WITH, or make two tools",
            );
            return None;
        }
        tokens.truncate(end);
    }
    if !tokens.iter().any(is_code) {
        faults.error(
            range.end..range.end,
            "the file holds no SQL statement after its front matter",
        );
        return None;
    }
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return None;
    };
    let span = first.span.start..last.span.end;
    for token in tokens.iter().filter(|token| token.kind == Kind::Positional) {
        faults.error_with(
            token.span.clone(),
            format!("`{}` is not for tool files", token.text(text)),
            "declare a parameter and write :name",
        );
    }
    let (guards, lines) = guarded_lines(text, &span, &tokens, faults);
    let pieces = pieces(text, &span, &tokens, &lines);
    Some((
        Template {
            span,
            pieces,
            guards,
        },
        tokens,
    ))
}

/// The different guards, and each marked line with its guard's index.
fn guarded_lines(
    text: &str,
    statement: &Range<usize>,
    tokens: &[Token],
    faults: &mut Faults,
) -> (Vec<Guard>, Vec<(Range<usize>, usize)>) {
    let mut guards: Vec<Guard> = Vec::new();
    let mut lines = Vec::new();
    for mark in tokens.iter().filter(|token| token.kind == Kind::Fragment) {
        let before = text.get(..mark.span.start).unwrap_or_default();
        let start = before
            .rfind(['\n', '\r'])
            .map_or(0, |at| at + 1)
            .max(statement.start);
        let straddler = tokens
            .iter()
            .find(|token| token.span.start < start && token.span.end > start);
        if let Some(token) = straddler {
            faults.error_with(
                token.span.clone(),
                "a line marked with --? begins inside this",
                "a marked line is kept or dropped whole: let the string or comment begin and end on other lines",
            );
            continue;
        }
        let names = names(mark, text);
        if names.is_empty() {
            faults.error_with(
                mark.span.clone(),
                "`--?` names no parameter",
                "write --? and the parameters that the line needs: --? status",
            );
            continue;
        }
        let same = |guard: &Guard| {
            guard
                .names
                .iter()
                .map(|n| &n.value)
                .eq(names.iter().map(|n| &n.value))
        };
        let index = guards.iter().position(same).unwrap_or_else(|| {
            guards.push(Guard { names });
            guards.len() - 1
        });
        if index == MAX_GUARDS {
            faults.error_with(
                mark.span.clone(),
                format!("more than {MAX_GUARDS} different --? conditions"),
                "each doubles the number of statements; use coalesce bounds for some, or two tools",
            );
        }
        lines.push((start..mark.span.end, index));
    }
    (guards, lines)
}

fn names(mark: &Token, text: &str) -> Vec<At<String>> {
    let content = mark.text(text);
    let mut names: Vec<At<String>> = Vec::new();
    let mut at = 0;
    for word in content.split(|c: char| c.is_whitespace() || c == ',') {
        let start = mark.span.start + at;
        at += word.len() + 1;
        let (word, start) = match word.strip_prefix("--?") {
            Some(rest) => (rest, start + 3),
            None => (word, start),
        };
        if !word.is_empty() && names.iter().all(|name| name.value != word) {
            names.push(At {
                value: word.to_owned(),
                span: start..start + word.len(),
            });
        }
    }
    names.sort_by(|a, b| a.value.cmp(&b.value));
    names
}

fn pieces(
    text: &str,
    statement: &Range<usize>,
    tokens: &[Token],
    lines: &[(Range<usize>, usize)],
) -> Vec<Piece> {
    // Every place where a piece can begin or end.
    let placeholders = || {
        tokens
            .iter()
            .filter(|token| token.kind == Kind::Placeholder)
    };
    let mut cuts = vec![statement.start, statement.end];
    cuts.extend(placeholders().flat_map(|token| [token.span.start, token.span.end]));
    cuts.extend(lines.iter().flat_map(|(line, _)| [line.start, line.end]));
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::new();
    for pair in cuts.windows(2) {
        let [start, end] = *pair else { continue };
        let placeholder = placeholders()
            .find(|token| token.span.start == start)
            .and_then(|token| token.text(text).strip_prefix(':').map(str::to_owned));
        let guard = lines
            .iter()
            .find(|(line, _)| line.start <= start && end <= line.end)
            .map(|(_, guard)| *guard);
        pieces.push(Piece {
            span: start..end,
            placeholder,
            guard,
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::fault::Source;
    use super::*;

    fn read(sql: &str) -> (Option<Template>, Vec<String>) {
        let mut faults = Faults::new(Source::new("t.sql".into(), sql.to_owned()));
        let template = parse(sql, 0..sql.len(), &mut faults).map(|(template, _)| template);
        (
            template,
            faults.list.iter().map(ToString::to_string).collect(),
        )
    }

    fn kept(sql: &str, mask: usize) -> String {
        let (template, faults) = read(sql);
        assert_eq!(faults, Vec::<String>::new());
        let template = template.unwrap();
        let keep = |piece: &&Piece| piece.guard.is_none_or(|guard| mask & (1 << guard) != 0);
        template
            .pieces
            .iter()
            .filter(keep)
            .map(|piece| &sql[piece.span.clone()])
            .collect()
    }

    #[test]
    fn a_marked_line_goes_and_its_newline_stays() {
        let sql = "SELECT 1\nWHERE true\n  AND a = :a --? a\n  AND b = :b -- x --? no\n  AND c = :c\t--? c a\n;\n-- end";
        assert_eq!(
            kept(sql, 0),
            "SELECT 1\nWHERE true\n\n  AND b = :b -- x --? no\n"
        );
        assert_eq!(
            kept(sql, 1),
            "SELECT 1\nWHERE true\n  AND a = :a --? a\n  AND b = :b -- x --? no\n"
        );
        assert_eq!(kept(sql, 3), &sql[..sql.find("\n;").unwrap()]);
    }

    #[test]
    fn a_line_ends_where_postgresql_ends_a_comment() {
        for end in ["\n", "\r\n", "\r"] {
            let sql = ["SELECT 1", ", 2 --? a", ", 3"].join(end);
            let dropped = kept(&sql, 0);
            assert_eq!(dropped.replace(['\n', '\r'], ""), "SELECT 1, 3", "{sql:?}");
            assert_eq!(kept(&sql, 1), sql);
        }
    }

    #[test]
    fn marks_are_read_only_where_sql_has_comments() {
        let sql = "SELECT '\n--? a\n', $$ x --? b $$, \"--? c\" /* --? d */\n, :e --? e,f";
        let (template, faults) = read(sql);
        assert_eq!(faults, Vec::<String>::new());
        let guards = template.unwrap().guards;
        let names: Vec<Vec<&str>> = guards
            .iter()
            .map(|guard| guard.names.iter().map(|name| name.value.as_str()).collect())
            .collect();
        assert_eq!(names, [["e", "f"]]);
        let name = &guards[0].names[1];
        assert_eq!(&sql[name.span.clone()], "f");
    }

    #[test]
    fn equal_conditions_share_a_guard() {
        let (template, _) = read("SELECT 1\n, 2 --? b a\n, 3 --?a  b\n, 4 --? a");
        let template = template.unwrap();
        assert_eq!(template.guards.len(), 2);
        let guards: Vec<usize> = template
            .pieces
            .iter()
            .filter_map(|piece| piece.guard)
            .collect();
        assert_eq!(guards, [0, 0, 1]);
    }

    #[test]
    fn a_mark_on_the_first_line_drops_that_line() {
        assert_eq!(
            kept("SELECT 1 --? a\nUNION SELECT 2", 0),
            "\nUNION SELECT 2"
        );
    }

    #[test]
    fn faults_have_places() {
        let table = [
            ("", "1:1: error: the file holds no SQL statement"),
            (" -- x\n;", "error: the file holds no SQL statement"),
            (
                "SELECT 1; SELECT 2",
                "1:11: error: a second statement begins here",
            ),
            ("SELECT 'x", "1:8: error: this string never ends"),
            ("SELECT $1", "1:8: error: `$1` is not for tool files"),
            ("SELECT 1 --?", "1:10: error: `--?` names no parameter"),
            (
                "SELECT 'a\nb' --? x",
                "1:8: error: a line marked with --? begins inside this",
            ),
            (
                "SELECT 1--?a\n--?b\n--?c\n--?d\n--?e\n--?f\n--?g\n--?h\n--?i",
                "9:1: error: more than 8 different --? conditions",
            ),
        ];
        for (sql, expected) in table {
            let (_, faults) = read(sql);
            assert!(
                faults.iter().any(|fault| fault.contains(expected)),
                "{sql}: {faults:?}"
            );
        }
    }
}
