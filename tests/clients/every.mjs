// TypeScript client, second major version: calls each tool that it is told to, and prints what it got.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, calls] = process.argv.slice(2);
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const seen = {};
for (const [name, args] of Object.entries(JSON.parse(calls))) {
  const result = await client.callTool({ name, arguments: args });
  seen[name] = [result.isError ?? false, result.content[0].text, result.structuredContent ?? null];
}
console.log(JSON.stringify(seen));
await client.close();
