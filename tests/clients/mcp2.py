"""Python `mcp`, second major version: asks for the modern era first, or speaks the legacy one when told to."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str, mode: str) -> None:
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, total])

    async with Client(url, mode=mode) as client:
        tools = await client.list_tools()
        echo = await client.call_tool("echo", {"words": "grüße"})
        failure = await client.call_tool("test_error_handling", {})
        await client.call_tool("test_tool_with_progress", {}, progress_callback=on_progress)
        print(json.dumps({
            "version": client.protocol_version,
            "server": client.server_info.name,
            "tools": sorted(tool.name for tool in tools.tools),
            "echo": [block.text for block in echo.content],
            "structured": echo.structured_content,
            "error": [failure.is_error, failure.content[0].text],
            "progress": progress,
        }))


asyncio.run(main(sys.argv[1], sys.argv[2]))
