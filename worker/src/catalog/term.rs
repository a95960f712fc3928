//! Values in a declared effect: literals of the tool file, and `":name"`, which stands for one whole value. Never a text template: a
//! value can't change what surrounds it. Knows nothing of effects.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::fault::Faults;
use super::table::to_json;

/// A value with places for others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Literal(Value),
    /// `":name"`.
    Name(String),
    List(Vec<Term>),
    /// In the order of the file.
    Object(Vec<(String, Term)>),
}

impl Term {
    /// Reads a TOML value; `"::text"` is the literal `:text`.
    pub fn read(value: &DeValue<'_>, span: &Range<usize>, faults: &mut Faults) -> Option<Term> {
        Some(match value {
            DeValue::String(text) => Term::text(text),
            DeValue::Array(items) => Term::List(
                items
                    .iter()
                    .map(|item| Term::read(item.get_ref(), span, faults))
                    .collect::<Option<_>>()?,
            ),
            DeValue::Table(entries) => {
                let mut list: Vec<_> = entries.iter().collect();
                // The TOML reader sorts keys.
                list.sort_by_key(|(key, _)| key.span().start);
                let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                    let key: &std::borrow::Cow<'_, str> = key.get_ref();
                    Some((key.to_string(), Term::read(value.get_ref(), span, faults)?))
                };
                Term::Object(list.into_iter().map(entry).collect::<Option<_>>()?)
            }
            other => Term::Literal(to_json(other, span, faults)?),
        })
    }

    pub fn text(text: &str) -> Term {
        match text.strip_prefix(':') {
            Some(literal) if literal.starts_with(':') => Term::Literal(literal.into()),
            Some(name) if !name.is_empty() => Term::Name(name.to_owned()),
            _ => Term::Literal(text.into()),
        }
    }

    /// The names that it needs values for.
    pub fn names<'t>(&'t self, names: &mut Vec<&'t str>) {
        match self {
            Term::Literal(_) => {}
            Term::Name(name) => names.push(name),
            Term::List(items) => items.iter().for_each(|item| item.names(names)),
            Term::Object(entries) => entries.iter().for_each(|(_, term)| term.names(names)),
        }
    }

    /// With the values in their places. `None`: it stands for a value that is absent or null. In an object such an entry is left out, and
    /// of a list the element.
    pub fn fill(&self, values: &Map<String, Value>) -> Option<Value> {
        match self {
            Term::Literal(value) => Some(value.clone()),
            Term::Name(name) => values.get(name).filter(|value| !value.is_null()).cloned(),
            Term::List(items) => Some(Value::Array(
                items.iter().filter_map(|item| item.fill(values)).collect(),
            )),
            Term::Object(entries) => Some(Value::Object(
                entries
                    .iter()
                    .filter_map(|(key, term)| Some((key.clone(), term.fill(values)?)))
                    .collect(),
            )),
        }
    }

    /// As a list of words: a list within it is kept only if all of it has values, so that an option goes with its value.
    pub fn words(&self, values: &Map<String, Value>) -> Vec<String> {
        let Term::List(items) = self else {
            return self.fill(values).as_ref().map(word).into_iter().collect();
        };
        let mut words = Vec::new();
        for item in items {
            match item {
                Term::List(group) => {
                    let group: Option<Vec<String>> = group
                        .iter()
                        .map(|term| term.fill(values).as_ref().map(word))
                        .collect();
                    words.extend(group.into_iter().flatten());
                }
                term => words.extend(term.fill(values).as_ref().map(word)),
            }
        }
        words
    }
}

/// A value as one word: a text as it is, anything else as JSON.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_their_places_and_nowhere_else() {
        let text = "x = { b = ':v', a = [':v', '::v', 1, ':none'], c = ':none', d = ':n' }";
        let table = toml::de::DeTable::parse(text).unwrap();
        let mut faults = Faults::new(super::super::fault::Source::new("t".into(), String::new()));
        let value = table.get_ref().get("x").unwrap();
        let term = Term::read(value.get_ref(), &(0..0), &mut faults).unwrap();
        let values = serde_json::json!({"v": "a\":v, :n", "n": {"k": 1.0}});
        let filled = term.fill(values.as_object().unwrap()).unwrap();
        assert_eq!(
            filled.to_string(),
            r#"{"b":"a\":v, :n","a":["a\":v, :n",":v",1],"d":{"k":1.0}}"#
        );
        let mut names = Vec::new();
        term.names(&mut names);
        assert_eq!(names, ["v", "v", "none", "none", "n"]);
    }

    #[test]
    fn an_option_goes_with_its_value() {
        let term = Term::List(vec![
            Term::text("-v"),
            Term::List(vec![Term::text("--site"), Term::text(":site")]),
            Term::text(":id"),
        ]);
        let words = |values: Value| term.words(values.as_object().unwrap());
        assert_eq!(words(serde_json::json!({"id": 7})), ["-v", "7"]);
        assert_eq!(
            words(serde_json::json!({"site": "a b; rm", "id": null})),
            ["-v", "--site", "a b; rm"]
        );
    }
}
