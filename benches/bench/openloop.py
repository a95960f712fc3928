"""Clients that do not wait for one another: requests begin at their appointed times, whatever has become of the earlier ones, so that
a slow server cannot slow its own load down. Half of them come over kept connections, the others over new ones. Latencies include
connecting; how late the clients themselves were is told apart. Knows HTTP only as far as one answer with a length."""

import errno
import json
import random
import selectors
import socket
import time
from collections import Counter

# Connections kept open between requests: more would only fill the server's limit, and it would close the longest idle ones.
KEPT = 200
# A client that has heard nothing for so long gives up.
PATIENCE = 15


def request(port, tool, arguments, headers):
    """A call as bytes, and its body alone."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode(), body


class Outcome:
    """What came of the requests of one run: latencies in seconds, by status; 0 is no answer at all."""

    def __init__(self, offered, seconds):
        self.offered, self.seconds = offered, seconds
        self.latencies, self.failures = {}, Counter()
        # When good answers arrived.
        self.good = []
        # How late the generator itself began a request, at the worst.
        self.lateness = 0

    def add(self, status, latency):
        self.latencies.setdefault(status, []).append(latency)

    def rate(self, status):
        return len(self.latencies.get(status, [])) / self.seconds

    def quantile(self, status, part):
        sorted_latencies = sorted(self.latencies.get(status, []))
        if not sorted_latencies:
            return 0
        return sorted_latencies[min(len(sorted_latencies) - 1, int(part * len(sorted_latencies)))]


class Request:
    __slots__ = ("socket", "begun", "received", "kept")

    def __init__(self, socket, kept):
        self.socket, self.kept, self.received = socket, kept, b""
        self.begun = time.monotonic()


class Clients:
    def __init__(self, port, request, right):
        """`request` is sent as it is; `right` must be in the body of a good answer."""
        self.address, self.request, self.right = ("127.0.0.1", port), request, right
        self.selector = selectors.EpollSelector()
        self.idle = []

    def run(self, rate, seconds):
        """`rate` requests a second on average, at random times (a Poisson process)."""
        dice, outcome = random.Random(1), Outcome(rate, seconds)
        start = time.monotonic()
        due, end = start, start + seconds
        open_requests = {}
        while True:
            now = time.monotonic()
            while due <= now and due < end:
                outcome.lateness = max(outcome.lateness, now - due)
                self.begin(open_requests, dice, outcome)
                due += dice.expovariate(rate)
            if due >= end and not open_requests:
                break
            if now > end + PATIENCE:
                for request in list(open_requests.values()):
                    self.finish(request, open_requests, outcome, "no answer")
                break
            wait = 0.1 if due >= end else max(0, min(due - now, 0.1))
            for key, events in self.selector.select(wait):
                self.advance(key.data, events, open_requests, outcome)
        self.close()
        return outcome

    def begin(self, open_requests, dice, outcome):
        kept = None
        while self.idle and dice.random() < 0.5 and kept is None:
            kept = self.idle.pop()
            try:
                if kept.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                    kept.close()
                    kept = None
            except BlockingIOError:
                pass
            except OSError:
                kept.close()
                kept = None
        if kept is not None:
            request = Request(kept, True)
            open_requests[kept.fileno()] = request
            return self.send(request, open_requests, outcome, register=True)
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = Request(client, False)
        open_requests[client.fileno()] = request
        code = client.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            return self.finish(request, open_requests, outcome, errno.errorcode[code])
        self.selector.register(client, selectors.EVENT_WRITE, request)

    def send(self, request, open_requests, outcome, register=False):
        try:
            request.socket.sendall(self.request)
        except OSError as error:
            return self.finish(request, open_requests, outcome, f"sending: {error}", registered=not register)
        if register:
            self.selector.register(request.socket, selectors.EVENT_READ, request)
        else:
            self.selector.modify(request.socket, selectors.EVENT_READ, request)

    def advance(self, request, events, open_requests, outcome):
        if events & selectors.EVENT_WRITE:
            code = request.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                return self.finish(request, open_requests, outcome, errno.errorcode[code])
            return self.send(request, open_requests, outcome)
        try:
            data = request.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            return self.finish(request, open_requests, outcome, f"reading: {error}")
        request.received += data
        head, found, body = request.received.partition(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0]) if found else None
        if found and len(body) >= length:
            self.answered(request, int(head[9:12]), lower, body, open_requests, outcome)
        elif not data:
            kind = "a kept" if request.kept else "a new"
            self.finish(request, open_requests, outcome, f"closed without an answer on {kind} connection")

    def answered(self, request, status, head, body, open_requests, outcome):
        if status == 200 and self.right not in body:
            return self.finish(request, open_requests, outcome, f"wrong: {body[:200]}")
        if status == 503 and b"\r\nretry-after:" not in head:
            return self.finish(request, open_requests, outcome, "503 without Retry-After")
        outcome.add(status, time.monotonic() - request.begun)
        if status == 200:
            outcome.good.append(time.monotonic())
        del open_requests[request.socket.fileno()]
        self.selector.unregister(request.socket)
        if b"\r\nconnection: close" in head or len(self.idle) >= KEPT:
            request.socket.close()
        else:
            self.idle.append(request.socket)

    def finish(self, request, open_requests, outcome, fault, registered=True):
        outcome.failures[fault] += 1
        outcome.add(0, time.monotonic() - request.begun)
        del open_requests[request.socket.fileno()]
        if registered:
            try:
                self.selector.unregister(request.socket)
            except KeyError:
                pass
        request.socket.close()

    def close(self):
        while self.idle:
            self.idle.pop().close()
