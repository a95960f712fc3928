"""The demo's databases, full of data, and pgbench on them."""

import json
import os
import re
import time

from . import processes
from .database import CONNECTIONS, Database
from .statements import Sent

# What this user sends goes to the server's log.
LOGGED = "logged"


class Demo(Database):
    def __init__(self, folder, program, size):
        self.folder = os.path.join(folder, "demo")
        self.programs = self.installed()
        self.port, self.plans, self.read = 5432, {}, 0
        port = processes.free_port()
        command = [program, "demo", "--size", size, "--state", self.folder, "--port", str(port), "--workers", "1", "--log-level", "warn"]
        begin = time.monotonic()
        log = os.path.join(folder, "demo.log")
        self.process = processes.start(command, log)
        processes.until(f"the demo (see {log})", lambda: self.process.poll() is not None or processes.listens(port), 600)
        if self.process.poll() is not None:
            with open(log, encoding="utf-8") as output:
                raise SystemExit(f"bench: the demo ended at once\n{output.read()}")
        self.seconds = time.monotonic() - begin
        self.log = os.path.join(self.folder, "server.log")
        self.psql("swf", f"CREATE ROLE {LOGGED} LOGIN IN ROLE bot; ALTER ROLE {LOGGED} SET log_statement = 'all'")
        self.psql("swf", "ALTER SYSTEM SET log_line_prefix = '%m [%p] %d '")
        self.psql("swf", "SELECT pg_reload_conf()")

    @property
    def socket(self):
        return os.path.join(self.folder, "socket")

    def config(self, tools, broker, user="bot"):
        """The part of Tine's configuration that says what its tools reach."""
        databases = "".join(
            f"[databases.{name}]\nurl = " + json.dumps(f"postgresql://{user}@{self.socket.replace('/', '%2F')}:{self.port}/{name}") + "\n"
            for name in ("swf", "panda")
        )
        return (
            f"toolsets = [{json.dumps(tools)}]\n{databases}"
            f'[programs.kill]\npath = "/bin/kill"\n[http]\nprivate = ["127.0.0.1"]\n[brokers.activemq]\nurl = "stomp://127.0.0.1:{broker.port}"\n'
        )

    def sent_by(self, call):
        """The statements that a call sends as the user LOGGED, and the database that they go to."""
        call()
        with open(self.log, encoding="utf-8") as log:
            # From where the last call's reading ended: the session's way of planning can change between two calls.
            log.seek(self.read)
            sent = Sent(log.read())
            self.read = log.tell()
        # Said once, it holds for the calls after it.
        self.plans[sent.database] = sent.plans = sent.plans or self.plans.get(sent.database, "auto")
        return sent

    def pgbench_like(self, sent, script, variables, seconds):
        """Transactions per second of the script, prepared, over the Unix socket, in sessions like those that `sent` came from. What they
        do in their first second is left out: theirs are new, Tine's are not."""
        done = self.run(
            "pgbench", "-n", "-M", "prepared", "-f", script, *(f"-D{name}={value}" for name, value in variables.items()), "-P", "1",
            "-c", str(CONNECTIONS), "-j", "2", "-T", str(seconds + 2), "-h", self.socket, "-p", str(self.port), "-U", "bot", sent.database,
            env={**os.environ, "PGOPTIONS": f"-c jit=off -c plan_cache_mode={sent.plans}"},
        )
        if re.search(r"number of failed transactions: [1-9]", done.stdout):
            raise SystemExit(f"bench: pgbench met errors\n{done.stdout}{done.stderr}")
        rates = re.findall(r"^progress: [0-9.]+ s, ([0-9.]+) tps", done.stderr, re.MULTILINE)[1:]
        return sum(map(float, rates)) / len(rates)
