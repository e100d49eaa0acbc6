"""Create or complete the project's virtual environment: `python3 scripts/environment.py VENV EXTRA...`.

Needs nothing but Python 3.11+. Packages are installed by uv (several times faster than pip), which reads none of pip's
settings: the package index, find-links, certificate and proxy that pip is configured with here are handed on.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CARRIED_OVER = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
"""pip's setting and the variable by which uv is told the same."""


def main(venv: Path, extras: list[str]) -> None:
    """Install the project, editable, with `extras` into `venv`."""
    python = venv / "bin" / "python"
    if not python.exists():
        print(f"creating {venv} with Python {sys.version.split()[0]}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    uv = venv / "bin" / "uv"
    if not uv.exists():
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")
    settings = pip_settings(python)
    print(f"installing ace-vllm[{','.join(extras)}] into {venv} (a minute or two, the first time)", flush=True)
    started = time.monotonic()
    run(
        *(
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--editable",
            f"{ROOT}[{','.join(extras)}]",
        ),
        *(["--compile-bytecode"] if "cpu" in extras else []),  # pays where an engine is started again and again
        *constraints(venv, extras),
        *([] if has_cpu_torch(settings) else ["--torch-backend", "cpu"]),
        environment=uv_environment(settings),
    )
    print(f"ready after {time.monotonic() - started:.0f} s", flush=True)


def constraints(venv: Path, extras: list[str]) -> list[str | Path]:
    """The options that name the versions: of `.venv-NAME`, those in constraints/NAME.txt, else those of the CPU engine.

    Only the engine has overrides.
    """
    folder = ROOT / "constraints"
    own = folder / f"{venv.name.removeprefix('.venv-')}.txt"
    if own.is_file() and "cpu" not in extras:
        return ["--constraints", own]
    return ["--constraints", folder / "cpu.txt", "--overrides", folder / "overrides-cpu.txt"]


def run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env=environment)


def pip_settings(python: Path) -> dict[str, str]:
    """Read pip's own settings, the strongest source last: global, install, environment."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings: dict[str, str] = {}
    for source in ("global.", "install.", ":env:."):
        for line in listed.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(source):
                settings[name.removeprefix(source)] = str(ast.literal_eval(value))
    return settings


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment in which uv sees what pip would. A variable of uv's that is already set is left alone."""
    environment = {**os.environ, "VIRTUAL_ENV": ""}
    for name, variable in CARRIED_OVER.items():
        if value := " ".join(settings.get(name, "").split()):
            separated = value.replace(" ", ",") if variable == "UV_FIND_LINKS" else value
            environment.setdefault(variable, separated)
    if "UV_INDEX" in environment:
        # pip looks for the best version in all indexes; uv, unless told, only in the first that knows the package.
        environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    environment.setdefault("UV_LINK_MODE", "hardlink" if same_device(ROOT, Path.home()) else "copy")
    return environment


def has_cpu_torch(settings: dict[str, str]) -> bool:
    """Whether find-links brings the CPU build of torch for this Python, which the usual index lacks."""
    wheel = f"torch-*cpu-cp{sys.version_info.major}{sys.version_info.minor}-*.whl"
    places = settings.get("find-links", "").split()
    return any("://" in place or any(Path(place).expanduser().glob(wheel)) for place in places)


def same_device(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python the machine has
        sys.exit(f"ace needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12 ...")
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"setting up failed: {' '.join(map(str, error.cmd[:4]))} ... ended with status {error.returncode}")
