"""A program of DSPy that learns from a CSV file, is saved and loaded again. The models are stand-ins of the examples.

With a real one, leave `reflection` out and write `dspy.configure(lm=dspy.LM("openai/gpt-5-mini"))`.

    pip install 'ace-vllm[dspy]'
    python examples/dspy_program.py
"""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path
from typing import Any

import dspy
from scripted_desk import RULE, TOPICS, answer

from ace import ScriptedBackend
from ace.integrations.dspy_optimizer import ACE

TICKETS = Path(__file__).parent / "data" / "tickets.csv"


class DeskEngine:
    """A model under DSPy that knows no desk but those that its instructions name."""

    def complete(self, request: Any) -> Any:
        system = request.system if isinstance(request.system, str) else "".join(part.text for part in request.system)
        ticket = request.messages[-1].text
        topic = next(topic for topic in TOPICS if topic in ticket)
        desk = dict(RULE.findall(system)).get(topic, "unknown")
        text = f"[[ ## desk ## ]]\n{desk}\n\n[[ ## completed ## ]]"
        return dspy.lm15.Response(
            id=None,
            model="desk",
            message=dspy.lm15.Message.assistant([dspy.lm15.TextPart(text)]),
            finish_reason="stop",
            usage=dspy.lm15.Usage(input_tokens=0, output_tokens=0),
        )


def right(example: Any, prediction: Any, trace: Any = None) -> bool:
    return bool(example.desk == prediction.desk)


def main(folder: Path) -> None:
    dspy.configure(lm=dspy.LM("ace/desk", engine=DeskEngine(), cache=False))
    with TICKETS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    examples = [dspy.Example(ticket=row["ticket"], desk=row["desk"]).with_inputs("ticket") for row in rows]
    program = dspy.Predict(dspy.Signature("ticket -> desk", "Name the desk for the ticket."))

    optimizer = ACE(right, reflection=ScriptedBackend(answer), store=f"sqlite:///{folder}/ace.db")
    compiled = optimizer.compile(program, trainset=examples[::2])
    compiled.save(folder / "program.json")

    loaded = dspy.Predict(dspy.Signature("ticket -> desk", "Name the desk for the ticket."))
    loaded.load(folder / "program.json")
    evaluate = dspy.Evaluate(devset=examples[1::2], metric=right, num_threads=1)
    print(f"{evaluate(program).score:.0f}% -> {evaluate(loaded).score:.0f}% of the other tickets")
    print(re.sub(r"(?s).*These notes hold", "notes", loaded.signature.instructions))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
