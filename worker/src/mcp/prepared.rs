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

/// How long and for whom a client may keep `tools/list` and `server/discover` (MCP 2026-07-28, server/utilities/caching).
#[derive(Debug, Clone)]
pub struct Caching {
    /// Milliseconds.
    pub ttl_ms: u64,
    /// `"private"` where the list depends on the caller's token, else `"public"`.
    pub public: bool,
}

/// One toolset's prepared results. Each is the value of `result`.
#[derive(Debug)]
pub struct Prepared {
    initialize: Vec<(&'static str, Vec<u8>)>,
    discover: Vec<u8>,
    list_tail: Vec<u8>,
    call_tail: Vec<u8>,
}

impl Prepared {
    pub fn new(server: &ServerInfo, instructions: Option<&str>, caching: &Caching) -> Prepared {
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
        let mut discover = json!({ "resultType": "complete", "supportedVersions": version::supported(), "capabilities": { "tools": {} } });
        if let Some(instructions) = instructions {
            discover["instructions"] = json!(instructions);
        }
        discover["ttlMs"] = json!(caching.ttl_ms);
        discover["cacheScope"] = json!(scope);
        let meta: Value = json!({ "io.modelcontextprotocol/serverInfo": info });
        discover["_meta"] = meta.clone();
        Prepared {
            initialize,
            discover: discover.to_string().into_bytes(),
            list_tail: format!(
                ",\"ttlMs\":{},\"cacheScope\":\"{scope}\",\"_meta\":{meta}}}",
                caching.ttl_ms
            )
            .into_bytes(),
            call_tail: format!(",\"_meta\":{meta}}}").into_bytes(),
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

    pub fn discover(&self) -> &[u8] {
        &self.discover
    }

    /// The parts before and after the tools of a `tools/list` result.
    pub fn list_frame(&self, era: Era) -> (&[u8], &[u8]) {
        match era {
            Era::Legacy => (b"{", b"}"),
            Era::Modern => (b"{\"resultType\":\"complete\",", &self.list_tail),
        }
    }

    /// The parts before and after the members of a `tools/call` result.
    pub fn call_frame(&self, era: Era) -> (&[u8], &[u8]) {
        match era {
            Era::Legacy => (b"{", b"}"),
            Era::Modern => (b"{\"resultType\":\"complete\",", &self.call_tail),
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
        )
    }

    #[test]
    fn every_frame_is_json() {
        let prepared = prepared();
        for version in version::LEGACY {
            let value: Value = serde_json::from_slice(prepared.initialize(version)).unwrap();
            assert_eq!(value["protocolVersion"], version);
            assert_eq!(value["instructions"], "Ask.");
            assert!(value["capabilities"]["tools"].is_object());
        }
        let discover: Value = serde_json::from_slice(prepared.discover()).unwrap();
        assert_eq!(discover["supportedVersions"][0], version::MODERN);
        assert_eq!(discover["resultType"], "complete");
        for (era, complete) in [(Era::Legacy, Value::Null), (Era::Modern, json!("complete"))] {
            for (head, tail) in [prepared.list_frame(era), prepared.call_frame(era)] {
                let framed = [head, b"\"x\":1", tail].concat();
                let value: Value = serde_json::from_slice(&framed).unwrap();
                assert_eq!(value["resultType"], complete);
            }
        }
    }
}
