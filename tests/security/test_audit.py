"""The audit says what it looked up, and claims nothing where it could not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def audited(folder: Path, output: Any, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The audit, with a `uv` in the environment that says `output` in pip-audit's place."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    said = output if isinstance(output, str) else json.dumps({"dependencies": output})
    (folder / "said").write_text(said)
    uv = programs / "uv"
    uv.write_text(f"#!/bin/sh\ncat '{folder}/said'\necho trouble >&2\nexit {code}\n")
    uv.chmod(0o755)
    command = [sys.executable, str(ROOT / "scripts" / "audit.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def entry(name: str, *identities: str) -> dict[str, Any]:
    vulnerabilities = [
        {"id": identity, "fix_versions": ["2.0"] if identity == "A-1" else []} for identity in identities
    ]
    return {"name": name, "version": "1.0", "vulns": vulnerabilities}


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("report", "code", "lines"),
    [
        ([entry("a"), entry("b")], 0, ["audited 2 pinned packages: 0 known vulnerabilities"]),
        (
            [entry("a", "A-1"), entry("b", "B-1"), skipped("c")],
            1,
            [
                "a 1.0: A-1, fixed in 2.0",
                "b 1.0: B-1, fixed in no version yet",
                "audited 2 pinned packages, 1 unknown there: 2 known vulnerabilities",
            ],
        ),
        ([skipped("a")], 0, ["NOT audited: no advisory database could be reached (1 pinned packages)"]),
        ("no JSON", 0, ["NOT audited: pip-audit did not answer (see above)"]),
    ],
)
@pytest.mark.slow
def test_the_audit_tells_what_was_looked_up(tmp_path: Path, report: Any, code: int, lines: list[str]) -> None:
    result = audited(tmp_path, report)
    assert (result.stdout.splitlines(), result.returncode) == (lines, code)
    assert ("trouble" in result.stderr) == isinstance(report, str)
