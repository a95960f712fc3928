//! The arguments of one call: taken apart once, judged by every parameter, and all that is wrong told at once. Knows
//! no SQL.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::parameter::{Absence, Origin, Parameter};
use super::values::{Clock, Complaint, is_zero};

/// Who calls, as far as a tool may know.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub user: Option<&'a str>,
    /// The name of the caller's token, never the token.
    pub token: Option<&'a str>,
    pub now: Timestamp,
    /// This host's name.
    pub host: &'a str,
}

/// The arguments are no JSON object; what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub String);

/// The arguments by name, values unread.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    pub entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Given<'a> {
    /// Absent and null arguments are no arguments.
    pub fn parse(arguments: Option<&'a RawValue>) -> Result<Given<'a>, Malformed> {
        let raw = match arguments.map(RawValue::get) {
            None | Some("null") => return Ok(Given::default()),
            Some(raw) => raw,
        };
        if !raw.starts_with('{') {
            return Err(Malformed("arguments must be an object".to_owned()));
        }
        let given: Given<'a> = serde_json::from_str(raw)
            .map_err(|_| Malformed("arguments are not a readable JSON object".to_owned()))?;
        for (index, (name, _)) in given.entries.iter().enumerate() {
            if given
                .entries
                .iter()
                .take(index)
                .any(|(other, _)| other == name)
            {
                return Err(Malformed(format!("the argument {name} is given twice")));
            }
        }
        Ok(given)
    }

    pub fn find(&self, name: &str) -> Option<&'a str> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.get())
    }

    /// The names that are no argument of the tool.
    pub fn unknown(&self, parameters: &[Parameter]) -> Vec<String> {
        let known = |name: &str| {
            parameters
                .iter()
                .any(|p| p.origin.is_caller() && p.name == name)
        };
        self.entries
            .iter()
            .filter(|(name, _)| !known(name))
            .map(|(name, _)| name.clone().into_owned())
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Given<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'de>, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Given { entries })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An object's key, borrowed unless it holds escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Collects what is wrong with a call.
#[derive(Debug, Default)]
pub(crate) struct Complaints(String);

impl Complaints {
    pub fn add(&mut self, name: &str, complaint: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(name);
        self.0.push_str(": ");
        self.0.push_str(complaint);
    }

    /// A line for each; `None`: there are none.
    pub fn text(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

/// Whether a caller's value counts as one: null never does, empty strings and zeros where the parameter says so.
pub(crate) fn present<'a>(parameter: &Parameter, given: &Given<'a>) -> Option<&'a str> {
    let raw = given.find(&parameter.name)?;
    let absent = raw == "null"
        || (parameter.empty_absent && raw == "\"\"")
        || (parameter.zero_absent && is_zero(raw));
    (!absent).then_some(raw)
}

/// The text that each parameter is bound to, in the parameters' order; `None` is NULL.
pub(crate) fn values(
    parameters: &[Parameter],
    given: &Given<'_>,
    caller: &Caller<'_>,
    zone: &TimeZone,
    complaints: &mut Complaints,
) -> Vec<Option<String>> {
    let clock = Clock {
        now: caller.now,
        zone,
    };
    let mut values = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let value = match parameter.origin {
            Origin::Argument | Origin::Limit | Origin::Cursor => argument(parameter, given, clock),
            Origin::Now => parameter.rules.read("\"now\"", clock).map(Some),
            Origin::ServerHost => Ok(Some(caller.host.to_owned())),
            Origin::TokenUser => bound(
                parameter,
                caller.user,
                "this tool needs a token that belongs to a user",
            ),
            Origin::Setting | Origin::File => argument(parameter, &Given::default(), clock),
            Origin::TokenName => bound(parameter, caller.token, "this tool needs a token"),
        };
        values.push(value.unwrap_or_else(|complaint| {
            complaints.add(&parameter.name, &complaint);
            None
        }));
    }
    values
}

fn argument(
    parameter: &Parameter,
    given: &Given<'_>,
    clock: Clock<'_>,
) -> Result<Option<String>, Complaint> {
    if let Some(raw) = present(parameter, given) {
        return parameter.rules.read(raw, clock).map(Some);
    }
    match &parameter.absence {
        Absence::Refused => Err("is required".into()),
        Absence::Null => Ok(None),
        Absence::Fixed(text) => Ok(Some(text.clone())),
        Absence::Fresh(raw) => parameter.rules.read(raw, clock).map(Some),
    }
}

fn bound(
    parameter: &Parameter,
    value: Option<&str>,
    complaint: &'static str,
) -> Result<Option<String>, Complaint> {
    match value {
        Some(value) => Ok(Some(value.to_owned())),
        None if parameter.absence == Absence::Null => Ok(None),
        None => Err(complaint.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert!(Given::parse(None).unwrap().entries.is_empty());
        assert!(Given::parse(Some(&raw("null"))).unwrap().entries.is_empty());
        let text = raw(r#" {"a":1, "\u0062":{"c":[]}} "#);
        let given = Given::parse(Some(&text)).unwrap();
        assert_eq!(given.find("a"), Some("1"));
        assert_eq!(given.find("b"), Some(r#"{"c":[]}"#));
        for bad in ["[]", "1", "\"x\""] {
            let text = raw(bad);
            assert!(Given::parse(Some(&text)).is_err(), "{bad}");
        }
        let text = raw(r#"{"a":1,"\u0061":2}"#);
        assert_eq!(
            Given::parse(Some(&text)).unwrap_err().0,
            "the argument a is given twice"
        );
    }
}
