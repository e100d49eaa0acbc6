"""An agent of LangChain with a playbook in its system prompt. The model is a stand-in that shows what it was sent.

pip install 'ace-vllm[langchain]'
python examples/langchain_agent.py
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from ace import Playbook
from ace.integrations.answer_log import AgentAnswer
from ace.integrations.langchain_middleware import PlaybookMiddleware
from ace.playbook import Add, Delta, apply


class ShownModel(GenericFakeChatModel):  # type: ignore[misc] # the package is Any where it is not installed
    """Prints its system prompt."""

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        print(messages[0].content)
        return super()._generate(messages, *args, **kwargs)


def report(answer: AgentAnswer) -> None:
    print(f"reported: {answer.question!r} -> {answer.answer!r} with version {answer.playbook_version}")


def main() -> None:
    playbook = apply(Playbook.empty(), Delta((Add("rules", "Tickets about parcels go to X59."),))).playbook
    agent = create_agent(
        ShownModel(messages=iter([AIMessage("X59")])),
        system_prompt="You route tickets.",
        middleware=[PlaybookMiddleware(playbook, report=report)],
    )
    agent.invoke({"messages": [{"role": "user", "content": "Where does a lost parcel go?"}]})


if __name__ == "__main__":
    main()
