"""The program that `ace bench start` times: import ace, start an engine, generate one token.

Arguments: the model's settings as JSON, and the question. Prints three durations in seconds as JSON. It is run by its
path: as a module of its package, ace would be imported before the clock runs.
"""

from __future__ import annotations

import time


def main() -> None:
    """Everything is imported in here, under the clock."""
    began = time.perf_counter()
    import asyncio
    import json
    import sys

    from ace.config import ModelSettings
    from ace.inference import create_backend
    from ace.types import Message, Request, Sampling

    imported = time.perf_counter()
    backend = create_backend(ModelSettings.model_validate(json.loads(sys.argv[1])))
    up = time.perf_counter()

    async def first() -> float:
        await backend.complete(Request((Message("user", sys.argv[2]),), Sampling(max_tokens=1, temperature=0.0)))
        answered = time.perf_counter()
        await backend.close()
        return answered

    print(json.dumps([imported - began, up - imported, asyncio.run(first()) - up]))


if __name__ == "__main__":
    main()
