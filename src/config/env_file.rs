//! A file of environment variables, as services keep them: `NAME=VALUE` lines. Reads what python-dotenv, python-decouple and
//! systemd's EnvironmentFile= read alike, and refuses what they read differently, rather than hand on a password that isn't the one meant.
//! Knows no variable. Its messages name lines and never show them: they hold secrets.

use std::collections::BTreeMap;

/// Every variable of the text; the last one of a name counts. `Err` is every complaint, each with its line from 1.
pub fn read(text: &str) -> Result<BTreeMap<String, String>, Vec<(usize, String)>> {
    let mut variables = BTreeMap::new();
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match variable(line) {
            Ok(Some((name, value))) => {
                variables.insert(name, value);
            }
            Ok(None) => {}
            Err(complaint) => complaints.push((number + 1, complaint.to_owned())),
        }
    }
    match complaints.is_empty() {
        true => Ok(variables),
        false => Err(complaints),
    }
}

/// One line; `None` for an empty one or a comment.
fn variable(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else {
        return Err("expected NAME=VALUE");
    };
    let name = name.trim();
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let whole = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !starts || !whole {
        return Err("expected a name of letters, digits and underscores before the `=`");
    }
    value_of(value.trim()).map(|value| Some((name.to_owned(), value)))
}

fn value_of(text: &str) -> Result<String, &'static str> {
    let quoted = |quote: char| {
        let inner = text.strip_prefix(quote)?;
        Some(inner.split_once(quote))
    };
    if let Some(parts) = quoted('\'') {
        return match parts {
            Some((inner, _)) if inner.contains("\\\\") || inner.ends_with('\\') => Err(
                "two backslashes, or one before the closing quote: loaders differ; set this variable in the environment instead",
            ),
            Some((inner, rest)) if is_end(rest) => Ok(inner.to_owned()),
            _ => Err("a quoted value must end on its line, with nothing but a comment after it"),
        };
    }
    if let Some(parts) = quoted('"') {
        return match parts {
            Some((inner, _)) if inner.contains(['\\', '$']) => {
                Err("a backslash or a dollar sign in double quotes: use single quotes")
            }
            Some((inner, rest)) if is_end(rest) => Ok(inner.to_owned()),
            _ => Err("a quoted value must end on its line, with nothing but a comment after it"),
        };
    }
    match text {
        _ if text.contains(" #") => {
            Err("is ` #` the start of a comment, or a part of the value? quote the value")
        }
        _ if text.contains(['\\', '\'', '"']) || text.contains("${") => {
            Err("a quote, a backslash or `${` in a value: put single quotes around it")
        }
        _ => Ok(text.to_owned()),
    }
}

/// Whether nothing that counts follows a closing quote.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.trim_start().starts_with('#') && rest.starts_with([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_all_loaders_read_alike() {
        for (line, expected) in [
            ("", None),
            ("  # a comment", None),
            ("A=1", Some(("A", "1"))),
            ("export A_B2 = x y ", Some(("A_B2", "x y"))),
            ("A=", Some(("A", ""))),
            (
                "A='it is $5 \\ # \"so\"'",
                Some(("A", "it is $5 \\ # \"so\"")),
            ),
            ("A=\"two words\" # why", Some(("A", "two words"))),
            ("A=''", Some(("A", ""))),
            (
                "URL=http://h:1/p?a=b#c",
                Some(("URL", "http://h:1/p?a=b#c")),
            ),
            ("PASSWORD=pa$$1word", Some(("PASSWORD", "pa$$1word"))),
            ("A=ü", Some(("A", "ü"))),
        ] {
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(variable(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn lines_that_loaders_disagree_about() {
        for (line, part) in [
            ("A", "expected NAME=VALUE"),
            ("1A=x", "expected a name"),
            ("A B=x", "expected a name"),
            ("=x", "expected a name"),
            ("A='x", "must end on its line"),
            ("A='x'y", "must end on its line"),
            ("A='x'#y", "must end on its line"),
            ("A=\"x\\n\"", "use single quotes"),
            ("A='x\\\\y'", "loaders differ"),
            ("A='x\\'", "loaders differ"),
            ("A=\"$x\"", "use single quotes"),
            ("A=x # y", "quote the value"),
            ("A=it's", "put single quotes"),
            ("A=${B}", "put single quotes"),
            ("A=C:\\x", "put single quotes"),
        ] {
            let complaint = variable(line).unwrap_err();
            assert!(complaint.contains(part), "{line}: {complaint}");
        }
    }

    #[test]
    fn the_last_of_two_counts_and_every_bad_line_is_named() {
        let read_alike = read("A=1\nB=2\r\nA=3\n").unwrap();
        let expected = [("A", "3"), ("B", "2")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(read_alike, BTreeMap::from(expected));
        let complaints = read("A\n\nB=secret'\n").unwrap_err();
        let lines: Vec<usize> = complaints.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3]);
        assert!(!format!("{complaints:?}").contains("secret"));
    }
}
