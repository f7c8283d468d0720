"""Searches for texts on which a regular expression is slow; run by ``test_patterns.py`` in a process of its own.

Each repeated part of an expression is repeated many times after its prefix, and followed by a near match, which is how
such texts are made. They are so long that quadratic work would take minutes.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_parse as parser

ROOT = Path(__file__).resolve().parents[2]
LENGTH = 150_000
CANDIDATES = "a1 :,/\\-_.([{|=<>\"'#@!\n\tAZ0é)]}"
MOST_PARTS = 12
FUNCTIONS = {"compile", "sub", "subn", "split", "findall", "finditer", "fullmatch", "match", "search"}


def sources() -> list[Path]:
    """Return the Python files of the product."""
    return [*sorted((ROOT / "riffusion_ext").rglob("*.py")), *(ROOT / name for name in ("install.py", "preload.py"))]


def expressions() -> Iterator[tuple[str, str, int, str]]:
    """Yield place, text, flags and use of each expression; the text is "" if it is built at run time."""
    for path in sources():
        text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(text)):
            target = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
            call = node.value if isinstance(node, ast.Assign) else node
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            if ast.unparse(call.func.value) != "re" or call.func.attr not in FUNCTIONS:
                continue
            how, given = call.func.attr, call.args[0]
            if (how == "compile") != bool(target):
                continue
            if how == "compile":
                used = set(re.findall(rf"\b{target}\.(\w+)\(", text))
                how = used.pop() if len(used) == 1 else "search"
            expression = given.value if isinstance(given, ast.Constant) else ""
            if target and not expression:
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                expression = getattr(getattr(module, target, None), "pattern", "")
            said = ast.unparse(call)
            flags = sum(getattr(re, flag) for flag in ("IGNORECASE", "VERBOSE") if f"re.{flag}" in said)
            if isinstance(expression, bytes):  # tried as text of the same characters
                expression = expression.decode("latin-1")
            yield f"{name}:{node.lineno}", expression, flags, how


def sample(tree: Any) -> str:
    """Return a text that an expression matches, or nearly matches."""
    text = ""
    for kind, value in tree:
        name = str(kind)
        if name in ("LITERAL", "NOT_LITERAL"):
            text += chr(value) if name == "LITERAL" else next(c for c in CANDIDATES if ord(c) != value)
        elif name == "ANY":
            text += "a"
        elif name == "IN":
            text += member(value)
        elif name == "SUBPATTERN":
            text += sample(value[-1])
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            text += sample(value[2]) * max(value[0], 1)
        elif name == "BRANCH":
            text += sample(value[1][0])
    return text


def member(items: Any) -> str:
    """Return a character of a class."""
    negated = str(items[0][0]) == "NEGATE"
    return next((c for c in CANDIDATES if any(is_in(c, item) for item in items) != negated), "a")


def is_in(character: str, item: Any) -> bool:
    """Return whether a character is in a part of a class."""
    kind, value = str(item[0]), item[1]
    if kind == "LITERAL":
        return ord(character) == value
    if kind == "RANGE":
        return value[0] <= ord(character) <= value[1]
    if kind == "CATEGORY":
        tests = {"DIGIT": str.isdigit, "SPACE": str.isspace, "WORD": lambda c: c.isalnum() or c == "_"}
        wanted = str(value).removeprefix("CATEGORY_")
        return tests[wanted.removeprefix("NOT_")](character) != wanted.startswith("NOT_")  # type: ignore[operator]
    return False


def pumps(tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the prefix of each repeated part, and a text that matches the part."""
    for kind, value in tree:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield before, sample(value[2])
            yield from pumps(value[2], before)
        elif name == "SUBPATTERN":
            yield from pumps(value[-1], before)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from pumps(branch, before)
                yield before, sample(branch)
        before += sample([(kind, value)])


def texts(expression: str, flags: int) -> Iterator[str]:
    """Yield long texts that may be hard for an expression."""
    tree = parser.parse(expression, flags)
    marks = dict.fromkeys(c for c in expression if not c.isalnum() and c not in "^$*+?|[]")
    parts = dict.fromkeys([*pumps(tree), ("", sample(tree))])
    found = {(before, pump) for before, pump in parts if pump}
    found |= {("", before + pump) for before, pump in found}
    found |= {("", mark) for mark in [*marks, "a", "1", " "]}
    for before, pump in sorted(found):
        body = before + pump * (LENGTH // len(pump))
        for end in ("", "\0", ",!", *(mark + "!" for mark in list(marks)[:MOST_PARTS])):
            yield body + end


def say(text: str) -> None:
    """Write a line and flush it: the process may be killed during the next expression."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Try all expressions, or the given ones; name each before trying it."""
    others = [("given", expression, 0, "search") for expression in sys.argv[1:]]
    seen: set[tuple[str, int, str]] = set()
    for where, expression, flags, how in others or expressions():
        how = how if how in ("match", "fullmatch") else "search"
        if not expression or (expression, flags, how) in seen:
            continue
        seen.add((expression, flags, how))
        say(f"{how} {where} {expression!r}")
        attempt = getattr(re.compile(expression, flags), how)
        for text in texts(expression, flags):
            attempt(text)
    say(f"{len(seen)} expressions")


if __name__ == "__main__":
    main()
