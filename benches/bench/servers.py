"""The programs under load: Tine, nginx that answers with Tine's bytes, and MCP Toolbox."""

import json
import os

from . import database, load, processes


class Server:
    """A running server; `url` is its MCP endpoint."""

    def __init__(self, name, command, port, log, path="/mcp", **options):
        self.name, self.url = name, f"http://127.0.0.1:{port}{path}"
        self.process = processes.start(command, log, **options)
        self.port = port
        processes.until(f"{name} (see {log})", lambda: self.process.poll() is not None or processes.listens(port))
        if self.process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as output:
                raise SystemExit(f"bench: {name} ended at once\n{output.read()}")

    def memory(self):
        return processes.memory(self.process.pid)


def tine(folder, program, reach, workers=4, connections=database.CONNECTIONS // 4, variables=None):
    """Tine; `reach` is the part of its configuration that says what it serves, and `connections` those of a worker to each database."""
    port = processes.free_port()
    config = os.path.join(folder, f"tine-{port}.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'port = {port}\ncontrol = "control-{port}"\nworkers = {workers}\ndb_connections = {connections}\nlog_level = "warn"\n{reach}')
    log = os.path.join(folder, f"tine-{port}.log")
    return Server("tine", [program, "serve", "--config", config], port, log, env={**os.environ, **(variables or {})})


def tickets(store, toolset="toolset", url=None):
    """Serves the tools of a folder beside this one."""
    folder = os.path.join(os.path.dirname(__file__), "..", toolset)
    return f"toolsets = [{json.dumps(folder)}]\n[databases.main]\nurl = {json.dumps(url or store.url)}\n"


def nginx(folder, body, path="/mcp"):
    """Answers every request with `body`. In a string of its configuration `$` begins a variable, and a string has a limit."""
    port = processes.free_port()
    parts = [body[at : at + 2000] for at in range(0, len(body), 2000)]
    quoted = [part.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}") for part in parts]
    settings = "".join(f'      set $part{number} "{part}";\n' for number, part in enumerate(quoted))
    answer = "".join(f"$part{number}" for number in range(len(parts)))
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(
            f"""daemon off;
worker_processes 4;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-1; proxy_temp_path {folder}/nginx-2; fastcgi_temp_path {folder}/nginx-3;
  uwsgi_temp_path {folder}/nginx-4; scgi_temp_path {folder}/nginx-5;
  keepalive_requests 100000000;
  default_type application/json;
  geo $dollar {{ default "$"; }}
  server {{
    listen 127.0.0.1:{port};
    location {path} {{
{settings}      return 200 "{answer}";
    }}
  }}
}}
"""
        )
    command = ["/usr/sbin/nginx", "-e", f"{folder}/nginx-error.log", "-p", folder, "-c", config]
    server = Server("nginx", command, port, os.path.join(folder, "nginx.log"), path)
    answered = load.post(server.url, "{}").decode()
    if answered != body:
        raise SystemExit(f"bench: nginx answers with other bytes than Tine: {answered}")
    return server


def toolbox(folder, cache, store):
    port = processes.free_port()
    with open(os.path.join(os.path.dirname(__file__), "..", "toolbox", "tools.yaml"), encoding="utf-8") as file:
        template = file.read()
    config = os.path.join(folder, "toolbox.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(template.format(socket=store.folder, port=store.port, connections=database.CONNECTIONS))
    program = os.path.join(cache, "toolbox/node_modules/@toolbox-sdk/server-linux-x64/bin/toolbox")
    command = [program, "--config", config, "--port", str(port), "--disable-version-check", "--log-level", "ERROR"]
    return Server("toolbox", command, port, os.path.join(folder, "toolbox.log"))
