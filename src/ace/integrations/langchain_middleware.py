"""Middleware for agents of LangChain (`create_agent`): the playbook in their system prompt, their answers reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from ace.integrations.answer_log import AgentAnswer
from ace.integrations.live_playbook import PlaybookSource, playbook_of


class PlaybookMiddleware(AgentMiddleware):  # type: ignore[misc] # the package is Any where it is not installed
    """Adds the playbook to the system prompt of every model call, and gives each answer to `report`."""

    def __init__(self, playbook: PlaybookSource, *, report: Callable[[AgentAnswer], None] | None = None) -> None:
        super().__init__()
        self.tools: list[Any] = []
        self._current = playbook_of(playbook)
        self._report = report

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        return handler(self._with_playbook(request))

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        return await handler(self._with_playbook(request))

    def after_agent(self, state: Any, runtime: Any) -> None:
        if self._report is not None:
            self._report(_answer(state["messages"], self._current().version))

    async def aafter_agent(self, state: Any, runtime: Any) -> None:
        self.after_agent(state, runtime)

    def _with_playbook(self, request: ModelRequest) -> ModelRequest:
        text = self._current().as_system_prompt()
        if not text:
            return request
        own = request.system_message
        if own is None:
            return request.override(system_message=SystemMessage(content=text))
        content = own.content
        joined = f"{content}\n\n{text}" if isinstance(content, str) else [*content, {"type": "text", "text": text}]
        return request.override(system_message=SystemMessage(content=joined))


def _answer(messages: list[BaseMessage], version: int) -> AgentAnswer:
    """The last question of a person and the last words of the model."""
    question = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
    answer = next((m.text for m in reversed(messages) if isinstance(m, AIMessage)), "")
    return AgentAnswer(str(question), str(answer), version)
