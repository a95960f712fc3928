//! The types of options: reads values from text and from TOML, and says what it would have accepted. Knows neither
//! which options exist nor where a value came from.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::form::Form;
use super::value::Value;

/// The type of an option, with its bounds (both ends included).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Count { min: u64, max: u64 },
    /// A size in bytes: `65536`, `64KiB`, `4MiB`.
    Bytes { min: u64, max: u64 },
    /// A time span: `8s`, `250ms`, `2m`, `1h`, or a number of seconds.
    Span { min: Duration, max: Duration },
    /// One text of this form.
    Text(Form),
    /// A file or folder. In `tine.toml` relative to that file, elsewhere to the working directory.
    Path,
    /// Several texts of this form; separated by commas in the environment, a repeated flag on the command line.
    Texts(Form),
    /// Several files or folders.
    Paths,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The permission bits of a file in octal, as in `0660`.
    Mode,
}

impl Kind {
    /// Reads a value as written on the command line (one text per repetition) or in the environment
    /// (`split` at commas). The error says what would be accepted.
    pub fn parse_texts(self, texts: &[String], split: bool) -> Result<Value, String> {
        let pieces = texts.iter().flat_map(|text| {
            if split {
                text.split(',').map(str::trim).collect()
            } else {
                vec![text.as_str()]
            }
        });
        let pieces = pieces.filter(|piece| !piece.is_empty());
        match (self, texts.last()) {
            (Kind::Texts(form), _) => {
                let checked =
                    pieces.map(|piece| form.check(piece).ok_or_else(|| self.expectation()));
                Ok(Value::Texts(checked.collect::<Result<_, _>>()?))
            }
            (Kind::Paths, _) => Ok(Value::Paths(pieces.map(PathBuf::from).collect())),
            (_, None) => Ok(Value::None),
            (_, Some(text)) => self.parse_text(text),
        }
    }

    fn parse_text(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Kind::Count { min, max } => {
                let number = text.parse::<u64>().map_err(|_| self.expectation())?;
                self.bounded(number, min, max, Value::Number)
            }
            Kind::Bytes { min, max } => {
                let bytes = parse_bytes(text).ok_or_else(|| self.expectation())?;
                self.bounded(bytes, min, max, Value::Bytes)
            }
            Kind::Span { min, max } => {
                let span = parse_span(text).ok_or_else(|| self.expectation())?;
                self.bounded(span, min, max, Value::Span)
            }
            Kind::Choice(words) => match words.contains(&text) {
                true => Ok(Value::Text(text.to_owned())),
                false => Err(self.expectation()),
            },
            Kind::Mode => match u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8) {
                Ok(mode) if mode <= 0o777 => Ok(Value::Mode(mode)),
                _ => Err(self.expectation()),
            },
            _ if text.is_empty() => Ok(Value::None),
            Kind::Path => Ok(Value::Path(PathBuf::from(text))),
            Kind::Text(form) => form
                .check(text)
                .map(Value::Text)
                .ok_or_else(|| self.expectation()),
            Kind::Texts(_) | Kind::Paths => self.parse_texts(&[text.to_owned()], false),
        }
    }

    /// Reads a value of `tine.toml`: numbers may be bare, spans and sizes quoted, lists one text or an array.
    pub fn parse_toml(self, value: &DeValue<'_>) -> Result<Value, String> {
        let wrong = || format!("{}, found {}", self.expectation(), found(value));
        match (self, value) {
            (Kind::Texts(_) | Kind::Paths, DeValue::Array(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items.iter() {
                    texts.push(item.get_ref().as_str().ok_or_else(wrong)?.to_owned());
                }
                self.parse_texts(&texts, false)
            }
            (
                Kind::Count { .. } | Kind::Bytes { .. } | Kind::Span { .. },
                DeValue::Integer(number),
            ) => {
                let number = integer(number.as_str(), number.radix()).ok_or_else(wrong)?;
                self.parse_text(&number.to_string())
            }
            (Kind::Span { .. }, DeValue::Float(number)) => {
                self.parse_text(&number.as_str().replace('_', ""))
            }
            (Kind::Count { .. }, _) => Err(wrong()),
            (_, DeValue::String(text)) => self.parse_texts(&[text.to_string()], false),
            _ => Err(wrong()),
        }
    }

    fn bounded<T: PartialOrd>(
        self,
        value: T,
        min: T,
        max: T,
        wrap: fn(T) -> Value,
    ) -> Result<Value, String> {
        if value < min || value > max {
            Err(self.expectation())
        } else {
            Ok(wrap(value))
        }
    }

    /// "expected ...", for error messages.
    fn expectation(self) -> String {
        match self {
            Kind::Mode => "expected permission bits in octal and in quotes, as \"0660\"".to_owned(),
            Kind::Span { .. } => format!(
                "expected {}, as \"8s\", \"250ms\", \"2m\" or a number of seconds",
                self.describe()
            ),
            Kind::Bytes { .. } => format!(
                "expected {}, as 65536, \"64KiB\" or \"4MiB\"",
                self.describe()
            ),
            _ => format!("expected {}", self.describe()),
        }
    }

    /// The type and its bounds in words, for the manual and for error messages.
    pub fn describe(self) -> String {
        match self {
            Kind::Count { min, max: u64::MAX } => format!("a whole number from {min}"),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Bytes { min, max } => {
                format!("a size from {} to {}", Value::Bytes(min), Value::Bytes(max))
            }
            Kind::Span { min, max } => format!(
                "a time span from {} to {}",
                Value::Span(min),
                Value::Span(max)
            ),
            Kind::Text(form) => form.describe().0.to_owned(),
            Kind::Path => "a path".to_owned(),
            Kind::Texts(form) => format!("a list of {}", form.describe().1),
            Kind::Paths => "a list of paths".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Mode => "octal permission bits".to_owned(),
        }
    }
}

