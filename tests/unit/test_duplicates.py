"""No run of twelve or more lines of code is duplicated in the package.

Duplicated means: identical, or the same shape with other names and values. Comments, docstrings, imports, ``__all__``
and blank lines are ignored, as is line wrapping. Tables (all lines have a few shapes)
and declarations at the top level of a module count only if they are identical.

A comment in one of the two runs, or directly above it, excuses the pair. It names the module of the other::

    # same shape as generate.loop: the fields of a file format, which must not change when the other's do
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "riffusion_ext"

SHORTEST = 12
"""Lines of code of a run."""

FEWEST_SHAPES = 6
"""Different shapes among the lines of a run; a run of fewer is a table."""

SEED = {"words": 24, "shape": 40}
"""Tokens that must agree before a run is looked at; twelve lines have more."""

EXCUSE = re.compile(r"#\s*same shape as (?P<module>[\w.]+): \S")
_NOTHING = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


class Token(NamedTuple):
    line: int
    words: str
    shape: str


class Excuse(NamedTuple):
    line: int
    module: str


class Source(NamedTuple):
    tokens: list[Token]
    declared: set[int]  # lines at the top level of the module that are neither a function nor a class
    excuses: list[Excuse]


class Run(NamedTuple):
    path: str
    first: int
    last: int
    above: int  # the preceding line of code

    def __str__(self) -> str:
        return f"{self.path}:{self.first}-{self.last}"


class Pair(NamedTuple):
    one: Run
    other: Run
    kind: str
    lines: int

    def __str__(self) -> str:
        return f"{self.lines} lines, {self.kind}: {self.one} and {self.other}"


def read(text: str) -> Source:
    """Return the code of a module without ignored lines."""
    tree = ast.parse(text)
    skipped = {line for node in ast.walk(tree) if is_nothing(node) for line in lines_of(node)}
    declared = {line for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)) for line in lines_of(node)}
    tokens: list[Token] = []
    excuses: list[Excuse] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (found := EXCUSE.match(token.string)):
            excuses.append(Excuse(token.start[0], found["module"]))
        if token.type in _NOTHING or token.start[0] in skipped:
            continue
        if token.string in (")", "]", "}") and tokens and tokens[-1].words == ",":
            tokens.pop()  # present only if a line is wrapped
        tokens.append(Token(token.start[0], token.string, shape_of(token)))
    return Source(tokens, declared, excuses)


def is_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def lines_of(node: ast.AST) -> range:
    assert isinstance(node, ast.stmt)
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def shape_of(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.OP or keyword.iskeyword(token.string):
        return token.string
    return "word"  # name, number or string: a copy may replace a constant by a value


def pairs(sources: Mapping[str, Source]) -> list[Pair]:
    """Find all duplicated runs, excused or not: identical ones, and others of the same shape."""
    same = list(of_kind(sources, "words"))
    alike = [pair for pair in of_kind(sources, "shape") if not any(holds(found, pair) for found in same)]
    return [*same, *alike]


def of_kind(sources: Mapping[str, Source], kind: str) -> Iterator[Pair]:
    tokens = {
        path: [token for token in source.tokens if kind == "words" or token.line not in source.declared]
        for path, source in sources.items()
    }
    symbols = {path: [getattr(token, kind) for token in found] for path, found in tokens.items()}
    begins: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for path, found in tokens.items():
        for at in range(len(found) - SEED[kind] + 1):
            if at == 0 or found[at].line != found[at - 1].line:
                begins[tuple(symbols[path][at : at + SEED[kind]])].append((path, at))
    seen: set[tuple[str, int, str, int]] = set()
    for places in begins.values():
        for (one, i), (other, j) in combinations(places, 2):
            back = agreeing(reversed(symbols[one][:i]), reversed(symbols[other][:j]))
            on = agreeing(symbols[one][i:], symbols[other][j:])
            if (one, i - back, other, j - back) in seen or (one == other and j - i < back + on):
                continue
            seen.add((one, i - back, other, j - back))
            first, second = tokens[one][i - back : i + on], tokens[other][j - back : j + on]
            lines = min(len({token.line for token in first}), len({token.line for token in second}))
            if lines >= SHORTEST and (kind == "words" or shapes(first) >= FEWEST_SHAPES):
                yield Pair(
                    run(one, tokens[one], i - back, first), run(other, tokens[other], j - back, second), kind, lines
                )


def agreeing(one: Iterator[str] | list[str], other: Iterator[str] | list[str]) -> int:
    """Count how many leading items of two sequences agree."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


