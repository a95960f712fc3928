//! What to paste into a shell and into clients to use a served demo. Knows only the server's address.

use serde_json::{Value, json};

/// The name under which clients get to know the demo.
const NAME: &str = "swf-monitor";

/// The whole text. `url` is the MCP endpoint, e.g. `http://127.0.0.1:8000/mcp`; `state` says where the demo is kept, if
/// it is.
pub fn guide(url: &str, state: Option<&str>) -> String {
    let call = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "panda_get_activity", "arguments": {"days": 1}},
    });
    let code = json!({"mcpServers": {NAME: {"type": "http", "url": url}}});
    let desktop =
        json!({"mcpServers": {NAME: {"command": "npx", "args": ["-y", "mcp-remote", url]}}});
    let end = match state {
        Some(folder) => format!("Ctrl-C stops it; the data stays in {folder} for the next time."),
        None => "Ctrl-C stops it and removes everything that it made.".to_owned(),
    };
    format!(
        "\
MCP endpoint: {url}

Try it with curl:
  curl -s {url} -H 'Content-Type: application/json' -d '{call}'

Claude Code:
  claude mcp add --transport http {NAME} {url}
or in a project's .mcp.json:
{code}

Claude Desktop, in claude_desktop_config.json (mcp-remote needs Node.js):
{desktop}

Python, without any package:
  import json, urllib.request
  call = {{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\",
          \"params\": {{\"name\": \"swf_list_agents\", \"arguments\": {{\"status\": \"all\"}}}}}}
  request = urllib.request.Request(\"{url}\", json.dumps(call).encode(), {{\"Content-Type\": \"application/json\"}})
  print(json.load(urllib.request.urlopen(request))[\"result\"][\"content\"][0][\"text\"])

{end}
",
        code = indented(&code),
        desktop = indented(&desktop),
    )
}

fn indented(value: &Value) -> String {
    // Printing a Value to text cannot fail: its keys are strings.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_names_the_endpoint_and_the_json_parts_are_json() {
        let text = guide("http://127.0.0.1:8123/mcp", None);
        assert_eq!(text.matches("http://127.0.0.1:8123/mcp").count(), 6);
        assert!(text.contains("removes everything"));
        let parts: Vec<&str> = text
            .split("\n\n")
            .filter_map(|part| part.find("\n  {").map(|start| &part[start..]))
            .collect();
        assert_eq!(parts.len(), 2);
        for part in parts {
            serde_json::from_str::<Value>(part).unwrap();
        }
    }

    #[test]
    fn a_kept_demo_says_where() {
        assert!(guide("http://h/mcp", Some("/srv/demo")).contains("stays in /srv/demo"));
    }
}
