"""Loads a server with wrk and reads what came of it. Bodies are JSON-RPC requests, one a line of a file."""

import json
import os
import re
import subprocess
import time
import urllib.request

CONNECTIONS = 64
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}
SCRIPT = os.path.join(os.path.dirname(__file__), "..", "post.lua")


def post(url, body):
    """One answer: its bytes."""
    request = urllib.request.Request(url, data=body.encode(), headers=HEADERS)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def result(url, body):
    answer = json.loads(post(url, body))
    if "result" not in answer or answer["result"].get("isError"):
        raise SystemExit(f"bench: {url} answered {answer}")
    return answer["result"]


def duration(url, body):
    """Seconds until the answer to one request on a connection of its own."""
    begin = time.monotonic()
    post(url, body)
    return time.monotonic() - begin


def wrk(url, bodies, seconds, connections, check=False):
    environment = {**os.environ, "BODIES": bodies}
    if check:
        environment["CHECK"] = "1"
    done = subprocess.run(
        ["wrk", "-t", "2", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s", "--latency", "-s", SCRIPT, url],
        env=environment, capture_output=True, text=True, check=True,
    )
    return done.stdout


def check(url, bodies, connections=CONNECTIONS):
    """Looks into every answer of a short run."""
    wrong = re.search(r"wrong answers: (\d+)", wrk(url, bodies, 1, connections, check=True))
    if wrong is None or int(wrong.group(1)) > 0:
        raise SystemExit(f"bench: {url} gave {wrong.group(1) if wrong else 'no count of'} wrong answers")


def run(url, bodies, seconds, connections=CONNECTIONS):
    """Requests per second, 99th percentile in milliseconds, mean bytes of an answer."""
    output = wrk(url, bodies, seconds, connections)
    if re.search(r"Non-2xx|Socket errors", output):
        raise SystemExit(f"bench: {url} failed under load\n{output}")
    number, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", output).groups()
    requests, size, size_unit = re.search(r"(\d+) requests in [^,]*, ([0-9.]+)(\w*B) read", output).groups()
    scale = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}[size_unit]
    return (
        float(re.search(r"Requests/sec:\s+([0-9.]+)", output).group(1)),
        float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        float(size) * scale / int(requests),
    )
