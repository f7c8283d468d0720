"""Reads the interfaces in a host's sources, without running them."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ClassFacts", "FunctionFacts", "read_module"]


@dataclass(frozen=True)
class FunctionFacts:
    """Parameters of a function."""

    positional: tuple[str, ...]
    required: int
    keyword_only: frozenset[str]
    any_positional: bool
    any_keyword: bool


@dataclass
class ClassFacts:
    """Methods of a class, and attributes of its instances."""

    methods: dict[str, FunctionFacts] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    bases: tuple[str, ...] = ()


@dataclass
class ModuleFacts:
    """Top-level names, functions and classes."""

    names: set[str] = field(default_factory=set)
    functions: dict[str, FunctionFacts] = field(default_factory=dict)
    classes: dict[str, ClassFacts] = field(default_factory=dict)


def _function(node: ast.FunctionDef, *, method: bool) -> FunctionFacts:
    arguments = node.args
    names = tuple(argument.arg for argument in [*arguments.posonlyargs, *arguments.args])
    if method and not any(ast.unparse(mark) == "staticmethod" for mark in node.decorator_list):
        names = names[1:]
    return FunctionFacts(
        names,
        max(len(names) - len(arguments.defaults), 0),
        frozenset(argument.arg for argument in arguments.kwonlyargs),
        arguments.vararg is not None,
        arguments.kwarg is not None,
    )


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return [
            name for target in node.targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])
        ]
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []


def _class(node: ast.ClassDef) -> ClassFacts:
    facts = ClassFacts(bases=tuple(ast.unparse(base) for base in node.bases))
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            facts.methods[item.name] = _function(item, method=True)
            facts.names.add(item.name)
        facts.names |= {target.id for target in _targets(item) if isinstance(target, ast.Name)}
    for inner in ast.walk(node):
        for target in _targets(inner):
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                facts.names.add(target.attr)
    return facts


def read_module(path: Path) -> ModuleFacts:
    """Return the names a module defines at its top level, including inside ``if`` and ``try``, and by import."""
    facts = ModuleFacts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in the host's own strings
        pending: list[ast.stmt] = list(ast.parse(path.read_text("utf-8"), str(path)).body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.FunctionDef):
            facts.functions[node.name] = _function(node, method=False)
            facts.names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            facts.classes[node.name] = _class(node)
            facts.names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            facts.names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            pending += [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
        facts.names |= {target.id for target in _targets(node) if isinstance(target, ast.Name)}
    return facts
