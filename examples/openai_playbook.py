"""An OpenAI client whose requests carry a playbook: nothing else of a program changes.

OPENAI_API_KEY=... python examples/openai_playbook.py http://127.0.0.1:8000/v1 MODEL
"""

from __future__ import annotations

import sys

from openai import OpenAI

from ace import Playbook
from ace.integrations.openai_client import with_playbook
from ace.playbook import Add, Delta, apply


def make_playbook() -> Playbook:
    """A playbook as a run leaves it; `ace.read_playbook("playbook.json")` reads one."""
    return apply(Playbook.empty(), Delta((Add("rules", "Tickets about parcels go to X59."),))).playbook


def main(base_url: str, model: str) -> None:
    client = with_playbook(OpenAI(base_url=base_url), make_playbook())
    question = "Where does a ticket about a lost parcel go?"
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], stream=True)
    for chunk in stream:
        print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="", flush=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