def shapes(tokens: list[Token]) -> int:
    """Count the distinct shapes of lines."""
    lines: dict[int, list[str]] = defaultdict(list)
    for token in tokens:
        lines[token.line].append(token.shape)
    return len({tuple(line) for line in lines.values()})


def run(path: str, tokens: list[Token], at: int, inside: list[Token]) -> Run:
    return Run(path, inside[0].line, inside[-1].line, tokens[at - 1].line if at else 0)


def holds(outer: Pair, inner: Pair) -> bool:
    both = ((outer.one, inner.one), (outer.other, inner.other))
    return all(a.path == b.path and a.first <= b.first and b.last <= a.last for a, b in both)


def module(path: str) -> str:
    return path.removeprefix("riffusion_ext/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def excuses_of(pair: Pair, sources: Mapping[str, Source]) -> list[tuple[str, Excuse]]:
    return [
        (here.path, excuse)
        for here, there in ((pair.one, pair.other), (pair.other, pair.one))
        for excuse in sources[here.path].excuses
        if here.above < excuse.line <= here.last and excuse.module == module(there.path)
    ]


@pytest.fixture(scope="module")
def package() -> dict[str, Source]:
    return {path.relative_to(ROOT).as_posix(): read(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_code_is_duplicated_without_an_excuse(package: dict[str, Source]) -> None:
    assert [str(pair) for pair in pairs(package) if not excuses_of(pair, package)] == []


def test_every_excuse_belongs_to_an_existing_duplicate(package: dict[str, Source]) -> None:
    needed = {excuse for pair in pairs(package) for excuse in excuses_of(pair, package)}
    written = {(path, excuse) for path, source in package.items() for excuse in source.excuses}
    assert written - needed == set()


LINES = """\
def add(first, second):
    total = first + second
    if total > 10:
        raise ValueError(f"{total} is too large")
    for item in range(total):
        print(item, end="")
    while total:
        total -= 1
    names = {"one": 1, "two": 2}
    result = [names[key] for key in sorted(names)]
    with open("file") as file:
        file.write(str(result))
    return result
"""


def found(**texts: str) -> list[str]:
    sources = {f"riffusion_ext/{name}.py": read(text) for name, text in texts.items()}
    return [str(pair) for pair in pairs(sources) if not excuses_of(pair, sources)]


def test_identical_lines_are_found() -> None:
    assert found(a=LINES, b="import os\n\n\n" + LINES) == [
        "13 lines, words: riffusion_ext/a.py:1-13 and riffusion_ext/b.py:4-16"
    ]


def test_identical_lines_are_found_within_a_file() -> None:
    assert found(a=LINES + "\n\nNUMBER = 1\n\n\n" + LINES) == [
        "13 lines, words: riffusion_ext/a.py:1-13 and riffusion_ext/a.py:19-31"
    ]


def test_same_shape_with_other_names_and_values_is_found() -> None:
    other = LINES.replace("total", "amount").replace("names", "words").replace('"one"', '"three"').replace("10", "20")
    assert found(a=LINES, b=other) == ["13 lines, shape: riffusion_ext/a.py:1-13 and riffusion_ext/b.py:1-13"]


def test_comments_docstrings_and_wrapped_lines_make_no_difference() -> None:
    other = LINES.replace("second):\n", 'second):\n    """Add."""\n    # why\n').replace(
        "(item, end", "(\n            item,\n            end"
    )
    assert len(found(a=LINES, b=other)) == 1


def test_shorter_runs_are_not_found() -> None:
    eleven = LINES.replace('    with open("file") as file:\n        file.write(str(result))\n', "")
    assert len(eleven.splitlines()) == 11
    assert found(a=eleven, b=eleven) == []


def test_tables_are_not_found() -> None:
    table = "def table():\n    return {\n" + "".join(f'        "a{n}": f(b, {n}),\n' for n in range(20)) + "    }\n"
    other = table.replace("f(b", "g(c")
    assert found(a=table, b=other) == []


@pytest.mark.parametrize("line", ["def add", "    while total:"])
def test_comment_above_or_within_a_run_excuses_it(line: str) -> None:
    excused = LINES.replace(line, f"    # same shape as b: for good\n{line}")
    assert found(a=excused, b=LINES) == []


@pytest.mark.parametrize("comment", ["# same shape as c: for good", "# same shape as a", "# same shape as a:"])
def test_comment_excuses_only_the_named_code_and_needs_a_reason(comment: str) -> None:
    assert len(found(a=LINES, b=f"{comment}\n{LINES}")) == 1
