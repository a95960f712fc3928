//! Who asks, as far as a request's `_meta` says so: for the record of a call, and nothing else. Bounded, because it is the client's text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::Params;

/// The most characters of a name that a client gives.
const LONGEST: usize = 64;

/// A client's words about itself. No proof of anything.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `clientInfo` as `NAME VERSION`, at most 129 characters (MCP 2026-07-28, basic/index).
    pub client: Option<String>,
    /// A `traceparent` of the form that W3C Trace Context, section 3.2, gives it.
    pub trace: Option<String>,
}

#[derive(Deserialize)]
struct ClientInfo<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    version: Cow<'a, str>,
}

impl Asked {
    pub(super) fn of(params: &Params) -> Asked {
        let Some(meta) = &params.meta else {
            return Asked::default();
        };
        Asked {
            client: meta.client_info.and_then(client),
            trace: meta.traceparent.and_then(trace),
        }
    }
}

fn client(info: &RawValue) -> Option<String> {
    let info: ClientInfo = serde_json::from_str(info.get()).ok()?;
    let (name, version) = (bounded(&info.name), bounded(&info.version));
    match (name, version) {
        ("", _) => None,
        (name, "") => Some(name.to_owned()),
        (name, version) => Some(format!("{name} {version}")),
    }
}

fn trace(parent: &RawValue) -> Option<String> {
    let text = parent.get().strip_prefix('"')?.strip_suffix('"')?;
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lengths == [2, 32, 16, 2] && parts.iter().all(hex)).then(|| text.to_owned())
}

/// The first characters of a client's text.
pub fn bounded(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST);
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(meta: &str) -> Asked {
        Asked::of(&serde_json::from_str(&format!("{{\"_meta\":{{{meta}}}}}")).unwrap())
    }

    #[test]
    fn what_a_client_says_of_itself() {
        let info =
            |text: &str| asked(&format!("\"io.modelcontextprotocol/clientInfo\":{text}")).client;
        assert_eq!(
            info(r#"{"name":"bot","version":"1.0"}"#).as_deref(),
            Some("bot 1.0")
        );
        assert_eq!(info(r#"{"name":"b\"ot"}"#).as_deref(), Some("b\"ot"));
        for nothing in [
            "{}",
            "7",
            "{\"name\":7}",
            "{\"name\":\"\",\"version\":\"1\"}",
        ] {
            assert_eq!(info(nothing), None, "{nothing}");
        }
        let long = info(&format!(
            r#"{{"name":"{}","version":"{}"}}"#,
            "é".repeat(1000),
            "1".repeat(1000)
        ));
        assert_eq!(long.map(|text| text.chars().count()), Some(129));
        assert_eq!(asked(""), Asked::default());
    }

    #[test]
    fn a_trace_has_its_form_or_is_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = |text: &str| asked(&format!("\"traceparent\":{text}")).trace;
        assert_eq!(trace(&format!("\"{good}\"")).as_deref(), Some(good));
        for bad in [
            "7",
            "\"\"",
            "\"x\"",
            &format!("\"{}\"", good.to_uppercase()),
            &format!("\"{good}0\""),
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
