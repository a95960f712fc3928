//! Reads TOML tables key by key, and collects a fault for every key that is unknown or of the wrong type. Knows TOML
//! and places, not what the keys mean.
//!
//! Not serde: a derived reader stops at the first fault, and an author wants to see all of them at once.

use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::nearest::nearest;

/// A value and the bytes of the file that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// One TOML table being read. Every method that takes a key marks it as known.
pub(crate) struct Table<'t, 'i> {
    entries: &'t DeTable<'i>,
    known: Vec<&'static str>,
    /// What to call the table in a message: empty for the top one, `params.status` for another.
    name: String,
    pub span: Range<usize>,
    /// Where the TOML begins in the file.
    base: usize,
}

/// Parses `text[range]` as TOML; syntax faults go to `faults`.
pub(crate) fn parse<'i>(
    text: &'i str,
    range: &Range<usize>,
    faults: &mut Faults,
) -> Option<Spanned<DeTable<'i>>> {
    let toml = text.get(range.clone())?;
    let (table, errors) = DeTable::parse_recoverable(toml);
    if errors.is_empty() {
        return Some(table);
    }
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        faults.error(
            range.start + span.start..range.start + span.end,
            format!("not valid TOML: {}", error.message().replace('\n', ", ")),
        );
    }
    None
}

impl<'t, 'i> Table<'t, 'i> {
    pub fn new(
        entries: &'t DeTable<'i>,
        name: impl Into<String>,
        span: Range<usize>,
        base: usize,
    ) -> Table<'t, 'i> {
        Table {
            entries,
            known: Vec::new(),
            name: name.into(),
            span,
            base,
        }
    }

    fn place(&self, span: Range<usize>) -> Range<usize> {
        self.base + span.start..self.base + span.end
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn value(&mut self, key: &'static str) -> Option<(&'t DeValue<'i>, Range<usize>)> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        Some((value.get_ref(), self.place(value.span())))
    }

    /// The place of a key's value, or of the whole table.
    pub fn place_of(&self, key: &str) -> Range<usize> {
        self.entries
            .get(key)
            .map_or_else(|| self.span.clone(), |value| self.place(value.span()))
    }

    pub fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.entries.contains_key(key)
    }

    fn wrong(
        &self,
        faults: &mut Faults,
        key: &str,
        value: &DeValue<'_>,
        span: Range<usize>,
        wanted: &str,
    ) {
        faults.error(
            span,
            format!(
                "`{}` must be {wanted}, not {}",
                self.path(key),
                type_name(value)
            ),
        );
    }

    pub fn string(&mut self, key: &'static str, faults: &mut Faults) -> Option<At<String>> {
        let (value, span) = self.value(key)?;
        if let DeValue::String(text) = value {
            return Some(At {
                value: text.to_string(),
                span,
            });
        }
        self.wrong(faults, key, value, span, "a string");
        None
    }

    pub fn boolean(&mut self, key: &'static str, faults: &mut Faults) -> Option<At<bool>> {
        let (value, span) = self.value(key)?;
        if let DeValue::Boolean(value) = value {
            return Some(At {
                value: *value,
                span,
            });
        }
        self.wrong(faults, key, value, span, "true or false");
        None
    }

    pub fn integer(&mut self, key: &'static str, faults: &mut Faults) -> Option<At<i64>> {
        let (value, span) = self.value(key)?;
        if let DeValue::Integer(number) = value
            && let Ok(value) = i64::from_str_radix(number.as_str(), number.radix())
        {
            return Some(At { value, span });
        }
        self.wrong(faults, key, value, span, "an integer");
        None
    }

