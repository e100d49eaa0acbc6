"""A server of the Model Context Protocol: an agent reads the playbook of a run, and reports what became of its answers.

Feedback is in the store before a report is acknowledged. What learns from it is `ace learn`, beside the server or as a
process that the tool `learn` starts: an engine that writes to the standard output would break the protocol.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from ace._util.masking import mask
from ace.errors import AceError
from ace.playbook import Playbook
from ace.store import Exchange, Feedback, RunStore

INSTRUCTIONS = (
    "Call get_playbook before you work on a task, and follow it. When the result is known, call report_feedback: also "
    "when it was right."
)
LAST_LINES = 5
"""Lines of a failed learner's messages that its caller gets."""


class BulletView(BaseModel):
    """A bullet of the playbook."""

    id: str
    section: str
    content: str
    helpful: int
    harmful: int


class PlaybookView(BaseModel):
    """A version of the playbook: as text for a system prompt, and bullet by bullet."""

    run: str
    version: int
    text: str
    bullets: list[BulletView]


class Receipt(BaseModel):
    """Feedback that is in the store. `pending` is the number of reports that nothing was learned from yet."""

    request_id: str
    pending: int


class Learned(BaseModel):
    """The end of learning: reports that were used, those that are left, and the newest version."""

    used: int
    pending: int
    version: int


class PlaybookServer:
    """The tools of the server, over the playbook of one run."""

    def __init__(self, store: str, run: str, *, learn_config: Path | None = None) -> None:
        """RunNotFoundError, StoreError. With `learn_config` there is a tool `learn`."""
        self._url = store
        self._store = RunStore.open(store, create=False)
        self._run = self._store.resolve(run)
        self._config = learn_config
        self._learning = asyncio.Lock()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def build(self) -> MCPServer[Any]:
        """The server, for any transport."""
        server: MCPServer[Any] = MCPServer("ace", title="ACE playbook", instructions=INSTRUCTIONS, log_level="WARNING")
        server.tool()(self.get_playbook)
        server.tool()(self.report_feedback)
        if self._config is not None:
            server.tool()(self.learn)
        server.resource("ace://playbook", mime_type="text/markdown", description="The newest version")(self._text)
        server.resource("ace://playbook/{version}", mime_type="text/markdown", description="A version")(self._text_of)
        return server

    def get_playbook(
        self, version: Annotated[int | None, Field(description="A version; the newest without it.")] = None
    ) -> PlaybookView:
        """Read the playbook: advice from earlier work on this kind of task."""
        playbook = self._playbook(version)
        bullets = [
            BulletView(
                id=bullet.id,
                section=bullet.section,
                content=bullet.content,
                helpful=bullet.counters.helpful,
                harmful=bullet.counters.harmful,
            )
            for bullet in playbook.bullets
        ]
        return PlaybookView(run=self._run, version=playbook.version, text=playbook.as_system_prompt(), bullets=bullets)

    def report_feedback(
        self,
        question: Annotated[str, Field(description="What was to be done.", min_length=1)],
        answer: Annotated[str, Field(description="What was answered or done.")],
        correct: Annotated[bool | None, Field(description="Whether it was right.")] = None,
        score: Annotated[float | None, Field(description="How good it was.", ge=0, le=1)] = None,
        remark: Annotated[str, Field(description="What was said about it, an error message, a hint.")] = "",
        expected: Annotated[str | None, Field(description="The right answer, where it is known.")] = None,
        bullets: Annotated[list[str] | None, Field(description="Ids of the bullets that were used.")] = None,
        version: Annotated[int | None, Field(description="The version that was used; the newest without it.")] = None,
        request_id: Annotated[str | None, Field(description="Makes a repeated report one.", max_length=200)] = None,
    ) -> Receipt:
        """Report what became of an answer. It is stored for good; the playbook learns from it later."""
        if correct is None and score is None and expected is None and not remark.strip():
            raise ToolError("nothing is reported: give correct, score, expected or remark")
        playbook = self._playbook(version)
        if unknown := set(bullets or ()) - {bullet.id for bullet in playbook.bullets}:
            raise ToolError(f"version {playbook.version} has no bullet {', '.join(sorted(unknown))}")
        identity = request_id or uuid4().hex
        used = f"It used the notes {', '.join(bullets)}." if bullets else ""
        text = "\n".join(filter(None, (remark.strip(), used)))
        try:
            (status,) = self._store.record_feedback(
                [Exchange(identity, self._run, playbook.version, question, answer)],
                [Feedback(identity, correct, score, text, expected)],
            )
        except AceError as error:
            raise ToolError(str(error)) from error
        if status == "conflict":
            raise ToolError(f"there is other feedback for the request {identity!r}; the first one stands")
        return Receipt(request_id=identity, pending=self._pending())

    async def learn(self) -> Learned:
        """Reflect on the reports that are pending and update the playbook. May take minutes."""
        assert self._config is not None
        async with self._learning:
            before = self._pending()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ace", "learn", self._run, "--store", self._url),
                *("--config", str(self._config), "--once", "--parent", str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                _, messages = await process.communicate()
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
            if process.returncode:
                last = messages.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
                raise ToolError(mask("\n".join(last)) or f"the learner ended with exit code {process.returncode}")
            pending = self._pending()
            return Learned(used=before - pending, pending=pending, version=self._playbook(None).version)

    def _text(self) -> str:
        return self._playbook(None).as_system_prompt()

    def _text_of(self, version: int) -> str:
        return self._playbook(version).as_system_prompt()

    def _playbook(self, version: int | None) -> Playbook:
        try:
            return self._store.playbook(self._run, version)
        except AceError as error:
            raise ToolError(str(error)) from error

    def _pending(self) -> int:
        return len(self._store.pending_feedback(self._run))
