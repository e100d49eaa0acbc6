"""What our own source may not do: run code from data, read pickles, or listen on the network."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import ace

SOURCE = Path(ace.__file__).parent
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
LISTENERS = {"socketserver", "http.server", "xmlrpc.server", "wsgiref", "uvicorn", "fastapi", "flask", "aiohttp"}
LISTENERS |= {"mcp.server.mcpserver"}
SAFE = {"Loader", "weights_only", "allow_pickle", "trust_remote_code"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
WORDS = FORBIDDEN_MODULES | LISTENERS | SAFE | {"os.system", "os.popen", "shell", "yaml.", "torch.load"}
SUSPECT = re.compile(rf"(?<![.\w])(?:{'|'.join(RUNNERS)})\s*\(|{'|'.join(map(re.escape, WORDS))}|(?:np|numpy)\.load")
"""What a source must contain for any of these tests to find something in it. Parsing all of them takes seconds."""


@cache
def trees() -> list[tuple[Path, ast.AST]]:
    """The trees of the sources that could break a rule, by their path."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}
    assert len(texts) > 100
    return [(path.relative_to(SOURCE), ast.parse(text)) for path, text in texts.items() if SUSPECT.search(text)]


@cache
def nodes(tree: ast.AST) -> list[ast.AST]:
    """The imports and calls in `tree`."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)]


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@cache
def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Every call with the dotted name of what is called."""
    return [(dotted(node.func), node) for node in nodes(tree) if isinstance(node, ast.Call)]


def dotted(called: ast.expr) -> str:
    match called:
        case ast.Name(name):
            return name
        case ast.Attribute(owner, name):
            return f"{dotted(owner)}.{name}"
    return ""


def test_nothing_that_unpickles_or_listens_is_imported() -> None:
    found = {str(path): names for path, tree in trees() if (names := imported(tree) & (FORBIDDEN_MODULES | LISTENERS))}
    # What listens does so where `ace ui`, `ace serve` or `ace mcp --http` is asked to.
    assert found == {
        "cli/commands/ui_command.py": {"uvicorn"},
        "dashboard/access.py": {"fastapi"},
        "dashboard/actions.py": {"fastapi"},
        "dashboard/app.py": {"fastapi"},
        "dashboard/call_pages.py": {"fastapi"},
        "integrations/mcp_server.py": {"mcp.server.mcpserver"},
        "server/api_server.py": {"fastapi"},
        "server/draining_server.py": {"uvicorn"},
        "server/upstream.py": {"aiohttp"},
    }


def test_no_text_is_run_as_code() -> None:
    found = {(str(path), name) for path, tree in trees() for name, _ in calls(tree) if name in RUNNERS}
    # The sandbox's own process is there for nothing else.
    assert found == {("tasks/sandbox/child.py", "exec"), ("tasks/sandbox/child.py", "compile")}


def test_no_shell_is_started() -> None:
    found = [
        (str(path), name)
        for path, tree in trees()
        for name, call in calls(tree)
        if name in {"os.system", "os.popen"} or any(keyword.arg == "shell" for keyword in call.keywords)
    ]
    assert found == []


def test_yaml_and_weights_are_read_safely() -> None:
    for path, tree in trees():
        for name, call in calls(tree):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg in SAFE}
            assert name not in {"yaml.unsafe_load", "yaml.full_load", "yaml.load_all"}, path
            if name == "yaml.load":
                assert keywords == {"Loader": "PlainLoader"}, path
            if name == "torch.load":
                assert keywords["weights_only"] == "True", path
            if name in {"np.load", "numpy.load"}:
                assert keywords.get("allow_pickle", "False") == "False", path
            assert keywords.get("trust_remote_code") in {None, "settings.trust_remote_code"}, path


def test_the_yaml_loader_is_the_safe_one() -> None:
    import yaml

    from ace.config.yaml_parser import PlainLoader

    assert issubclass(PlainLoader, yaml.SafeLoader)
    assert not any(
        "python" in str(tag) for tag in (*PlainLoader.yaml_constructors, *PlainLoader.yaml_multi_constructors)
    )
