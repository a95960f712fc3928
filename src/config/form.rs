//! The forms that a text may have: URL paths, names. Knows no option.

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Any,
    /// The path of a URL: `/` and segments of unreserved characters (RFC 3986 §2.3). A slash at the end is dropped.
    UrlPath,
    /// A name that can stand in a URL: a letter or digit, then letters, digits, `_`, `-` or `.`.
    Name,
}

impl Form {
    /// The text as it is kept, or `None` when it isn't of this form.
    pub fn check(self, text: &str) -> Option<String> {
        let good = match self {
            Form::Any => true,
            Form::UrlPath => {
                let path = text.strip_prefix('/')?;
                let path = path.strip_suffix('/').unwrap_or(path);
                let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
                let segment = |segment: &str| {
                    !segment.is_empty()
                        && segment.chars().all(allowed)
                        && !matches!(segment, "." | "..")
                };
                return path.split('/').all(segment).then(|| format!("/{path}"));
            }
            Form::Name => {
                text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            }
        };
        good.then(|| text.to_owned())
    }

    /// One, and several.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Form::Any => ("text", "texts"),
            Form::UrlPath => ("a URL path such as /mcp", "URL paths such as /mcp"),
            Form::Name => (
                "a name of letters, digits, `_`, `-` and `.`",
                "names of letters, digits, `_`, `-` and `.`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_form() {
        let table = [
            (Form::UrlPath, "/mcp", Some("/mcp")),
            (Form::UrlPath, "/swf-monitor/mcp/", Some("/swf-monitor/mcp")),
            (Form::UrlPath, "mcp", None),
            (Form::UrlPath, "/", None),
            (Form::UrlPath, "/a//b", None),
            (Form::UrlPath, "/a/../b", None),
            (Form::UrlPath, "/a b", None),
            (Form::UrlPath, "/a?b", None),
            (Form::Name, "swf", Some("swf")),
            (Form::Name, "a/b", None),
            (Form::Any, "a/b", Some("a/b")),
        ];
        for (form, given, kept) in table {
            assert_eq!(form.check(given).as_deref(), kept, "{form:?} {given}");
        }
    }
}
