//! The types that a parameter can have: their names in tool files, in JSON Schema and in PostgreSQL. Knows nothing of
//! values.

/// The type of a parameter, or of the elements of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    /// A 64-bit integer; a 32-bit one where its bounds say so.
    Integer,
    /// A double.
    Number,
    /// A number of any size and precision.
    Numeric,
    Boolean,
    Date,
    /// A wall-clock time without zone.
    Timestamp,
    Timestamptz,
    Uuid,
    /// Any JSON value, as PostgreSQL's `json`.
    Json,
    /// Any JSON value, as PostgreSQL's `jsonb`.
    Jsonb,
    /// A JSON object, as `jsonb`.
    Object,
}

pub(crate) const NAMES: [(&str, Type); 12] = [
    ("text", Type::Text),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("numeric", Type::Numeric),
    ("boolean", Type::Boolean),
    ("date", Type::Date),
    ("timestamp", Type::Timestamp),
    ("timestamptz", Type::Timestamptz),
    ("uuid", Type::Uuid),
    ("json", Type::Json),
    ("jsonb", Type::Jsonb),
    ("object", Type::Object),
];

/// Let the server infer the type.
pub(crate) const UNSPECIFIED: u32 = 0;
pub(crate) const JSONB: u32 = 3802;

impl Type {
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("text", |(name, _)| name)
    }

    /// The JSON Schema type; `None`: any.
    pub(crate) fn schema_type(self) -> Option<&'static str> {
        match self {
            Type::Text | Type::Date | Type::Timestamp | Type::Timestamptz | Type::Uuid => {
                Some("string")
            }
            Type::Integer => Some("integer"),
            Type::Number | Type::Numeric => Some("number"),
            Type::Boolean => Some("boolean"),
            Type::Object => Some("object"),
            Type::Json | Type::Jsonb => None,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Type::Integer | Type::Number | Type::Numeric)
    }

    pub(crate) fn is_time(self) -> bool {
        matches!(self, Type::Date | Type::Timestamp | Type::Timestamptz)
    }

    pub(crate) fn is_json(self) -> bool {
        matches!(self, Type::Json | Type::Jsonb | Type::Object)
    }

    /// The type's OID and that of its array type (`pg_type.dat`: these never change).
    pub(crate) fn oid(self, list: bool, small: bool) -> u32 {
        let (one, many) = match self {
            Type::Text => (25, 1009),
            Type::Integer if small => (23, 1007),
            Type::Integer => (20, 1016),
            Type::Number => (701, 1022),
            Type::Numeric => (1700, 1231),
            Type::Boolean => (16, 1000),
            Type::Date => (1082, 1182),
            Type::Timestamp => (1114, 1115),
            Type::Timestamptz => (1184, 1185),
            Type::Uuid => (2950, 2951),
            Type::Json => (114, 199),
            Type::Jsonb | Type::Object => (JSONB, 3807),
        };
        if list { many } else { one }
    }
}
