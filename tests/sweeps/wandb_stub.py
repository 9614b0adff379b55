"""As much of a Weights & Biases server as sweeps need, on this host."""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ENTITY, PROJECT, SWEEP = "tester", "sanity", "abcd1234"


@dataclass
class Stub:
    """What the server was told, and what it has an agent do: all at once, and then exit."""

    commands: list[dict[str, Any]] = field(default_factory=list)
    config: str | None = None  # of the sweep, YAML
    url: str = ""

    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server and to no other."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": "0123456789" * 4,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
        }

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """The data that an operation asks for (None: an operation that is not known here)."""
        if operation == "UpsertSweep":
            self.config = variables["config"]
        answers: dict[str, Any] = {
            "Viewer": {"viewer": _viewer()},
            "ServerFeaturesQuery": {"serverInfo": {"features": []}},
            "UpsertSweep": {"upsertSweep": {"sweep": _sweep(), "configValidationWarnings": []}},
            "SweepWithRuns": {"project": {"sweep": _sweep() | self._state()}},
            "CreateAgent": {"createAgent": {"agent": {"id": "agent"}}},
        }
        if operation == "Heartbeat":
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": self._next(variables)}}
        return answers.get(operation)

    def _state(self) -> dict[str, Any]:
        return {"state": "RUNNING", "config": self.config, "runs": {"edges": []}}

    def _next(self, variables: dict[str, Any]) -> str:
        if json.loads(variables["runState"] or "{}"):  # a run goes on: nothing new
            return "[]"
        given, self.commands = self.commands or [{"type": "exit"}], []
        return json.dumps(given)


@contextmanager
def served(stub: Stub) -> Iterator[Stub]:
    """Serve on a free port of the loopback device."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = json.loads(body)
            named = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
            operation = named[1] if named else ""
            data = stub.answer(operation, request.get("variables") or {})
            unknown = {"errors": [{"message": f"the stub does not know {operation}"}]}
            self._send(unknown if data is None else {"data": data})

        def _send(self, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()


def run_command(run_id: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The command by which a server starts a run with a choice of the sweep's parameters."""
    args = {name: {"value": value} for name, value in settings.items()}
    return {"type": "run", "run_id": run_id, "program": "run.py", "args": args}


def _sweep() -> dict[str, Any]:
    entity = {"id": "entity", "name": ENTITY}
    return {"id": "sweep", "name": SWEEP, "project": {"id": "p", "name": PROJECT, "entity": entity}}


def _viewer() -> dict[str, Any]:
    return {
        "id": "user",
        "entity": ENTITY,
        "username": ENTITY,
        "flags": "{}",
        "teams": {"edges": []},
    }
