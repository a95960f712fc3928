//! Where two answers differ, place by place, under the rules that the operator gave. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::answer::Answer;

/// Differences that are kept of one call; the others are counted.
const MOST: usize = 1000;

/// What doesn't count.
#[derive(Debug, Default)]
pub struct Rules {
    pub ignored: Vec<Pattern>,
    pub unordered: Vec<Pattern>,
    /// The wording of failures does.
    pub messages: bool,
}

/// Places in the answers of one tool or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    tool: Option<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A key, or a position in a list.
    One(String),
    Any,
    AnyNumber,
}

/// One place. A side that has nothing there is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Keys and positions with dots between; empty for the whole answer.
    pub path: String,
    pub here: Option<Value>,
    pub there: Option<Value>,
}

/// At least one difference.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub differences: Vec<Difference>,
    /// Those beyond [`MOST`].
    pub more: usize,
}

impl Pattern {
    /// Reads `[TOOL:]PATH`; for clap. `.` is the whole answer.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let (tool, path) = match text.split_once(':') {
            Some((tool, path)) => (Some(tool.to_owned()), path),
            None => (None, text),
        };
        let steps = match path {
            "." => Vec::new(),
            path => path
                .split('.')
                .map(|step| match step {
                    "" => Err("expected keys with dots between, such as items.*.name".to_owned()),
                    "*" => Ok(Step::Any),
                    "**" => Ok(Step::AnyNumber),
                    key => Ok(Step::One(key.to_owned())),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Pattern { tool, steps })
    }

    fn fits(&self, tool: &str, path: &[String]) -> bool {
        self.tool.as_deref().is_none_or(|name| name == tool) && fit(&self.steps, path)
    }
}

fn fit(steps: &[Step], path: &[String]) -> bool {
    let Some((step, steps)) = steps.split_first() else {
        return path.is_empty();
    };
    match (step, path.split_first()) {
        (Step::AnyNumber, _) => (0..=path.len()).any(|skipped| fit(steps, &path[skipped..])),
        (Step::Any, Some((_, rest))) => fit(steps, rest),
        (Step::One(key), Some((first, rest))) => key == first && fit(steps, rest),
        (Step::Any | Step::One(_), None) => false,
    }
}

impl Rules {
    /// What differs between two answers of a tool; `None` if nothing does.
    pub fn between(&self, tool: &str, here: &Answer, there: &Answer) -> Option<Found> {
        let mut walk = Walk {
            rules: self,
            tool,
            path: Vec::new(),
            found: Found {
                differences: Vec::new(),
                more: 0,
            },
        };
        match (here, there) {
            (Answer::Value(one), Answer::Value(other)) => walk.both(one, other),
            (one, other) if one.status() == other.status() => {
                if self.messages {
                    walk.both(&one.shown(), &other.shown());
                }
            }
            (one, other) => walk.differ(Some(&one.shown()), Some(&other.shown())),
        }
        (!walk.found.differences.is_empty()).then_some(walk.found)
    }
}

struct Walk<'r> {
    rules: &'r Rules,
    tool: &'r str,
    path: Vec<String>,
    found: Found,
}

