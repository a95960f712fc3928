"""A chat bot on plain HTTP, with nothing but Python's standard library: bot_http.py URL [TOOL KEY=VALUE ...]

Without TOOL it reads such lines from standard input. A value that is JSON is sent as JSON (limit=5), any other as text. A token comes
from TINE_TOKEN, patience in seconds from BOT_TIMEOUT. Whatever goes wrong, the person who asked is told; exits with 1 then.
"""
import json, os, shlex, signal, sys, urllib.error, urllib.request

LONGEST = 10_000  # characters of an answer; chat servers refuse longer posts
PATIENCE = float(os.environ.get("BOT_TIMEOUT", "60"))  # seconds for a whole answer
TOKEN = os.environ.get("TINE_TOKEN")

def too_late(*_):
    raise TimeoutError("no answer in time")

def ask(url, tool, arguments):
    """The answer's text, and whether it is a good one."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers |= {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    try:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)  # bounds everything; urlopen's timeout starts anew with each byte
        message = json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)))
        if "error" in message:
            return f"The server refused {tool}: {message['error']['message']}", False
        text = "\n".join(block.get("text", f"({block['type']})") for block in message["result"]["content"])
        return (f"{tool} failed: {text}", False) if message["result"].get("isError") else (text or "(nothing)", True)
    except TimeoutError:
        return f"No answer within {PATIENCE:g} s. It may be done all the same: look before you ask again.", False
    except urllib.error.HTTPError as error:
        why = {401: "wants another token", 403: "doesn't allow that", 404: "has nothing at this address",
               503: f"is full, try again in {error.headers.get('Retry-After', 'some')} s"}.get(error.code, "has failed")
        return f"The server {why} (status {error.code}).", False
    except urllib.error.URLError as error:
        return f"The server can't be reached: {error.reason}", False
    except Exception as error:  # not MCP, or half an answer
        return f"The server's answer makes no sense: {type(error).__name__}: {error}", False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text

def reply(url, line):
    try:
        tool, *pairs = shlex.split(line)
        text, good = ask(url, tool, {key: value(text) for key, _, text in (pair.partition("=") for pair in pairs)})
    except ValueError as error:
        text, good = f"I don't understand that: {error}", False
    cut = f"\n... (cut: {len(text)} characters in all)" if len(text) > LONGEST else ""
    print(("" if good else "⚠ ") + text[:LONGEST - len(cut) if cut else None] + cut, flush=True)
    return good

signal.signal(signal.SIGALRM, too_late)
if len(sys.argv) > 2:
    sys.exit(not reply(sys.argv[1], shlex.join(sys.argv[2:])))
for line in filter(str.strip, sys.stdin):
    reply(sys.argv[1], line)
