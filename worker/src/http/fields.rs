//! Header fields: which ones are kept, and how names are told apart. Knows nothing of what values mean.

/// A field that the reader knows. All others are checked for syntax and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Kept; a second line is refused.
    Single(Kept),
    /// Kept; several lines are one list.
    List(Kept),
    /// `Mcp-Param-*`; each name at most once.
    Param,
    /// Decides how the message is framed, or must only not be repeated.
    Framing(FramingField),
}

/// A field that is read for what it decides and not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FramingField {
    Connection,
    ContentLength,
    Expect,
    TransferEncoding,
    /// Means nothing here, but a second line is refused, as of every MCP header.
    SessionId,
}

/// A field whose text a head keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Host,
    Origin,
    ContentType,
    Authorization,
    ProtocolVersion,
    McpMethod,
    McpName,
    Accept,
    AcceptEncoding,
    ForwardedFor,
    UserAgent,
}

impl Kept {
    pub(super) const COUNT: usize = 11;
    /// Those whose lines join.
    pub(super) const LISTS: [Kept; 4] = [
        Kept::Accept,
        Kept::AcceptEncoding,
        Kept::ForwardedFor,
        Kept::UserAgent,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Kept::Host => "Host",
            Kept::Origin => "Origin",
            Kept::ContentType => "Content-Type",
            Kept::Authorization => "Authorization",
            Kept::ProtocolVersion => "MCP-Protocol-Version",
            Kept::McpMethod => "Mcp-Method",
            Kept::McpName => "Mcp-Name",
            Kept::Accept => "Accept",
            Kept::AcceptEncoding => "Accept-Encoding",
            Kept::ForwardedFor => "X-Forwarded-For",
            Kept::UserAgent => "User-Agent",
        }
    }
}

/// What precedes the parameter's own name.
pub(super) const PARAM_PREFIX: &str = "Mcp-Param-";

/// The field of a name; case does not matter (RFC 9110 section 5.1). Picks by length first: most names cost one comparison.
pub(super) fn known(name: &str) -> Option<Field> {
    const NAMES: [&[(&str, Field)]; 21] = {
        let mut by_length: [&[(&str, Field)]; 21] = [&[]; 21];
        by_length[4] = &[("host", Field::Single(Kept::Host))];
        by_length[6] = &[
            ("accept", Field::List(Kept::Accept)),
            ("origin", Field::Single(Kept::Origin)),
            ("expect", Field::Framing(FramingField::Expect)),
        ];
        by_length[8] = &[("mcp-name", Field::Single(Kept::McpName))];
        by_length[10] = &[
            ("connection", Field::Framing(FramingField::Connection)),
            ("mcp-method", Field::Single(Kept::McpMethod)),
            // No list, but a second line was never an error.
            ("user-agent", Field::List(Kept::UserAgent)),
        ];
        by_length[12] = &[("content-type", Field::Single(Kept::ContentType))];
        by_length[13] = &[("authorization", Field::Single(Kept::Authorization))];
        by_length[14] = &[
            (
                "content-length",
                Field::Framing(FramingField::ContentLength),
            ),
            ("mcp-session-id", Field::Framing(FramingField::SessionId)),
        ];
        by_length[15] = &[
            ("accept-encoding", Field::List(Kept::AcceptEncoding)),
            ("x-forwarded-for", Field::List(Kept::ForwardedFor)),
        ];
        by_length[17] = &[(
            "transfer-encoding",
            Field::Framing(FramingField::TransferEncoding),
        )];
        by_length[20] = &[("mcp-protocol-version", Field::Single(Kept::ProtocolVersion))];
        by_length
    };
    let candidates = NAMES.get(name.len()).copied().unwrap_or_default();
    for (known, field) in candidates {
        if known.eq_ignore_ascii_case(name) {
            return Some(*field);
        }
    }
    param_name(name).map(|_| Field::Param)
}

/// The parameter's name in `Mcp-Param-NAME`.
pub(super) fn param_name(name: &str) -> Option<&str> {
    let (prefix, param) = name.split_at_checked(PARAM_PREFIX.len())?;
    (!param.is_empty() && prefix.eq_ignore_ascii_case(PARAM_PREFIX)).then_some(param)
}

/// Drops optional white space on both ends (RFC 9110 section 5.5; OWS is spaces and tabs).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case() {
        assert_eq!(known("HOST"), Some(Field::Single(Kept::Host)));
        assert_eq!(
            known("mCp-pRotocol-Version"),
            Some(Field::Single(Kept::ProtocolVersion))
        );
        assert_eq!(known("Mcp-Param-Region"), Some(Field::Param));
        assert_eq!(known("mcp-param-"), None);
        assert_eq!(known("Content_Length"), None);
        assert_eq!(known("X-Something-That-Nobody-Knows"), None);
    }

    #[test]
    fn every_list_is_known_as_one() {
        for kept in Kept::LISTS {
            assert_eq!(known(kept.label()), Some(Field::List(kept)));
        }
    }
}
