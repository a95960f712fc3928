//! What a comparison found, as text for a person and as an object for a program. Asks nobody.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::calls::Call;
use super::difference::{Difference, Found};

/// Differences of one call, and names of tools, that a person is shown.
const SHOWN: usize = 10;
/// Characters of a value that a person is shown.
const WIDTH: usize = 100;

pub struct Report {
    pub compared: Vec<Compared>,
    /// Tools that one server only has; `true` is the one here.
    pub one_sided: Vec<(String, bool)>,
    /// And why not.
    pub not_called: Vec<(String, &'static str)>,
    pub here: Side,
    pub there: Side,
}

/// One call to both.
pub struct Compared {
    pub call: Call,
    /// Here and there.
    pub status: (&'static str, &'static str),
    pub found: Option<Found>,
}

/// One of the servers.
pub struct Side {
    pub address: String,
    /// Of every answer.
    pub times: Vec<Duration>,
}

impl Side {
    /// In milliseconds; `None` without an answer.
    fn median(&self) -> Option<f64> {
        let mut times = self.times.clone();
        times.sort_unstable();
        let median = times.get(times.len() / 2)?;
        Some((median.as_secs_f64() * 1e5).round() / 1e2)
    }
}

impl Report {
    /// Nothing was compared.
    pub fn is_empty(&self) -> bool {
        self.compared.is_empty() && self.one_sided.is_empty()
    }

    pub fn is_alike(&self) -> bool {
        self.differing() == 0 && self.one_sided.is_empty()
    }

    fn differing(&self) -> usize {
        let compared = self.compared.iter();
        compared.filter(|compared| compared.found.is_some()).count()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "here   {}\nthere  {}\n",
            self.here.address, self.there.address
        );
        for compared in &self.compared {
            let Some(found) = &compared.found else {
                continue;
            };
            let _ = writeln!(text, "{} {}", compared.call.tool, compared.call.arguments);
            for difference in found.differences.iter().take(SHOWN) {
                let _ = writeln!(text, "  {}", line(difference));
            }
            let more = found.differences.len().saturating_sub(SHOWN) + found.more;
            if more > 0 {
                let _ = writeln!(text, "  and {more} more (--json has them)");
            }
            text.push('\n');
        }
        for (tool, here) in &self.one_sided {
            let side = if *here { "here" } else { "there" };
            let _ = writeln!(text, "{tool}\n  only {side}\n");
        }
        for why in ["may write", "no call given", "in no list"] {
            let tools: Vec<&str> = self
                .not_called
                .iter()
                .filter(|(_, reason)| *reason == why)
                .map(|(tool, _)| tool.as_str())
                .collect();
            if tools.is_empty() {
                continue;
            }
            let shown = tools[..tools.len().min(SHOWN)].join(", ");
            let _ = match tools.len().saturating_sub(SHOWN) {
                0 => writeln!(text, "not called, {why}: {shown}"),
                more => writeln!(text, "not called, {why}: {shown} and {more} more"),
            };
        }
        let differing = self.differing();
        let alike = self.compared.len() - differing;
        let _ = write!(
            text,
            "{} calls: {alike} alike, {differing} differ",
            self.compared.len()
        );
        if !self.one_sided.is_empty() {
            let _ = write!(text, "; {} tools on one side only", self.one_sided.len());
        }
        if let (Some(here), Some(there)) = (self.here.median(), self.there.median()) {
            let _ = write!(text, "; median {here} ms here, {there} ms there");
        }
        text.push('\n');
        text
    }

    pub fn json(&self) -> Value {
        let calls: Vec<Value> = self.compared.iter().map(compared).collect();
        let one_sided: Vec<Value> = self
            .one_sided
            .iter()
            .map(|(tool, here)| json!({ "tool": tool, "only": if *here { "here" } else { "there" } }))
            .collect();
        let not_called: Vec<Value> = self
            .not_called
            .iter()
            .map(|(tool, why)| json!({ "tool": tool, "why": why }))
            .collect();
        let side = |side: &Side| json!({ "url": side.address, "answers": side.times.len(), "median_ms": side.median() });
        json!({
            "equal": self.is_alike() && !self.is_empty(),
            "here": side(&self.here),
            "there": side(&self.there),
            "calls": calls,
            "one_sided": one_sided,
            "not_called": not_called,
        })
    }
}

fn compared(compared: &Compared) -> Value {
    let mut object = json!({
        "tool": compared.call.tool,
        "arguments": compared.call.arguments,
        "equal": compared.found.is_none(),
        "status": { "here": compared.status.0, "there": compared.status.1 },
    });
    if let Some(found) = &compared.found {
        let differences = found.differences.iter().map(|difference| {
            let mut object = Map::new();
            object.insert("path".to_owned(), json!(difference.path));
            // A side that has nothing there has no key: null is something.
            let sides = [("here", &difference.here), ("there", &difference.there)];
            for (side, value) in sides {
                if let Some(value) = value {
                    object.insert(side.to_owned(), value.clone());
                }
            }
            Value::Object(object)
        });
        object["differences"] = differences.collect();
        object["more_differences"] = json!(found.more);
    }
    object
}

fn line(difference: &Difference) -> String {
    let path = match difference.path.as_str() {
        "" => "(whole answer)",
        path => path,
    };
    let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), excerpt);
    let (here, there) = (shown(&difference.here), shown(&difference.there));
    format!("{path}: {here} here, {there} there")
}

/// The start of a value as JSON, on one line.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(milliseconds: &[u64]) -> Side {
        Side {
            address: "http://h/mcp".to_owned(),
            times: milliseconds
                .iter()
                .copied()
                .map(Duration::from_millis)
                .collect(),
        }
    }

    #[test]
    fn the_median_is_of_all_answers() {
        assert_eq!(side(&[9, 1, 2]).median(), Some(2.0));
        assert_eq!(side(&[]).median(), None);
    }

    #[test]
    fn a_line_is_short_and_says_what_is_missing() {
        let difference = Difference {
            path: "a.0".to_owned(),
            here: Some(json!("ü".repeat(500))),
            there: None,
        };
        let line = line(&difference);
        assert!(line.starts_with("a.0: \"üü") && line.ends_with("... here, nothing there"));
        assert!(line.chars().count() < 140);
    }
}
