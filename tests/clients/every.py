"""Python `mcp`, second major version: calls each tool that it is told to, and prints what it got."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str, calls: dict) -> None:
    seen = {}
    async with Client(url) as client:
        for name, arguments in calls.items():
            result = await client.call_tool(name, arguments)
            seen[name] = [result.is_error, result.content[0].text, result.structured_content]
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
