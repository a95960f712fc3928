// TypeScript client, second major version: the legacy era by default, the modern one in mode `auto`.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, mode] = process.argv.slice(2);
const progress = [];
const transport = new StreamableHTTPClientTransport(new URL(url));
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport);
const tools = await client.listTools();
const echo = await client.callTool({ name: 'echo', arguments: { words: 'grüße' } });
const failure = await client.callTool({ name: 'test_error_handling', arguments: {} });
await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, {
  onprogress: (step) => progress.push([step.progress, step.total]),
});
console.log(JSON.stringify({
  version: client.getNegotiatedProtocolVersion(),
  server: client.getServerVersion().name,
  tools: tools.tools.map((tool) => tool.name).sort(),
  echo: echo.content.map((block) => block.text),
  structured: echo.structuredContent ?? null,
  error: [failure.isError, failure.content[0].text],
  progress,
}));
await client.close();
