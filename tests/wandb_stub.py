"""As much of a Weights & Biases server as this project needs, on this host.

Runs, their histories (lines at offsets, as the real file stream has them), files, artifacts, saved
views, and sweeps with an agent. It can be told to fail.
"""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, RLock, Thread
from typing import Any

ENTITY, PROJECT, SWEEP = "tester", "sanity", "abcd1234"
KEY = "0123456789" * 4


@dataclass
class StoredRun:
    """A run as the server has it."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)  # group, job type, display name, tags, ...
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    streams: int = 0
    exit_codes: list[int] = field(default_factory=list)

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows of epochs, without wandb's own columns."""
        rows = [row for row in self.history if "epoch" in row]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as it was given to wandb."""
        return {k: v["value"] for k, v in self.config.items() if k != "_wandb"}


@dataclass
class StoredArtifact:
    """An artifact: its type, the run that made it, the runs that use it, and what it holds."""

    id: str
    name: str
    type: str
    made_by: str
    used_by: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    committed: bool = False


@dataclass
class Stub:
    """What the server was told, and what it has an agent do: all at once, and then exit."""

    commands: list[dict[str, Any]] = field(default_factory=list)
    config: str | None = None  # of the sweep, YAML
    url: str = ""
    status: int | None = None  # what every request is answered with, if not 200
    silent: bool = False  # whether requests are left without any answer
    later: bool = False  # whether only what comes once a run is there fails with ``status``
    runs: dict[str, StoredRun] = field(default_factory=dict)
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    view_saves: int = 0
    unknown: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    closed: Event = field(default_factory=Event)
    lock: RLock = field(default_factory=RLock)

    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server and to no other."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
        }

    def failing(self, path: str) -> int | None:
        """The status that a request is to fail with, if any."""
        streams = any(run.streams for run in self.runs.values())
        return self.status if not self.later or streams or "file_stream" in path else None

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """The data that an operation asks for (None: an operation that is not known here)."""
        if operation == "UpsertSweep":
            self.config = given["config"]
        fixed: dict[str, Any] = {
            "Viewer": {"viewer": _viewer()},
            "GetDefaultEntity": {"viewer": _viewer()},
            "ServerFeaturesQuery": {"serverInfo": {"features": []}},
            "UpsertSweep": {"upsertSweep": {"sweep": _sweep(), "configValidationWarnings": []}},
            "SweepWithRuns": {"project": {"sweep": _sweep() | self._state()}},
            "CreateAgent": {"createAgent": {"agent": {"id": "agent"}}},
            "RunStoppedStatus": {"project": {"run": {"stopped": False}}},
            "OrganizationCoreWeaveOrganizationID": {"entity": {"organization": None}},
            "XXHashDigestsEnabled": {"entity": {"xxhashDigestsEnabled": False}},
        }
        if operation == "Heartbeat":
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": self._next(given)}}
        handler = getattr(self, f"on_{operation}", None)
        return handler(given) if handler else fixed.get(operation)

    def on_RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.runs.get(given["name"])
        if run is None:
            return {"model": {"bucket": None}}
        last = json.loads(run.lines[-1]) if run.lines else {}
        bucket: dict[str, Any] = {
            "id": run.name,
            "name": run.name,
            "summaryMetrics": json.dumps(
                {"_step": last.get("_step", -1), "_runtime": 1} if last else {}
            ),
            "displayName": run.facts.get("displayName"),
            "config": json.dumps(run.config),
            "tags": [],
            "notes": "",
            "logLineCount": 0,
            "historyLineCount": len(run.lines),
            "eventsLineCount": 0,
            "historyTail": json.dumps(run.lines[-1:]),
            "eventsTail": "[]",
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"id": "p", "name": PROJECT, "entity": _entity(), "bucket": bucket}}

    def on_UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = given["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun(name))
        run.facts |= {k: v for k, v in given.items() if v is not None and k != "config"}
        run.config |= json.loads(given.get("config") or "{}")
        bucket = {
            "id": f"id-{name}",
            "name": name,
            "displayName": run.facts.get("displayName"),
            "description": "",
            "config": json.dumps(run.config),
            "sweepName": run.facts.get("sweep"),
            "historyLineCount": len(run.lines),
            "project": {"id": "p", "name": run.facts["project"], "entity": _entity()},
        }
        return {"upsertBucket": {"inserted": inserted, "bucket": bucket}}

    def on_CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.runs[given["run"]].files += given["files"]
        files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def on_ArtifactType(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = given["name"].split(":")[0]
        known = next((one for one in self.artifacts.values() if one.name == name), None)
        kind = None if known is None else {"artifactType": {"name": known.type}}
        return {"project": {"artifact": kind}}

    def on_CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = given["input"]
        identifier = f"{asked['artifactCollectionName']}@{asked['digest']}"
        known = self.artifacts.setdefault(
            identifier,
            StoredArtifact(
                identifier,
                asked["artifactCollectionName"],
                asked["artifactTypeName"],
                asked["runName"],
            ),
        )
        state = "COMMITTED" if known.committed else "PENDING"
        artifact = {"id": identifier, "state": state, "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def on_CreateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        file = {"id": "f", "uploadUrl": f"{self.url}/put/manifest", "uploadHeaders": []}
        manifest = {"id": f"manifest-{given['artifactID']}", "file": file}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def on_UpdateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        file = {"id": "f", "uploadUrl": f"{self.url}/put/manifest", "uploadHeaders": []}
        manifest = {"id": given["artifactManifestID"], "file": file}
        return {"updateArtifactManifest": {"artifactManifest": manifest}}

    def on_CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        edges = []
        for asked in given["input"]["artifactFiles"]:
            self.artifacts[asked["artifactID"]].files.append(asked["name"])
            node = {
                "storagePath": asked["name"],
                "uploadUrl": f"{self.url}/put/{asked['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": asked["artifactID"]},
            }
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def on_CommitArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        artifact = self.artifacts[given["artifactID"]]
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": "d"}}}

    def on_UseArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = given["input"]
        self.artifacts[asked["artifactID"]].used_by.append(asked["runName"])
        return {"useArtifact": {"artifact": {"id": asked["artifactID"]}}}

    def on_ArtifactByID(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        known = self.artifacts[given["id"]]
        project = {"id": "p", "internalId": "cDox", "name": PROJECT, "entity": _entity()}
        sequence = {"__typename": "ArtifactSequence", "name": known.name, "project": project}
        return {
            "artifact": {
                "__typename": "Artifact",
                "id": known.id,
                "artifactSequence": sequence,
                "versionIndex": 0,
                "artifactType": {"name": known.type},
                "description": None,
                "metadata": "{}",
                "ttlDurationSeconds": -1,
                "ttlIsInherited": True,
                "tags": [],
                "historyStep": None,
                "state": "COMMITTED",
                "size": 1,
                "digest": "d",
                "digestAlgorithm": "MANIFEST_MD5",
                "commitHash": "c",
                "fileCount": 1,
                "createdAt": "2026-01-01T00:00:00Z",
                "updatedAt": "2026-01-01T00:00:00Z",
                "aliases": [],
            }
        }

    def on_View(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [view for view in self.views.values() if view["name"] == given["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}

    def on_UpsertView2(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        inserted = not given.get("id")
        identifier = given.get("id") or f"view{len(self.views)}"
        self.views[identifier] = dict(given) | {"id": identifier}
        self.view_saves += 1
        view = {"id": identifier, "name": given["name"]}
        return {"upsertView": {"view": view, "inserted": inserted}}

    def stream(self, run: str, content: dict[str, Any]) -> None:
        """A part of a run's files: lines that replace what is there from their offset on."""
        stored = self.runs[run]
        for name, part in content.get("files", {}).items():
            if name == "wandb-history.jsonl":
                lines, start = part["content"], part["offset"]
                stored.lines[start : start + len(lines)] = lines
            elif name == "wandb-summary.json":
                stored.summary = json.loads(part["content"][-1])
        if content.get("complete"):
            stored.exit_codes.append(content["exitcode"])

    def _state(self) -> dict[str, Any]:
        return {"state": "RUNNING", "config": self.config, "runs": {"edges": []}}

    def _next(self, variables: dict[str, Any]) -> str:
        if json.loads(variables["runState"] or "{}"):  # a run goes on: nothing new
            return "[]"
        given, self.commands = self.commands or [{"type": "exit"}], []
        return json.dumps(given)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave connections behind."""


@contextmanager
def served(stub: Stub) -> Iterator[Stub]:
    """Serve on a free port of the loopback device."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            stream = re.match(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
            with stub.lock:
                if stream:
                    stub.runs[stream[1]].streams += 1
                status = stub.failing(self.path)
            if stub.silent:
                stub.closed.wait()
                return
            if status is not None:
                self._send({"error": "as the test wants it"}, status)
                return
            content = json.loads(body)
            with stub.lock:
                if stream:
                    stub.stream(stream[1], content)
                    answer: dict[str, Any] = {}
                else:
                    answer = self._graphql(content)
            self._send(answer)

        def _graphql(self, request: dict[str, Any]) -> dict[str, Any]:
            named = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
            operation = named[1] if named else ""
            stub.requests.append(operation)
            data = stub.answer(operation, request.get("variables") or {})
            if data is None:
                stub.unknown.append(operation)
                return {"errors": [{"message": f"the stub does not know {operation}"}]}
            return {"data": data}

        def do_PUT(self) -> None:
            self._body()
            self._send({})

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            packed = self.headers.get("Content-Encoding") == "gzip"
            return gzip.decompress(body) if packed else body

        def _send(self, content: dict[str, Any], status: int = 200) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield stub
        finally:
            stub.closed.set()
            server.shutdown()
            thread.join()


def run_command(run_id: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The command by which a server starts a run with a choice of the sweep's parameters."""
    args = {name: {"value": value} for name, value in settings.items()}
    return {"type": "run", "run_id": run_id, "program": "run.py", "args": args}


def _entity() -> dict[str, str]:
    return {"id": "entity", "name": ENTITY}


def _sweep() -> dict[str, Any]:
    project = {"id": "p", "name": PROJECT, "entity": _entity()}
    return {"id": "sweep", "name": SWEEP, "project": project}


def _viewer() -> dict[str, Any]:
    return {
        "id": "user",
        "entity": ENTITY,
        "username": ENTITY,
        "flags": "{}",
        "teams": {"edges": []},
    }