impl Walk<'_> {
    fn is(&self, patterns: &[Pattern]) -> bool {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| pattern.fits(self.tool, &self.path))
    }

    fn differ(&mut self, here: Option<&Value>, there: Option<&Value>) {
        if self.is(&self.rules.ignored) {
            return;
        }
        if self.found.differences.len() >= MOST {
            self.found.more += 1;
            return;
        }
        self.found.differences.push(Difference {
            path: self.path.join("."),
            here: here.cloned(),
            there: there.cloned(),
        });
    }

    fn both(&mut self, here: &Value, there: &Value) {
        if self.is(&self.rules.ignored) {
            return;
        }
        match (here, there) {
            (Value::Object(one), Value::Object(other)) => {
                let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                for key in keys {
                    self.at(key, one.get(key), other.get(key));
                }
            }
            (Value::Array(one), Value::Array(other)) if self.is(&self.rules.unordered) => {
                self.unordered(one, other);
            }
            (Value::Array(one), Value::Array(other)) => {
                for index in 0..one.len().max(other.len()) {
                    self.at(&index.to_string(), one.get(index), other.get(index));
                }
            }
            (one, other) if one == other => {}
            (one, other) => self.differ(Some(one), Some(other)),
        }
    }

    fn at(&mut self, step: &str, here: Option<&Value>, there: Option<&Value>) {
        self.path.push(step.to_owned());
        match (here, there) {
            (Some(one), Some(other)) => self.both(one, other),
            (one, other) => self.differ(one, other),
        }
        self.path.pop();
    }

    /// Each item finds its like on the other side; those that find none differ.
    fn unordered(&mut self, here: &[Value], there: &[Value]) {
        let mut others: Vec<&Value> = there.iter().collect();
        let mut alone = Vec::new();
        self.path.push("*".to_owned());
        for item in here {
            match others.iter().position(|other| self.alike(item, other)) {
                Some(at) => {
                    others.remove(at);
                }
                None => alone.push(item),
            }
        }
        for item in alone {
            self.differ(Some(item), None);
        }
        for item in others {
            self.differ(None, Some(item));
        }
        self.path.pop();
    }

    fn alike(&self, here: &Value, there: &Value) -> bool {
        let mut walk = Walk {
            rules: self.rules,
            tool: self.tool,
            path: self.path.clone(),
            found: Found {
                differences: Vec::new(),
                more: 0,
            },
        };
        walk.both(here, there);
        walk.found.differences.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(ignored: &[&str], unordered: &[&str]) -> Rules {
        let read = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Pattern::parse(text).unwrap())
                .collect()
        };
        Rules {
            ignored: read(ignored),
            unordered: read(unordered),
            messages: false,
        }
    }

    /// The differing places.
    fn places(rules: &Rules, here: Value, there: Value) -> Vec<String> {
        let found = rules.between("tool", &Answer::Value(here), &Answer::Value(there));
        let found = found.map(|found| found.differences).unwrap_or_default();
        found.into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn every_place_is_named() {
        let here = json!({"a": 1, "list": [{"x": 1}, {"x": 2}, 3], "same": {"k": null}, "gone": 0});
        let there = json!({"list": [{"x": 1}, {"x": 3}], "a": 1.0, "same": {"k": null}, "new": 0});
        assert_eq!(
            places(&Rules::default(), here, there),
            ["a", "gone", "list.1.x", "list.2", "new"]
        );
        assert_eq!(places(&Rules::default(), json!(null), json!([])), [""]);
        let one = json!({"a": 1, "b": 2});
        assert!(places(&Rules::default(), one, json!({"b": 2, "a": 1})).is_empty());
        assert_eq!(
            places(&Rules::default(), json!({"a": null}), json!({})),
            ["a"],
            "null is something"
        );
    }

    #[test]
    fn patterns_fit_places() {
        for (pattern, path, fits) in [
            ("a.b", "a.b", true),
            ("a", "a.b", false),
            ("a.*", "a.0", true),
            ("*", "a.b", false),
            ("**", "a.b.c", true),
            ("**.time", "time", true),
            ("**.time", "a.0.time", true),
            ("**.time", "a.time.b", false),
            ("a.**.z", "a.b.c.z", true),
            ("a.**.z", "b.z", false),
            ("tool:a", "a", true),
            ("other:a", "a", false),
        ] {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.fits("tool", &path), fits, "{pattern:?} {path:?}");
        }
        assert!(Pattern::parse(".").unwrap().fits("tool", &[]));
        assert!(Pattern::parse("a..b").is_err());
        assert!(Pattern::parse("").is_err());
    }

    #[test]
    fn what_is_ignored_does_not_count() {
        let here = json!({"at": 1, "items": [{"at": 2, "n": 1}], "only": 1});
        let there = json!({"at": 9, "items": [{"at": 8, "n": 2}]});
        let rules = rules(&["**.at", "only"], &[]);
        assert_eq!(places(&rules, here, there), ["items.0.n"]);
    }

    #[test]
    fn order_counts_unless_told() {
        let here = json!({"items": [{"n": 1, "at": 5}, {"n": 2}, {"n": 2}]});
        let there = json!({"items": [{"n": 2}, {"n": 1, "at": 6}, {"n": 3}]});
        let ordered = places(&Rules::default(), here.clone(), there.clone());
        assert!(ordered.len() > 2, "{ordered:?}");
        let rules = rules(&["items.*.at"], &["items"]);
        let found = rules.between("tool", &Answer::Value(here), &Answer::Value(there));
        let difference = |here: Option<Value>, there: Option<Value>| Difference {
            path: "items.*".to_owned(),
            here,
            there,
        };
        let expected = [
            difference(Some(json!({"n": 2})), None),
            difference(None, Some(json!({"n": 3}))),
        ];
        assert_eq!(found.unwrap().differences, expected);
    }

    #[test]
    fn failures_are_alike_unless_wording_counts() {
        let one = Answer::Failed(json!({"error": "no agent x"}));
        let other = Answer::Failed(json!({"error": "Agent x not found"}));
        let mut rules = Rules::default();
        assert_eq!(rules.between("tool", &one, &other), None);
        assert!(
            rules
                .between("tool", &one, &Answer::Value(json!({})))
                .is_some()
        );
        rules.messages = true;
        let found = rules.between("tool", &one, &other).unwrap();
        assert_eq!(found.differences[0].path, "failed.error");
    }

    #[test]
    fn only_so_many_are_kept() {
        let list = |value: u32| Value::Array(vec![json!(value); MOST + 5]);
        let (one, other) = (Answer::Value(list(1)), Answer::Value(list(2)));
        let found = Rules::default().between("tool", &one, &other).unwrap();
        assert_eq!((found.differences.len(), found.more), (MOST, 5));
    }
}
