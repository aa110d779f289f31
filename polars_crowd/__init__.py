"""Consensus, annotator quality and label quality from annotation logs, as Polars queries.

import polars_crowd as pc

fit = pc.crowdlab(log, pred_probs)
fit.examples, fit.annotations, fit.annotators

The public names are listed in `__init__.pyi`, each with the module that it comes from. A module is imported
when one of its names is used first, so that `import polars_crowd` takes hardly longer than Polars does.
"""

import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from polars_crowd import namespace

namespace.register()

__version__ = "0.1.0"


def _public_names() -> dict[str, str]:
    """The module of each public name."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    return {name.name: str(node.module) for node in imports for name in node.names}


_MODULES = _public_names()


class _Package(ModuleType):
    """The package, which finds its public names when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'polars_crowd' has no attribute {name!r}")
        module = _MODULES[name]
        if module == __name__:
            found = import_module(f"{__name__}.{name}")
        else:
            found = getattr(import_module(module), name)
        self.__dict__[name] = found
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        # an import binds a module to its package: not where a function of its name is public
        if name not in _MODULES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_MODULES})


__all__ = sorted(_MODULES)
sys.modules[__name__].__class__ = _Package
