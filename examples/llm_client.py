"""One interface to every provider: prompts or conversations, one or many, with a schema where the answer is JSON.

The backend here is scripted. `LLMClient(provider="vllm", model=...)` starts an engine instead; nothing else changes.

    python examples/llm_client.py
"""

from __future__ import annotations

import json

from ace import LLMClient, Message, Request, Sampling, ScriptedBackend

SCHEMA = {"type": "object", "properties": {"words": {"type": "integer"}}, "required": ["words"]}


def scripted_answer(request: Request) -> str:
    words = len(request.messages[-1].content.split())
    return json.dumps({"words": words}) if request.schema else f"{words} words"


def main() -> None:
    with LLMClient(backend=ScriptedBackend(scripted_answer)) as client:
        for completion in client.generate(["one two", "one two three"], Sampling(max_tokens=16)):
            print(completion.text, completion.finish_reason)
        conversation = [Message("system", "Count the words."), Message("user", "a b c d")]
        (completion,) = client.generate([conversation], schema=SCHEMA)
        print(json.loads(completion.text)["words"])
        stats = client.stats()
        print(f"{stats.calls} calls, {stats.usage.prompt_tokens} prompt tokens")


if __name__ == "__main__":
    main()