/// A TOML integer as a number; underscores and the prefixes of TOML are already known by `radix`.
fn integer(text: &str, radix: u32) -> Option<u64> {
    let digits = text.replace('_', "");
    u64::from_str_radix(digits.trim_start_matches('+'), radix).ok()
}

/// What a TOML value is, with the value itself where it is short.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => other.type_str().to_owned(),
    }
}

fn parse_span(text: &str) -> Option<Duration> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.trim().parse().ok()?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    // Whole microseconds: 0.1 is not exact in binary.
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Duration::from_micros(u64::try_from(span.as_micros()).ok()?))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Kind = Kind::Span {
        min: Duration::ZERO,
        max: Duration::from_secs(3600),
    };
    const BYTES: Kind = Kind::Bytes {
        min: 1,
        max: 1 << 30,
    };

    fn text(kind: Kind, text: &str) -> Result<Value, String> {
        kind.parse_texts(&[text.to_owned()], false)
    }

    #[test]
    fn spans_have_units() {
        let table = [
            ("8s", 8000),
            ("250ms", 250),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("15", 15_000),
            ("1.5", 1500),
            ("0.1s", 100),
            ("0", 0),
            (" 8 s ", 8000),
        ];
        for (given, milliseconds) in table {
            assert_eq!(
                text(SPAN, given),
                Ok(Value::Span(Duration::from_millis(milliseconds))),
                "{given}"
            );
        }
        for given in ["", "s", "8 sec", "-1s", "nan", "inf", "1e400s", "2h", "8s8"] {
            assert!(text(SPAN, given).is_err(), "{given}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (given, bytes) in [
            ("16KiB", 16 << 10),
            ("4MiB", 4 << 20),
            ("1GiB", 1 << 30),
            ("77", 77),
            ("2 KiB", 2048),
        ] {
            assert_eq!(text(BYTES, given), Ok(Value::Bytes(bytes)), "{given}");
        }
        for given in [
            "",
            "KiB",
            "4MB",
            "-4",
            "1.5MiB",
            "2GiB",
            "99999999999999999999GiB",
        ] {
            assert!(text(BYTES, given).is_err(), "{given}");
        }
    }

    #[test]
    fn values_print_as_they_are_written() {
        for given in ["8s", "250ms", "2m", "1h", "0s"] {
            assert_eq!(text(SPAN, given).unwrap().to_string(), given);
        }
        for given in ["16KiB", "4MiB", "77"] {
            assert_eq!(text(BYTES, given).unwrap().to_string(), given);
        }
        assert_eq!(text(Kind::Mode, "660").unwrap().to_string(), "0660");
        assert!(text(Kind::Mode, "888").is_err());
        assert!(text(Kind::Mode, "7777").is_err());
    }

    #[test]
    fn lists_split_only_where_asked() {
        let given = ["a,b".to_owned(), "c".to_owned()];
        let texts =
            |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(
            Kind::Texts(Form::Any).parse_texts(&given, false),
            Ok(texts(&["a,b", "c"]))
        );
        assert_eq!(
            Kind::Texts(Form::Any).parse_texts(&given, true),
            Ok(texts(&["a", "b", "c"]))
        );
    }

    #[test]
    fn toml_numbers_and_texts() {
        let parse = |kind: Kind, toml: &str| {
            let document = format!("x = {toml}");
            let table = toml::de::DeTable::parse(&document).unwrap();
            kind.parse_toml(table.get_ref()["x"].get_ref())
        };
        let count = Kind::Count {
            min: 1,
            max: 100_000,
        };
        assert_eq!(parse(count, "1_000"), Ok(Value::Number(1000)));
        assert_eq!(parse(count, "0x10"), Ok(Value::Number(16)));
        assert_eq!(
            parse(count, "-1"),
            Err("expected a whole number from 1 to 100000, found -1".to_owned())
        );
        assert_eq!(
            parse(count, "\"4\""),
            Err("expected a whole number from 1 to 100000, found string".to_owned())
        );
        assert_eq!(parse(SPAN, "8"), Ok(Value::Span(Duration::from_secs(8))));
        assert_eq!(
            parse(SPAN, "0.25"),
            Ok(Value::Span(Duration::from_millis(250)))
        );
        assert_eq!(
            parse(SPAN, "\"250ms\""),
            Ok(Value::Span(Duration::from_millis(250)))
        );
        assert_eq!(parse(BYTES, "\"4MiB\""), Ok(Value::Bytes(4 << 20)));
        assert_eq!(
            parse(Kind::Texts(Form::Any), "\"/mcp\""),
            Ok(Value::Texts(vec!["/mcp".to_owned()]))
        );
        assert_eq!(
            parse(Kind::Texts(Form::Any), "[\"a\", \"b\"]"),
            Ok(Value::Texts(vec!["a".to_owned(), "b".to_owned()]))
        );
        assert!(parse(Kind::Texts(Form::Any), "[1]").is_err());
        assert!(parse(Kind::Mode, "660").is_err());
    }
}
