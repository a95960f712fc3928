"""A private PostgreSQL cluster with the tickets, and pgbench on it."""

import glob
import os
import re
import shutil
import signal
import subprocess

from . import processes

CONNECTIONS = 16


class Database:
    def __init__(self, folder, schema):
        self.folder = os.path.join(folder, "pg")
        self.port = processes.free_port()
        self.programs = self.installed()
        os.makedirs(self.folder)
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C.UTF-8")
        settings = {
            "listen_addresses": "", "port": self.port, "unix_socket_directories": self.folder,
            "max_connections": 100, "shared_buffers": "256MB", "fsync": "off", "autovacuum": "off",
        }
        self.options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        self.log = os.path.join(folder, "postgresql.log")
        self.start()
        self.psql("postgres", "CREATE ROLE bot LOGIN PASSWORD 'bot'")
        self.psql("postgres", "CREATE DATABASE bench OWNER bot")
        self.psql("bench", schema)
        self.psql("bench", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bot")

    @staticmethod
    def installed():
        return sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    @property
    def socket(self):
        """The folder of the Unix socket."""
        return self.folder

    def start(self):
        """Returns when it answers."""
        self.process = processes.start(self.command("postgres", "-D", self.data, *self.options), self.log, cwd=self.folder)
        processes.until("PostgreSQL", lambda: self.psql("postgres", "SELECT 1", check=False).returncode == 0)

    def stop(self):
        """As an operator does it: sessions are ended, not waited for."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    @property
    def url(self):
        return f"postgresql://bot@{self.folder.replace('/', '%2F')}:{self.port}/bench"

    def command(self, program, *arguments):
        command = [os.path.join(self.programs, program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        return command

    def run(self, program, *arguments, check=True, **options):
        done = subprocess.run(
            self.command(program, *arguments), stdin=options.pop("stdin", subprocess.DEVNULL),
            capture_output=True, text=True, cwd="/", **options
        )
        if check and done.returncode != 0:
            raise SystemExit(f"bench: {program} failed\n{done.stdout}{done.stderr}")
        return done

    def psql(self, database, sql, check=True):
        script = ["-v", "ON_ERROR_STOP=1", "-qAtX", "-h", self.socket, "-p", str(self.port), "-U", "postgres"]
        done = subprocess.run(
            self.command("psql", *script, database), input=sql, capture_output=True, text=True, cwd="/"
        )
        if check and done.returncode != 0:
            raise SystemExit(f"bench: psql failed\n{done.stderr}")
        return done

    def statement_of(self, call):
        """The parameterised SQL that a server sends for `call()`, from PostgreSQL's own log."""
        self.psql("bench", "ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
        processes.until("the setting", lambda: self.psql("bench", "SHOW log_statement").stdout.strip() == "all")
        begin = os.path.getsize(self.log)
        for _ in range(50):
            # Workers notice the setting one by one, each with its next transaction.
            call()
        self.psql("bench", "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf()")
        processes.until("the setting", lambda: self.psql("bench", "SHOW log_statement").stdout.strip() == "none")
        with open(self.log, encoding="utf-8") as log:
            log.seek(begin)
            text = log.read()
        # Continuation lines of a logged statement begin with a tab.
        statements = re.findall(r"LOG:  execute [^:]*: (.*(?:\n\t.*)*)", text)
        tickets = [statement.replace("\n\t", "\n") for statement in statements if "ticket" in statement]
        if not tickets:
            raise SystemExit(f"bench: no statement on tickets in {self.log}")
        return tickets[-1]

    def pgbench(self, script, seconds):
        """Transactions per second of the script, prepared, over the Unix socket."""
        done = self.run(
            "pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(CONNECTIONS), "-j", "2", "-T", str(seconds),
            "-h", self.folder, "-p", str(self.port), "-U", "bot", "bench",
        )
        if re.search(r"number of failed transactions: [1-9]", done.stdout):
            raise SystemExit(f"bench: pgbench met errors\n{done.stdout}{done.stderr}")
        return float(re.search(r"tps = ([0-9.]+)", done.stdout).group(1))
