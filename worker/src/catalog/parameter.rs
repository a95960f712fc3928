//! One parameter of a tool: where its value comes from, what its values must be, and what its absence means. Ready to
//! judge a caller's value; the whole call is `arguments`.

use std::ops::Range;

use serde_json::Value;

use super::kind::Type;
use super::values::{Bound, Rules};

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The caller.
    Argument,
    /// The caller: the page size. One more row than it says is fetched.
    Limit,
    /// The caller: a cursor that an earlier answer gave out.
    Cursor,
    /// The user that the caller's token belongs to.
    TokenUser,
    /// The name of the caller's token.
    TokenName,
    /// The name of this host.
    ServerHost,
    /// A setting of the toolset.
    Setting,
    /// A file of the toolset, as JSON.
    File,
    /// When the call began.
    Now,
}

pub(crate) const ORIGINS: [(&str, Origin); 4] = [
    ("token.user", Origin::TokenUser),
    ("token.name", Origin::TokenName),
    ("server.host", Origin::ServerHost),
    ("now", Origin::Now),
];

impl Origin {
    pub fn is_caller(self) -> bool {
        matches!(self, Origin::Argument | Origin::Limit | Origin::Cursor)
    }

    /// As a tool file writes it; empty for the caller's own arguments.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Argument | Origin::Limit | Origin::Cursor => "",
            Origin::Setting => "setting",
            Origin::File => "file",
            other => ORIGINS
                .iter()
                .find(|(_, origin)| *origin == other)
                .map_or("", |(name, _)| name),
        }
    }
}

/// What an absent argument means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Absence {
    Refused,
    Null,
    /// This text, as PostgreSQL takes it.
    Fixed(String),
    /// This JSON, read anew in every call: a relative time.
    Fresh(String),
}

/// One parameter of a tool.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: String,
    pub description: Option<String>,
    pub origin: Origin,
    /// As published.
    pub default: Option<Value>,
    /// As published.
    pub choices: Vec<Value>,
    /// As published.
    pub examples: Vec<Value>,
    /// The part after `Mcp-Param-` of the HTTP header that repeats the argument (MCP 2026-07-28, `x-mcp-header`).
    pub header: Option<String>,
    /// The parameter's name in the tool file, for faults.
    pub span: Range<usize>,
    pub(crate) rules: Rules,
    pub(crate) absence: Absence,
    /// An empty string counts as absent.
    pub(crate) empty_absent: bool,
    /// The number 0 counts as absent.
    pub(crate) zero_absent: bool,
}

impl Parameter {
    pub fn kind(&self) -> Type {
        self.rules.kind
    }

    pub fn is_list(&self) -> bool {
        self.rules.list
    }

    /// Whether a call must bring it.
    pub fn is_required(&self) -> bool {
        self.origin.is_caller() && self.absence == Absence::Refused
    }

    /// The OID of its PostgreSQL type.
    pub fn oid(&self) -> u32 {
        self.rules.kind.oid(self.rules.list, self.rules.is_small())
    }

    /// As a tool file writes it: `text`, `integer[]`.
    pub fn type_name(&self) -> String {
        format!(
            "{}{}",
            self.rules.kind.name(),
            if self.rules.list { "[]" } else { "" }
        )
    }

    /// The arguments that a page adds: their own names, never those of the author's parameters.
    pub(crate) fn limit(size: u32, max: u32, span: Range<usize>) -> Parameter {
        let mut rules = Rules::of(Type::Integer, false);
        rules.min = Some(integer_bound(1));
        rules.max = Some(integer_bound(i64::from(max)));
        Parameter {
            description: Some("How many rows to return.".to_owned()),
            default: Some(size.into()),
            absence: Absence::Fixed(size.to_string()),
            ..Parameter::plain("limit", Origin::Limit, rules, span)
        }
    }

    pub(crate) fn cursor(span: Range<usize>) -> Parameter {
        Parameter {
            description: Some(
                "The next_cursor of the previous page; leave it out for the first page.".to_owned(),
            ),
            absence: Absence::Null,
            empty_absent: true,
            ..Parameter::plain("cursor", Origin::Cursor, Rules::of(Type::Text, false), span)
        }
    }

    pub(crate) fn plain(name: &str, origin: Origin, rules: Rules, span: Range<usize>) -> Parameter {
        Parameter {
            name: name.to_owned(),
            description: None,
            origin,
            default: None,
            choices: Vec::new(),
            examples: Vec::new(),
            header: None,
            span,
            rules,
            absence: Absence::Refused,
            empty_absent: false,
            zero_absent: false,
        }
    }
}

pub(crate) fn integer_bound(value: i64) -> Bound {
    #[allow(clippy::cast_precision_loss)]
    Bound {
        text: value.to_string(),
        integer: value,
        float: value as f64,
    }
}
