// TypeScript SDK, first major version: speaks the legacy era.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url] = process.argv.slice(2);
const progress = [];
const transport = new StreamableHTTPClientTransport(new URL(url));
const client = new Client({ name: 'test', version: '1' });
await client.connect(transport);
const tools = await client.listTools();
const echo = await client.callTool({ name: 'echo', arguments: { words: 'grüße' } });
const failure = await client.callTool({ name: 'test_error_handling', arguments: {} });
await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
  onprogress: (step) => progress.push([step.progress, step.total]),
});
console.log(JSON.stringify({
  version: transport.protocolVersion,
  server: client.getServerVersion().name,
  tools: tools.tools.map((tool) => tool.name).sort(),
  echo: echo.content.map((block) => block.text),
  structured: echo.structuredContent ?? null,
  error: [failure.isError, failure.content[0].text],
  progress,
}));
await client.close();
