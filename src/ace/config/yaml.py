"""YAML as configs use it: plain values only, and no key twice in one mapping."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class YamlProblem(ValueError):
    """A text is not YAML. `line` (1-based) is None where the parser cannot tell."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.line = line


def parse_yaml(text: str) -> Any:
    """The value that `text` stands for. Raises YamlProblem, also for a key that stands twice in one mapping."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise YamlProblem(str(problem), mark.line + 1 if mark else None) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits; brackets without end
        raise YamlProblem(str(error), None) from error


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


# A table of its own: other packages change the one that all loaders share. And a date is text here.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
