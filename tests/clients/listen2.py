"""Python `mcp`, second major version: subscribes to changes of the tools, lists them whenever it is told to, and subscribes anew when
its stream has ended, until it finds a tool named `second`."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str) -> None:
    async with Client(url) as client:
        async def names():
            return sorted(tool.name for tool in (await client.list_tools()).tools)

        before, told, granted = await names(), 0, None
        after = before
        while "second" not in after:
            # A stream that breaks off raises an exception instead of ending the loop.
            async with client.listen(tools_list_changed=True, prompts_list_changed=True) as subscription:
                granted = subscription.honored.model_dump(by_alias=True, exclude_none=True)
                after = await names()
                if "second" in after:
                    break
                async for _ in subscription:
                    told += 1
                    after = await names()
                    if "second" in after:
                        break
        print(json.dumps({"granted": granted, "before": before, "told": told > 0, "ends": [], "after": after}))


asyncio.run(main(sys.argv[1]))
