"""The web application: one route a page, server-rendered, with the report's templates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from ace.dashboard.access import Access
from ace.dashboard.bullet_history import bullet_history
from ace.dashboard.change_feed import change_feed
from ace.errors import AceError, DataError, PlaybookError, RunNotFoundError
from ace.experiments import Comparison, compare_evaluations
from ace.experiments.outcomes import evaluated
from ace.playbook import diff
from ace.reporting.pages.html_environment import page_environment, read_asset
from ace.reporting.pages.report_data import collect_run
from ace.reporting.pages.report_page import chart_data
from ace.store import RunStore
from ace.types import ROLES

PAGE_SIZE = 100
_ASSETS = {
    "report.css": "text/css",
    "uplot.min.css": "text/css",
    "uplot.iife.min.js": "text/javascript",
    "report.js": "text/javascript",
    "dashboard.js": "text/javascript",
}


def create_app(store_url: str, *, token: str | None = None) -> FastAPI:
    """The dashboard of the store at `store_url`. With `token` it serves whoever has it, else local names alone.

    Raises StoreError where the store cannot be opened.
    """
    store = RunStore.open(store_url, create=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(title="ace", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.middleware("http")(Access(token))

    @app.exception_handler(AceError)
    async def failed(request: Request, error: AceError) -> Response:
        known = isinstance(error, RunNotFoundError | PlaybookError)
        page = _page("error.html.j2", title="Not found" if known else "Error", message=error.message)
        return HTMLResponse(page, status_code=404 if known else 500)

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        return Response(read_asset(name), media_type=_ASSETS[name])

    @app.get("/", response_class=HTMLResponse)
    def runs(page: Annotated[int, Query(ge=1)] = 1) -> str:
        shown = store.list_runs(page * PAGE_SIZE + 1)[(page - 1) * PAGE_SIZE :]
        return _page("runs.html.j2", title="Runs", runs=shown[:PAGE_SIZE], page=page, more=len(shown) > PAGE_SIZE)

    @app.get("/runs/{run}", response_class=HTMLResponse)
    def run_page(run: str) -> str:
        collected = collect_run(store, store.resolve(run))
        return _page(
            "run.html.j2",
            title=collected.run.id,
            item=collected,
            roles=ROLES,
            charts=json.dumps([chart_data(collected)]),
        )

    @app.get("/runs/{run}/changes")
    async def changes(request: Request, run: str) -> Response:
        feed = change_feed(store, store.resolve(run), request.is_disconnected)
        return StreamingResponse(feed, media_type="text/event-stream")

    @app.get("/runs/{run}/playbook", response_class=HTMLResponse)
    def playbook(run: str, version: Annotated[int | None, Query(ge=0)] = None) -> str:
        identity = store.resolve(run)
        versions = store.playbook_versions(identity)
        shown = versions[-1].version if version is None else version
        return _page(
            "playbook.html.j2",
            title=f"Playbook v{shown}",
            run=identity,
            version=shown,
            versions=sorted({each.version for each in versions}),
            playbook=store.playbook(identity, shown),
        )

    @app.get("/runs/{run}/bullets/{bullet}", response_class=HTMLResponse)
    def bullet_page(run: str, bullet: str) -> str:
        identity = store.resolve(run)
        history = bullet_history(store, identity, bullet)
        return _page("bullet.html.j2", title=bullet, run=identity, history=history)

    @app.get("/runs/{run}/diff", response_class=HTMLResponse)
    def difference(run: str, before: Annotated[int, Query(ge=0)], after: Annotated[int, Query(ge=0)]) -> str:
        identity = store.resolve(run)
        changed = diff(store.playbook(identity, before), store.playbook(identity, after))
        title = f"v{before} to v{after}"
        return _page("diff.html.j2", title=title, run=identity, before=before, after=after, diff=changed)

    @app.get("/compare", response_class=HTMLResponse)
    def compare(run: Annotated[list[str], Query()] = []) -> str:  # noqa: B006 - FastAPI copies defaults
        identities = list(dict.fromkeys(store.resolve(one) for one in run))
        comparisons, problem = _compared(store, identities)
        return _page("compare.html.j2", title="Comparison", comparisons=comparisons, problem=problem)

    return app


def _compared(store: RunStore, runs: list[str]) -> tuple[tuple[Comparison, ...], str]:
    """The comparisons of further runs against the first, or why there are none."""
    if len(runs) < 2:
        return (), "Choose two or more runs."
    try:
        return compare_evaluations(evaluated(store, runs[0]), [evaluated(store, run) for run in runs[1:]]), ""
    except (DataError, RunNotFoundError) as error:
        return (), error.message


def _page(template: str, **values: Any) -> str:
    page: str = page_environment("ace.dashboard").get_template(template).render(**values)
    return page
