"""The server that Tine replaces, small: four of its tools on the official package under uvicorn, on the same databases, with the same
addresses, the same health check and the same manners: indented text alone, a failure as a key of a good result, a list that writes."""

import json
import os
from datetime import UTC, datetime

import psycopg
from dotenv import load_dotenv
from mcp.server.fastmcp import FastMCP
from mcp.server.transport_security import TransportSecuritySettings
from psycopg.rows import dict_row
from starlette.responses import JSONResponse

load_dotenv()
MONITOR = os.environ["SWF_MONITOR_HTTP_URL"].removesuffix("/")
server = FastMCP(
    "swf-testbed",
    stateless_http=True,
    json_response=True,
    streamable_http_path="/swf-monitor/mcp/",
    transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
)


def rows(statement, **values):
    place = {key: os.environ[f"DB_{key.upper()}"] for key in ("host", "port", "user", "password")}
    with psycopg.connect(dbname=os.environ["DB_NAME"], autocommit=True, row_factory=dict_row, **place) as database:
        cursor = database.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def told(answer):
    return json.dumps(answer, indent=2, default=lambda time: time.astimezone(UTC).isoformat())


def listed(items, title, path):
    found = {"items": items, "total_count": len(items), "has_more": False}
    return told(found | {"monitor_urls": [{"title": title, "url": MONITOR + path}]})


@server.tool(structured_output=False)
def swf_list_namespaces() -> str:
    items = rows("SELECT name, owner, description FROM swf_namespace ORDER BY name")
    return listed(items, "Namespaces List", "/namespaces/")


@server.tool(structured_output=False)
def swf_list_agents(status: str = "") -> str:
    rows(
        "UPDATE swf_systemagent SET status = 'EXITED', operational_state = 'EXITED' "
        "WHERE last_heartbeat < now() - interval '3 minutes' AND status <> 'EXITED' AND operational_state <> 'EXITED'"
    )
    items = rows(
        "SELECT instance_name AS name, agent_type, status, operational_state, namespace, last_heartbeat, workflow_enabled, "
        "total_stf_processed FROM swf_systemagent WHERE CASE WHEN %(status)s = '' THEN status <> 'EXITED' "
        "ELSE upper(status) = upper(%(status)s) END ORDER BY last_heartbeat DESC, id DESC",
        status=status,
    )
    return listed(items, "Agents List", "/workflow/agents/" + (f"?status={status}" if status else ""))


@server.tool(structured_output=False)
def swf_get_agent(name: str) -> str:
    columns = (
        "agent_type, status, namespace, last_heartbeat, description, workflow_enabled, current_stf_count, total_stf_processed, "
        "last_stf_processed, metadata"
    )
    found = rows(f"SELECT instance_name AS name, {columns} FROM swf_systemagent WHERE instance_name = %(name)s", name=name)
    if not found:
        return told({"error": f"Agent '{name}' not found"})
    return told(found[0] | {"monitor_urls": [{"title": "Agent Detail", "url": f"{MONITOR}/workflow/agents/{name}/"}]})


@server.tool(structured_output=False)
def swf_record_ai_memory(username: str, session_id: str, role: str, content: str) -> str:
    rows(
        "INSERT INTO swf_ai_memory (username, session_id, role, content, created_at) "
        "VALUES (%(username)s, %(session_id)s, %(role)s, %(content)s, now())",
        username=username,
        session_id=session_id,
        role=role,
        content=content,
    )
    return told({"success": True})


@server.custom_route("/swf-monitor/api/mcp-health/", ["GET"])
async def health(_request):
    answer = {"ok": True, "service": "swf-monitor-mcp-asgi", "pid": os.getpid(), "database": "ok", "mcp_stateless": True}
    return JSONResponse(answer | {"timestamp": datetime.now(UTC).isoformat()})


application = server.streamable_http_app()
