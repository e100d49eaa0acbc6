"""Actions of people in the dashboard: pause, continue and stop a run, and edit the bullets of one that stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from ace.dashboard.access import FormGuard
from ace.errors import PlaybookError
from ace.playbook import Delta, Operation, Provenance, Release, Update, Withhold
from ace.store import RunStore
from ace.store.records import Control

_CONTROLS: Mapping[str, Control | None] = {"pause": "pause", "continue": None, "stop": "stop"}
EditKind = Literal["edit", "withhold", "release"]
MOST_AUTHOR_CHARACTERS = 200


def add_actions(app: FastAPI, store: RunStore, guard: FormGuard) -> None:
    """Add the routes that change something. Each answers with a redirect to the page that shows the change."""

    @app.post("/runs/{run}/control")
    async def control(request: Request, run: str) -> Response:
        form = await guard.read(request)
        identity = store.resolve(run)
        action = form.get("action", "")
        if action not in _CONTROLS:
            return Response(f"action: allowed: {', '.join(_CONTROLS)}", status_code=422)
        store.request_control(identity, _CONTROLS[action])
        return RedirectResponse(f"/runs/{identity}", status_code=303)

    @app.post("/runs/{run}/bullets/{bullet}")
    async def edit(request: Request, run: str, bullet: str) -> Response:
        form = await guard.read(request)
        identity = store.resolve(run)
        author = form.get("author", "").strip()[:MOST_AUTHOR_CHARACTERS]
        if not author:
            raise PlaybookError("an edit needs the name of its author")
        kind, version = form.get("action", ""), form.get("version", "")
        if kind not in get_args(EditKind) or not version.isdecimal():
            return Response(f"action: allowed: {', '.join(get_args(EditKind))}; version: a number", status_code=422)
        operation = _operation(kind, identity, bullet, form.get("content", ""), form.get("reason", "").strip())
        store.edit_playbook(identity, Delta((operation,)), author=author, version=int(version))
        return RedirectResponse(f"/runs/{identity}/bullets/{bullet}", status_code=303)


def _operation(kind: str, run: str, bullet: str, content: str, reason: str) -> Operation:
    provenance = Provenance(run=run, role="person")
    if kind == "edit":
        return Update(bullet, content, reason, provenance)
    if kind == "withhold":
        return Withhold(bullet, reason, provenance)
    return Release(bullet, reason, provenance)
