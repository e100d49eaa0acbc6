"""The pages of model calls: all of a batch or an evaluation, and one with the exact prompt that it saw."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse

from ace.dashboard.page import render_page
from ace.dashboard.prompt_view import prompt_view
from ace.store import RunReader
from ace.types import ROLES

PAGE_SIZE = 100


def add_call_pages(app: FastAPI, store: RunReader) -> None:
    """Add the routes of calls."""

    @app.get("/runs/{run}/calls", response_class=HTMLResponse)
    def calls(
        run: str,
        batch: Annotated[int | None, Query(ge=0)] = None,
        evaluation: Annotated[int | None, Query(ge=0)] = None,
        role: str = "",
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> str:
        identity = store.resolve(run)
        batches, evaluations = store.run(identity).batches, store.evaluations(identity)
        if batch is None and evaluation is None:
            batch = batches - 1 if batches else None
            evaluation = 0 if batch is None and evaluations else None
        listed = [
            call
            for call in (store.calls(identity, batch=batch, evaluation=evaluation) if batches or evaluations else ())
            if role in ("", call.role)
        ]
        start = (page - 1) * PAGE_SIZE
        return render_page(
            "calls.html.j2",
            title="Calls",
            run=identity,
            calls=listed[start : start + PAGE_SIZE],
            total=len(listed),
            page=page,
            more=len(listed) > start + PAGE_SIZE,
            batch=batch,
            evaluation=evaluation,
            role=role,
            roles=ROLES,
            batches=batches,
            evaluations=evaluations,
        )

    @app.get("/runs/{run}/calls/{request}", response_class=HTMLResponse)
    def call(run: str, request: str) -> str:
        identity = store.resolve(run)
        view = prompt_view(store, identity, request)
        title = f"{view.call.role} call"
        return render_page("call.html.j2", title=title, run=identity, view=view)
