"""Template files of a user's own task."""

from __future__ import annotations

import keyword
from importlib.resources import files
from pathlib import Path

from ace._util.files import replace_file
from ace.errors import ConfigError

_FILES = {"task.py.txt": "{name}.py", "test_task.py.txt": "test_{name}.py", "config.yaml.txt": "{name}.yaml"}


def write_skeleton(name: str, folder: Path) -> tuple[Path, ...]:
    """Write a task, its test and a config for it into `folder`. ConfigError where a file is there already."""
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise ConfigError.at("NAME", name, "a Python name, such as my_task")
    paths = {source: folder / target.format(name=name) for source, target in _FILES.items()}
    for path in paths.values():
        if path.exists():
            raise ConfigError.at("NAME", name, f"a name whose files do not exist yet; {path} does")
    folder.mkdir(parents=True, exist_ok=True)
    for source, path in paths.items():
        text = (files("ace.tasks.skeleton") / source).read_text(encoding="utf-8")
        replace_file(path, text.replace("TASK_NAME", name))
    return tuple(paths.values())
