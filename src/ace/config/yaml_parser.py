"""Safe YAML for configs: plain values, unique keys, bounded aliases."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MOST_NODES = 100_000
"""Values in one text, each alias counted with all that it expands to."""


class YamlProblem(ValueError):
    """A text is not YAML. `line` (1-based) is None where the parser cannot tell."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.line = line


def parse_yaml(text: str) -> Any:
    """Parse `text`. Raises YamlProblem, also for a key that occurs twice in one mapping."""
    try:
        return yaml.load(text, Loader=PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise YamlProblem(str(problem), mark.line + 1 if mark else None) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits; brackets without end
        raise YamlProblem(str(error), None) from error


class PlainLoader(yaml.SafeLoader):
    """The safe loader with a limit on what aliases expand to."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _size(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem = f"a key is a text, found a {key.id}"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            if key.value in keys and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the nodes of `node` with its aliases written out. ComposerError for one in itself, or too many."""
    if id(node) in sizes:
        if sizes[id(node)] == 0:
            raise yaml.composer.ComposerError(
                problem="an alias of a value that contains it", problem_mark=node.start_mark
            )
        return sizes[id(node)]
    sizes[id(node)] = 0
    pairs = isinstance(node, yaml.MappingNode)
    inner = [part for pair in node.value for part in pair] if pairs else node.value
    size = 1 + sum(_size(part, sizes) for part in inner if isinstance(part, yaml.Node))
    if size > MOST_NODES:
        raise yaml.composer.ComposerError(problem=f"more than {MOST_NODES} values", problem_mark=node.start_mark)
    sizes[id(node)] = size
    return size


# A table of its own: other packages change the one that all loaders share. And a date is text here.
PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
