"""A chat bot on the official client (pip install "mcp>=2"): bot_mcp.py URL [TOOL KEY=VALUE ...]

Without TOOL it reads such lines from standard input. A value that is JSON is sent as JSON (limit=5), any other as text. A token comes
from TINE_TOKEN, patience in seconds from BOT_TIMEOUT. Whatever goes wrong, the person who asked is told; exits with 1 then.
"""

import asyncio
import json
import logging
import os
import shlex
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

LONGEST = 10_000  # characters of an answer; chat servers refuse longer posts
PATIENCE = float(os.environ.get("BOT_TIMEOUT", "60"))  # seconds for a whole answer


class Statuses:
    """Remembers the last bad status: the client tells its caller only that there was no answer."""

    def __init__(self):
        self.last = None

    async def note(self, response):
        if response.status_code >= 400:
            self.last = response

    def told(self):
        if self.last is None:
            return None
        again = self.last.headers.get("Retry-After", "some")
        why = {
            401: "wants another token",
            403: "doesn't allow that",
            404: "has nothing at this address",
            503: f"is full, try again in {again} s",
        }.get(self.last.status_code)
        return why and f"The server {why} (status {self.last.status_code})."


async def ask(url, tool, arguments):
    """The answer's text, and whether it is a good one."""
    token = os.environ.get("TINE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    statuses = Statuses()
    try:
        async with (
            asyncio.timeout(PATIENCE),
            httpx2.AsyncClient(
                headers=headers, timeout=PATIENCE, event_hooks={"response": [statuses.note]}
            ) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            result = await client.call_tool(tool, arguments)
    except Exception as error:
        return statuses.told() or explained(tool, error), False
    text = "\n".join(getattr(block, "text", f"({block.type})") for block in result.content)
    if result.is_error:
        return f"{tool} failed: {text}", False
    return text or "(nothing)", True


def explained(tool, error):
    """What to tell a person about a failure. Task groups wrap the one that matters."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return f"No answer within {PATIENCE:g} s. It may be done all the same: look before you ask again."
    if isinstance(error, httpx2.ConnectError):
        return f"The server can't be reached: {error}"
    if isinstance(error, MCPError):
        return f"The server refused {tool}: {error}"
    return f"The server's answer makes no sense: {type(error).__name__}: {error}"


def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def cut(text):
    if len(text) <= LONGEST:
        return text
    note = f"\n... (cut: {len(text)} characters in all)"
    return text[: LONGEST - len(note)] + note


async def reply(url, line):
    try:
        tool, *pairs = shlex.split(line)
    except ValueError as error:
        text, good = f"I don't understand that: {error}", False
    else:
        arguments = {key: value(text) for key, _, text in (pair.partition("=") for pair in pairs)}
        text, good = await ask(url, tool, arguments)
    print(cut(text if good else f"⚠ {text}"), flush=True)
    return good


async def main(url, words):
    if words:
        return await reply(url, shlex.join(words))
    for line in filter(str.strip, sys.stdin):
        await reply(url, line)
    return True


logging.disable()  # the client logs what it raises as well
sys.exit(not asyncio.run(main(sys.argv[1], sys.argv[2:])))
