//! Answers that never change while a worker lives, rendered once: `initialize`, `server/discover`, and the frames
//! around `tools/list` and `tools/call` results. Knows the protocol's result shapes, not requests.

use serde_json::{Value, json};

use super::version::{self, Era};

/// Who the server says it is.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    pub name: String,
    pub title: Option<String>,
    pub version: String,
}

/// The `_meta` key under which a list of tools names itself. Vendor keys have a prefix in reverse DNS notation whose second label
/// is neither `modelcontextprotocol` nor `mcp` (MCP 2026-07-28, basic/index, "_meta").
pub const CATALOG_HASH: &str = "io.tine/catalogHash";

/// The `_meta` key of a call's result, and of the `data` of its error, under which stands the request id that the server's log has.
pub const REQUEST_ID: &str = "io.tine/requestId";

/// How long and for whom a client may keep `tools/list` and `server/discover` (MCP 2026-07-28, server/utilities/caching).
#[derive(Debug, Clone)]
pub struct Caching {
    /// Milliseconds.
    pub ttl_ms: u64,
    /// `"private"` where the list depends on the caller's token, else `"public"`.
    pub public: bool,
}

/// What a toolset's answers say of its list of tools.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Names the list; see [`crate::catalog::Toolset::digest`].
    pub hash: &'a str,
    /// Whether clients may subscribe to its changes.
    pub list_changed: bool,
}

/// One toolset's prepared results. Each is the value of `result`.
#[derive(Debug)]
pub struct Prepared {
    initialize: Vec<(&'static str, Vec<u8>)>,
    discover: Vec<u8>,
    legacy_list_tail: Vec<u8>,
    list_tail: Vec<u8>,
    outdated_list_tail: Vec<u8>,
    call_meta: String,
    server_info: String,
    list_changed: bool,
}

impl Prepared {
    pub fn new(
        server: &ServerInfo,
        instructions: Option<&str>,
        caching: &Caching,
        listed: Listed<'_>,
    ) -> Prepared {
        let mut info = json!({ "name": server.name, "version": server.version });
        if let Some(title) = &server.title {
            info["title"] = json!(title);
        }
        let scope = if caching.public { "public" } else { "private" };
        let initialize = version::LEGACY
            .into_iter()
            .map(|version| {
                let mut result = json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": info });
                if let Some(instructions) = instructions {
                    result["instructions"] = json!(instructions);
                }
                (version, result.to_string().into_bytes())
            })
            .collect();
        // Legacy clients are told nothing: they would listen on a GET stream, and there is none.
        let tools = if listed.list_changed {
            json!({ "listChanged": true })
        } else {
            json!({})
        };
        let mut discover = json!({ "resultType": "complete", "supportedVersions": version::supported(), "capabilities": { "tools": tools } });
        if let Some(instructions) = instructions {
            discover["instructions"] = json!(instructions);
        }
        discover["ttlMs"] = json!(caching.ttl_ms);
        discover["cacheScope"] = json!(scope);
        let meta: Value = json!({ "io.modelcontextprotocol/serverInfo": info });
        let list_meta: Value =
            json!({ "io.modelcontextprotocol/serverInfo": info, CATALOG_HASH: listed.hash });
        // Here too, so that asking whether the list has changed is cheaper than the list.
        discover["_meta"] = list_meta.clone();
        let list_tail = |ttl_ms: u64| {
            format!(",\"ttlMs\":{ttl_ms},\"cacheScope\":\"{scope}\",\"_meta\":{list_meta}}}")
                .into_bytes()
        };
        Prepared {
            initialize,
            discover: discover.to_string().into_bytes(),
            legacy_list_tail: format!(",\"_meta\":{}}}", json!({ CATALOG_HASH: listed.hash }))
                .into_bytes(),
            list_tail: list_tail(caching.ttl_ms),
            outdated_list_tail: list_tail(0),
            call_meta: meta.to_string(),
            server_info: info.to_string(),
            list_changed: listed.list_changed,
        }
    }

    /// The result of `initialize` for a negotiated legacy revision.
    pub fn initialize(&self, negotiated: &str) -> &[u8] {
        let found = self
            .initialize
            .iter()
            .find(|(version, _)| *version == negotiated);
        found.map_or(&[], |(_, bytes)| bytes)
    }

