"""Look the pinned dependencies up in the advisory database, with pip-audit in an environment of its own.

    python scripts/audit.py .venv

Exit code 1 if a pinned version has a known vulnerability. Where no database can be reached, that is said, and nothing
is claimed: exit code 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from environment import ROOT, pip_settings, uv_environment

PIP_AUDIT = "pip-audit==2.10.1"
TIMEOUT_S = 120


def main(venv: Path) -> int:
    """Audit constraints/cpu.txt and print one line, or one for each vulnerability."""
    report = audit(venv)
    if report is None:
        print("NOT audited: pip-audit did not answer (see above)")
        return 0
    checked = [entry for entry in report if "skip_reason" not in entry]
    found = [(entry, vulnerability) for entry in checked for vulnerability in entry["vulns"]]
    for entry, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"{entry['name']} {entry['version']}: {vulnerability['id']}, fixed in {fixed}")
    if not checked:
        print(f"NOT audited: no advisory database could be reached ({len(report)} pinned packages)")
    else:
        skipped = f", {len(report) - len(checked)} unknown there" if len(checked) < len(report) else ""
        print(f"audited {len(checked)} pinned packages{skipped}: {len(found)} known vulnerabilities")
    return 1 if found else 0


def audit(venv: Path) -> list[dict[str, Any]] | None:
    """pip-audit's report on each pinned package; None where it could not run."""
    command = [venv / "bin" / "uv", "tool", "run", "--quiet", "--from", PIP_AUDIT, "pip-audit"]
    options = ["--requirement", ROOT / "constraints" / "cpu.txt", "--no-deps", "--disable-pip", "--format", "json"]
    try:
        run = subprocess.run(
            [str(part) for part in (*command, *options)],
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=uv_environment(pip_settings(venv / "bin" / "python")),
        )
    except subprocess.TimeoutExpired:
        print(f"pip-audit took longer than {TIMEOUT_S} s", file=sys.stderr)
        return None
    try:
        dependencies: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        print(run.stderr.strip()[-1000:], file=sys.stderr)
        return None
    return dependencies


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
