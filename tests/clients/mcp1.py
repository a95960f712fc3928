"""Python `mcp`, the last release of its first major version: speaks the legacy era."""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def main(url: str) -> None:
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, total])

    async with streamable_http_client(url) as (read, write, _):
        async with ClientSession(read, write) as session:
            greeting = await session.initialize()
            tools = await session.list_tools()
            echo = await session.call_tool("echo", {"words": "grüße"})
            failure = await session.call_tool("test_error_handling", {})
            await session.call_tool("test_tool_with_progress", {}, progress_callback=on_progress)
            print(json.dumps({
                "version": greeting.protocolVersion,
                "server": greeting.serverInfo.name,
                "tools": sorted(tool.name for tool in tools.tools),
                "echo": [block.text for block in echo.content],
                "structured": echo.structuredContent,
                "error": [failure.isError, failure.content[0].text],
                "progress": progress,
            }))


asyncio.run(main(sys.argv[1]))
