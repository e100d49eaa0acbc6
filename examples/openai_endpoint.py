"""ACE against any OpenAI-compatible server: `vllm serve`, SGLang, llama.cpp, Ollama, or a hosted one.

Needs `ace-vllm[openai]`. The key, if the server wants one, is in the environment variable OPENAI_API_KEY.

    python examples/openai_endpoint.py http://127.0.0.1:8000/v1 Qwen/Qwen2.5-7B-Instruct
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from ace import AceError, run, settings_from

DATA = Path(__file__).parent / "data" / "tickets.csv"


def main(base_url: str, model: str, store: str) -> None:
    settings = settings_from(
        {
            "name": "tickets",
            "store": store,
            "task": {
                "name": "csv",
                "path": str(DATA),
                "fields": {"question": "ticket", "target": "desk"},
                "grader": "exact",
                "instructions": "Name the desk that handles this ticket. Answer with its code alone.",
                "split": {"train": 0.5, "validation": 0.0, "test": 0.5},
            },
            "models": {
                "main": {"provider": "openai", "model": model, "base_url": base_url, "max_concurrency": 8},
            },
            "adaptation": {"batch_size": 4, "epochs": 1},
        }
    )
    summary = asyncio.run(run(settings))
    print(f"{summary.accuracy_before:.0%} -> {summary.accuracy_after:.0%} of the test split")
    print(f"{sum(summary.calls.values())} calls, {summary.failed_samples} failed samples")


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory() as folder:
            main(sys.argv[1], sys.argv[2], f"sqlite:///{folder}/ace.db")
    except AceError as error:
        sys.exit(str(error))