    /// Whether clients may subscribe to changes of the list.
    pub fn list_changed(&self) -> bool {
        self.list_changed
    }

    /// The JSON of the server's name and version, for a result's `_meta`.
    pub fn server_info(&self) -> &str {
        &self.server_info
    }

    pub fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// The parts before and after the tools of a `tools/list` result. One that is `outdated` already may not be kept.
    pub fn list_frame(&self, era: Era, outdated: bool) -> (&[u8], &[u8]) {
        let tail = match (era, outdated) {
            (Era::Legacy, _) => return (b"{", &self.legacy_list_tail),
            (Era::Modern, false) => &self.list_tail,
            (Era::Modern, true) => &self.outdated_list_tail,
        };
        (b"{\"resultType\":\"complete\",", tail)
    }

    /// What comes before the members of a `tools/call` result.
    pub fn call_head(&self, era: Era) -> &[u8] {
        match era {
            Era::Legacy => b"{",
            Era::Modern => b"{\"resultType\":\"complete\",",
        }
    }

    /// What comes behind them. `request` needs no escaping; `None` for an answer that no server's log knows.
    pub fn call_tail(&self, era: Era, request: Option<&str>) -> String {
        let own = request.map(|request| format!("\"{REQUEST_ID}\":\"{request}\""));
        match (era, own) {
            (Era::Legacy, None) => "}".to_owned(),
            (Era::Legacy, Some(own)) => format!(",\"_meta\":{{{own}}}}}"),
            (Era::Modern, None) => format!(",\"_meta\":{}}}", self.call_meta),
            (Era::Modern, Some(own)) => {
                let others = self.call_meta.strip_suffix('}').unwrap_or_default();
                format!(",\"_meta\":{others},{own}}}}}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared() -> Prepared {
        let server = ServerInfo {
            name: "swf".into(),
            title: None,
            version: "1".into(),
        };
        Prepared::new(
            &server,
            Some("Ask."),
            &Caching {
                ttl_ms: 5000,
                public: true,
            },
            Listed {
                hash: "5a5a",
                list_changed: true,
            },
        )
    }

    #[test]
    fn every_frame_is_json() {
        let prepared = prepared();
        for version in version::LEGACY {
            let value: Value = serde_json::from_slice(prepared.initialize(version)).unwrap();
            assert_eq!(value["protocolVersion"], version);
            assert_eq!(value["instructions"], "Ask.");
            assert_eq!(value["capabilities"]["tools"], json!({}));
        }
        let discover: Value = serde_json::from_slice(prepared.discover()).unwrap();
        assert_eq!(discover["supportedVersions"][0], version::MODERN);
        assert_eq!(discover["resultType"], "complete");
        assert_eq!(discover["_meta"][CATALOG_HASH], "5a5a");
        assert_eq!(
            discover["capabilities"]["tools"],
            json!({ "listChanged": true })
        );
        for (era, complete) in [(Era::Legacy, Value::Null), (Era::Modern, json!("complete"))] {
            let frames = [
                prepared.list_frame(era, false),
                prepared.list_frame(era, true),
            ];
            for (head, tail) in frames {
                let framed = [head, b"\"x\":1", tail].concat();
                let value: Value = serde_json::from_slice(&framed).unwrap();
                assert_eq!(value["resultType"], complete);
            }
            for request in [None, Some("r-1")] {
                let (head, tail) = (prepared.call_head(era), prepared.call_tail(era, request));
                let framed = [head, b"\"x\":1", tail.as_bytes()].concat();
                let value: Value = serde_json::from_slice(&framed).unwrap();
                assert_eq!(value["resultType"], complete);
                assert_eq!(
                    value["_meta"].get(REQUEST_ID),
                    request.map(|id| json!(id)).as_ref()
                );
                let named = value["_meta"].get("io.modelcontextprotocol/serverInfo");
                assert_eq!(named.is_some(), era == Era::Modern);
            }
            for (outdated, ttl) in [(false, 5000), (true, 0)] {
                let (head, tail) = prepared.list_frame(era, outdated);
                let list: Value =
                    serde_json::from_slice(&[head, b"\"tools\":[]", tail].concat()).unwrap();
                assert_eq!(list["_meta"][CATALOG_HASH], "5a5a", "{era:?}");
                if era == Era::Modern {
                    assert_eq!(list["ttlMs"], ttl);
                }
            }
        }
    }
}
