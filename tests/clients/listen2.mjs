// TypeScript client, second major version: subscribes to changes of the tools, lists them whenever it is told to, and subscribes anew when
// its stream has ended, until it finds a tool named `second`.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url] = process.argv.slice(2);
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
let told = 0;
let news = () => {};
client.setNotificationHandler('notifications/tools/list_changed', () => { told += 1; news(); });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const names = async () => (await client.listTools()).tools.map((tool) => tool.name).sort();
const before = await names();
const ends = new Set();
let [granted, after] = [null, before];
while (!after.includes('second')) {
  const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true });
  granted = subscription.honoredFilter;
  for (let end = null; end === null && !after.includes('second');) {
    const change = new Promise((resolve) => { news = () => resolve(null); });
    after = await names();
    if (!after.includes('second')) end = await Promise.race([change, subscription.closed]);
    if (end !== null) ends.add(end);
  }
}
console.log(JSON.stringify({ granted, before, told: told > 0, ends: [...ends].filter((end) => end !== 'graceful'), after }));
await client.close();