    /// An integer of at least `least`, as the type that the caller counts with.
    pub fn count<N: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        least: i64,
        faults: &mut Faults,
    ) -> Option<At<N>> {
        let number = self.integer(key, faults)?;
        match N::try_from(number.value) {
            Ok(value) if number.value >= least => Some(At {
                value,
                span: number.span,
            }),
            _ => {
                let path = self.path(key);
                faults.error(
                    number.span,
                    format!("`{path}` must be an integer of at least {least}"),
                );
                None
            }
        }
    }

    /// A duration such as `"500ms"`, `"2s"` or `"1m"`; whole numbers, more than zero.
    pub fn duration(&mut self, key: &'static str, faults: &mut Faults) -> Option<At<Duration>> {
        let text = self.string(key, faults)?;
        if let Some(value) = parse_duration(&text.value) {
            return Some(At {
                value,
                span: text.span,
            });
        }
        let path = self.path(key);
        faults.error_with(
            text.span,
            format!("`{path}` is not a duration"),
            "write a whole number and a unit: \"500ms\", \"2s\" or \"1m\"",
        );
        None
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        faults: &mut Faults,
    ) -> Option<At<T>> {
        let text = self.string(key, faults)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(At {
                value: *value,
                span: text.span,
            });
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let path = self.path(key);
        let message = format!(
            "`{path}` must be one of {}, not `{}`",
            names.join(", "),
            text.value
        );
        match nearest(&text.value, names.iter().copied()) {
            Some(near) => faults.error_with(text.span, message, format!("did you mean `{near}`?")),
            None => faults.error(text.span, message),
        }
        None
    }

    pub fn strings(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
    ) -> Option<At<Vec<At<String>>>> {
        let (value, span) = self.value(key)?;
        let DeValue::Array(items) = value else {
            self.wrong(faults, key, value, span, "a list of strings");
            return None;
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let place = self.place(item.span());
            match item.get_ref() {
                DeValue::String(text) => list.push(At {
                    value: text.to_string(),
                    span: place,
                }),
                other => self.wrong(faults, key, other, place, "a list of strings"),
            }
        }
        Some(At { value: list, span })
    }

    /// Any TOML value, as JSON.
    pub fn json(&mut self, key: &'static str, faults: &mut Faults) -> Option<At<Value>> {
        let (value, span) = self.value(key)?;
        Some(At {
            value: to_json(value, &span, faults)?,
            span,
        })
    }

    /// Any TOML value as it stands.
    pub fn raw(&mut self, key: &'static str) -> Option<At<&'t DeValue<'i>>> {
        let (value, span) = self.value(key)?;
        Some(At { value, span })
    }

    pub fn table(&mut self, key: &'static str, faults: &mut Faults) -> Option<Table<'t, 'i>> {
        let (value, span) = self.value(key)?;
        if let DeValue::Table(entries) = value {
            return Some(Table::new(entries, self.path(key), span, self.base));
        }
        self.wrong(faults, key, value, span, "a table");
        None
    }

    /// The tables of `[[key]]`.
    pub fn tables(&mut self, key: &'static str, faults: &mut Faults) -> Vec<Table<'t, 'i>> {
        let Some((value, span)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.wrong(
                faults,
                key,
                value,
                span,
                &format!("a list of tables, written [[{key}]]"),
            );
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let place = self.place(item.span());
            match item.get_ref() {
                DeValue::Table(entries) => {
                    list.push(Table::new(entries, self.path(key), place, self.base))
                }
                other => self.wrong(faults, key, other, place, "a table"),
            }
        }
        list
    }

    /// Every entry as a table of its own, in the order of the file: the keys are names that the author chose.
    pub fn named_tables(&self, faults: &mut Faults) -> Vec<(At<String>, Table<'t, 'i>)> {
        let mut list = Vec::new();
        for (key, value) in self.entries.iter() {
            let name = At {
                value: key.get_ref().to_string(),
                span: self.place(key.span()),
            };
            let place = self.place(value.span());
            match value.get_ref() {
                DeValue::Table(entries) => {
                    let table = Table::new(entries, self.path(&name.value), place, self.base);
                    list.push((name, table));
                }
                other => self.wrong(faults, &name.value, other, place, "a table"),
            }
        }
        // The TOML reader sorts keys; a schema lists them as the author did.
        list.sort_by_key(|(name, _)| name.span.start);
        list
    }

    /// Every entry as a string: the keys are names that the author chose.
    pub fn named_strings(&self, faults: &mut Faults) -> Vec<(At<String>, At<String>)> {
        let mut list = Vec::new();
        for (key, value) in self.entries.iter() {
            let place = self.place(value.span());
            match value.get_ref() {
                DeValue::String(text) => list.push((
                    At {
                        value: key.get_ref().to_string(),
                        span: self.place(key.span()),
                    },
                    At {
                        value: text.to_string(),
                        span: place,
                    },
                )),
                other => self.wrong(faults, key.get_ref(), other, place, "a string"),
            }
        }
        list
    }

    /// Reports the keys that nothing asked for. Call it last.
    pub fn finish(self, faults: &mut Faults) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let span = self.place(key.span());
            let message = format!("unknown key `{}`", self.path(name));
            match nearest(name, self.known.iter().copied()) {
                Some(near) => faults.error_with(span, message, format!("did you mean `{near}`?")),
                None => {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    known.dedup();
                    faults.error_with(
                        span,
                        message,
                        format!("known keys here: {}", known.join(", ")),
                    );
                }
            }
        }
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(crate) fn to_json(
    value: &DeValue<'_>,
    span: &Range<usize>,
    faults: &mut Faults,
) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => {
                faults.error(span.clone(), "the integer does not fit into 64 bits");
                return None;
            }
        },
        DeValue::Float(number) => {
            let number = number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64);
            match number {
                Some(number) => Value::Number(number),
                None => {
                    faults.error(span.clone(), "JSON has no such number");
                    return None;
                }
            }
        }
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| to_json(item.get_ref(), span, faults))
                .collect::<Option<_>>()?,
        ),
        DeValue::Table(entries) => {
            // The TOML reader sorts keys; readers of JSON see them in the author's order.
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            let pairs = entries.into_iter().map(|(key, item)| {
                Some((
                    key.get_ref().to_string(),
                    to_json(item.get_ref(), span, faults)?,
                ))
            });
            Value::Object(pairs.collect::<Option<_>>()?)
        }
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok().filter(|n| *n > 0)?;
    let duration = match text.get(digits..)?.trim_start() {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" | "min" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    Some(duration)
}

#[cfg(test)]
mod tests;
