//! A short text with `{parameter}` in it, such as `No ticket {id}.`, filled with what the caller gave. Knows nothing
//! of where it is shown.

use super::arguments::Given;
use super::parameter::Parameter;
use super::values;

/// The longest value that is shown whole, in characters.
const SHOWN: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Index of a parameter.
    Value(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    /// Fails with the name that is no argument. `{{` and `}}` are braces.
    pub fn parse(text: &str, parameters: &[Parameter]) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(rest.get(..at).unwrap_or_default());
            rest = rest.get(at..).unwrap_or_default();
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push_str(rest.get(..1).unwrap_or_default());
                rest = after;
                continue;
            }
            let name = rest
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = name else {
                return Err(rest.get(..1).unwrap_or_default().to_owned());
            };
            let index = parameters
                .iter()
                .position(|p| p.origin.is_caller() && p.name == name);
            let Some(index) = index else {
                return Err(name.to_owned());
            };
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(Part::Value(index));
            rest = after;
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Ok(Template(parts))
    }

    pub fn needs_arguments(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Value(_)))
    }

    pub fn fill(&self, parameters: &[Parameter], given: &Given<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(index) => {
                    let parameter = parameters.get(*index);
                    match parameter.and_then(|p| given.find(&p.name)) {
                        Some(raw) => text.push_str(&shown(raw)),
                        None => match parameter.and_then(|p| p.default.as_ref()) {
                            Some(default) => text.push_str(&shown(&default.to_string())),
                            None => text.push_str("(none)"),
                        },
                    }
                }
            }
        }
        text
    }
}

/// A JSON value for people: a string without its quotes, a long value cut.
pub(crate) fn shown(raw: &str) -> String {
    let text = values::string(raw, "").unwrap_or(raw.into());
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn values_are_shown_as_given() {
        let parameters = [Parameter::limit(20, 100, 0..0), Parameter::cursor(0..0)];
        let template = Template::parse("{{{limit}}} of {cursor}", &parameters).unwrap();
        let raw = RawValue::from_string(r#"{"cursor":"é\n"}"#.to_owned()).unwrap();
        let given = Given::parse(Some(&raw)).unwrap();
        assert_eq!(template.fill(&parameters, &given), "{20} of é\n");
        assert_eq!(
            template.fill(&parameters, &Given::default()),
            "{20} of (none)"
        );
        assert!(template.needs_arguments());
        assert!(
            !Template::parse("plain", &parameters)
                .unwrap()
                .needs_arguments()
        );
    }

    #[test]
    fn names_must_be_arguments() {
        assert_eq!(Template::parse("no {id}", &[]), Err("id".to_owned()));
        assert_eq!(Template::parse("no { id", &[]), Err("{".to_owned()));
        assert_eq!(Template::parse("no }", &[]), Err("}".to_owned()));
    }

    #[test]
    fn long_values_are_cut() {
        let long = format!("\"{}\"", "é".repeat(200));
        assert_eq!(shown(&long).chars().count(), 103);
    }
}
