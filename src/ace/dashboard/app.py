"""The web application: one route a page, server-rendered, with the report's templates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from ace.dashboard.access import Access, FormGuard
from ace.dashboard.actions import add_actions
from ace.dashboard.bullet_history import bullet_history
from ace.dashboard.call_pages import add_call_pages
from ace.dashboard.change_feed import change_feed, run_state
from ace.dashboard.page import render_page
from ace.errors import AceError, DataError, PlaybookError, RunLockedError, RunNotFoundError, RunNotRunningError
from ace.experiments import Comparison, compare_evaluations
from ace.experiments.outcomes import evaluated
from ace.playbook import diff
from ace.reporting.bullet_credit import current_credit
from ace.reporting.pages.html_environment import read_asset
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


def create_app(store_url: str, *, token: str | None = None, author: str = "") -> FastAPI:
    """The dashboard of the store at `store_url`. With `token` it serves whoever has it, else local names alone.

    `author` is the name that forms for edits propose.

    Raises StoreError where the store cannot be opened.
    """
    store = RunStore.open(store_url, create=False)
    guard = FormGuard()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(title="ace", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.middleware("http")(Access(token))

    @app.exception_handler(AceError)
    async def failed(request: Request, error: AceError) -> Response:
        status, title = _status(error, request.method)
        page = render_page("error.html.j2", title=title, message=error.message)
        return HTMLResponse(page, status_code=status)

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        return Response(read_asset(name), media_type=_ASSETS[name])

    _add_run_pages(app, store, guard)
    _add_playbook_pages(app, store, guard, author)
    add_call_pages(app, store)
    add_actions(app, store, guard)
    return app


def _add_run_pages(app: FastAPI, store: RunStore, guard: FormGuard) -> None:
    """Add the list of runs, the page of one with its live changes, and the comparison of several."""

    @app.get("/", response_class=HTMLResponse)
    def runs(page: Annotated[int, Query(ge=1)] = 1) -> str:
        rows = store.list_runs(page * PAGE_SIZE + 1)[(page - 1) * PAGE_SIZE :]
        return render_page("runs.html.j2", title="Runs", runs=rows[:PAGE_SIZE], page=page, more=len(rows) > PAGE_SIZE)

    @app.get("/runs/{run}", response_class=HTMLResponse)
    def run_page(run: str) -> str:
        identity = store.resolve(run)
        state = run_state(store, identity)  # first: what is committed meanwhile is announced
        collected = collect_run(store, identity)
        return render_page(
            "run.html.j2",
            title=f"Run {collected.run.name}",
            item=collected,
            roles=ROLES,
            charts=json.dumps([chart_data(collected)]),
            state=state,
            form_token=guard.token,
        )

    @app.get("/runs/{run}/changes")
    async def changes(request: Request, run: str, state: str | None = None) -> Response:
        feed = change_feed(store, store.resolve(run), request.is_disconnected, last=state)
        return StreamingResponse(feed, media_type="text/event-stream")

    @app.get("/compare", response_class=HTMLResponse)
    def compare(run: Annotated[list[str], Query()] = []) -> str:  # noqa: B006 - FastAPI copies defaults
        identities = sorted({store.resolve(one) for one in run}, key=lambda one: store.run(one).created)
        comparisons, problem = _compared(store, identities)
        return render_page("compare.html.j2", title="Compared runs", comparisons=comparisons, problem=problem)


def _add_playbook_pages(app: FastAPI, store: RunStore, guard: FormGuard, author: str) -> None:
    """Add the pages of a playbook's versions, of a bullet, and of the difference between two versions."""

    @app.get("/runs/{run}/playbook", response_class=HTMLResponse)
    def playbook(run: str, version: Annotated[int | None, Query(ge=0)] = None) -> str:
        identity = store.resolve(run)
        versions = store.playbook_versions(identity)
        selected = versions[-1].version if version is None else version
        current = store.playbook(identity, selected)
        return render_page(
            "playbook.html.j2",
            title=f"Playbook v{selected}",
            run=identity,
            version=selected,
            versions=sorted({each.version for each in versions}),
            playbook=current,
            credit=current_credit(store.credit(identity), current.bullets),
            infos=[info for info in versions if info.author is not None],
        )

    @app.get("/runs/{run}/bullets/{bullet}", response_class=HTMLResponse)
    def bullet_page(run: str, bullet: str) -> str:
        identity = store.resolve(run)
        history = bullet_history(store, identity, bullet)
        return render_page(
            "bullet.html.j2",
            title=bullet,
            run=identity,
            history=history,
            current=store.current_version(identity),
            running=store.run(identity).running,
            form_token=guard.token,
            author=author,
        )

    @app.get("/runs/{run}/diff", response_class=HTMLResponse)
    def difference(run: str, before: Annotated[int, Query(ge=0)], after: Annotated[int, Query(ge=0)]) -> str:
        identity = store.resolve(run)
        changed = diff(store.playbook(identity, before), store.playbook(identity, after))
        return render_page(
            "diff.html.j2",
            title=f"v{before} to v{after}",
            run=identity,
            before=before,
            after=after,
            diff=changed,
            versions=sorted({each.version for each in store.playbook_versions(identity)}),
        )


def _status(error: AceError, method: str) -> tuple[int, str]:
    """The HTTP status and the title of the page of an error."""
    if isinstance(error, RunLockedError | RunNotRunningError):
        return 409, "Not possible now"
    if isinstance(error, PlaybookError):
        return (404, "Not found") if method == "GET" else (409, "Not possible")
    return (404, "Not found") if isinstance(error, RunNotFoundError) else (500, "Error")


def _compared(store: RunStore, runs: list[str]) -> tuple[tuple[Comparison, ...], str]:
    """The comparisons of further runs against the first, or why there are none."""
    if len(runs) < 2:
        return (), "Choose two or more runs."
    try:
        return compare_evaluations(evaluated(store, runs[0]), [evaluated(store, run) for run in runs[1:]]), ""
    except (DataError, RunNotFoundError) as error:
        return (), error.message
