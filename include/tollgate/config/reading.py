"""A YAML file of settings as somebody wrote it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.errors import BadInput

if TYPE_CHECKING:
    import yaml


def read_params_file(path: Path) -> dict[str, Any]:
    """The raw mapping of a YAML file of settings.

    Raises:
        BadInput: it is missing, is not a YAML mapping, or a key stands twice in it: of two values the last would count
            in silence, and ``dvc repro``, which reads params.yaml first, ends on it.
    """
    import yaml

    try:
        raw = _loader()(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError:
        raise BadInput(f"There is no {path.name}", value=path, remedy="Run from the project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise BadInput(f"{path.name} is not valid YAML", value=str(err).replace("\n", " "),
                       remedy="Mend the line it names.") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path.name} must hold a mapping of settings", value=type(raw).__name__,
                       remedy="Compare it with the file that the project ships.")
    return raw


@cache
def _loader() -> type[yaml.SafeLoader]:
    """YAML's own safe one, which takes a key once."""
    import yaml

    class Once(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if (word := (key.tag, str(key.value))) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice",
                                                            key.start_mark)
                seen.add(word)
            return super().construct_mapping(node, deep)

    return Once
