"""Results as text tables, Markdown and JSON."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MUST = "must"
AIM = "aim"


@dataclass(frozen=True)
class Gate:
    """A measured number with a required limit.

    Parameters
    ----------
    relation
        ``"<="``, ``"<"``, ``">="`` or ``"=="``.
    kind
        ``"must"`` affects the exit status; ``"aim"`` is only reported.
    """

    name: str
    measured: float
    relation: str
    limit: float
    unit: str = ""
    kind: str = MUST

    @property
    def ok(self) -> bool:
        """Whether the number meets the limit; False for NaN."""
        return {
            "<=": self.measured <= self.limit,
            "<": self.measured < self.limit,
            ">=": self.measured >= self.limit,
            "==": self.measured == self.limit,
        }[self.relation]


@dataclass
class Table:
    """A table of text cells; the first column is left-aligned, the others right-aligned."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""


@dataclass
class Section:
    """Results of one section."""

    key: str
    tables: list[Table] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    data: Mapping[str, object] = field(default_factory=dict)


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """Format a number; a dash for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def milliseconds(seconds: float) -> str:
    """Format a duration in ms with three significant digits."""
    value = seconds * 1e3
    return "-" if math.isnan(value) else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def gate_table(gates: Iterable[Gate]) -> Table:
    """Return a table of all gates, with failed ones marked."""
    table = Table("Gates", ["gate", "kind", "limit", "measured", ""])
    for gate in gates:
        unit = f" {gate.unit}" if gate.unit else ""
        limit = f"{gate.relation} {gate.limit:g}{unit}"
        table.rows.append([gate.name, gate.kind, limit, f"{gate.measured:.4g}{unit}", "ok" if gate.ok else "NO"])
    return table


def machine() -> dict[str, str]:
    """Describe the machine and the software, without names of machines or users."""
    import numpy
    import scipy
    import torch

    facts = {
        "revision": _revision(),
        "processor": _processor(),
        "cores": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }
    if hasattr(os, "getloadavg"):
        facts["load at start"] = f"{os.getloadavg()[0]:.1f}"
    if "OMP_WAIT_POLICY" in os.environ:
        facts["OMP_WAIT_POLICY"] = os.environ["OMP_WAIT_POLICY"]
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _revision() -> str:
    """Return the commit of the checkout, with a plus sign if files are modified."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def as_text(table: Table) -> str:
    """Format a table as plain text."""
    cells = [list(table.columns), *[list(row) for row in table.rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = [
        "  ".join(_set(cell, width, left=i == 0) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([table.title, *(["  " + table.note] if table.note else []), *("  " + line for line in lines)])


def _set(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def as_markdown(table: Table) -> str:
    """Format a table as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in [table.columns, *table.rows]]
    lines.insert(1, "|" + "|".join("---" if i == 0 else "---:" for i in range(len(table.columns))) + "|")
    return "\n".join([f"### {table.title}", "", *([table.note, ""] if table.note else []), *lines])


def as_json(sections: Iterable[Section], facts: dict[str, str]) -> dict[str, object]:
    """Return all results as JSON-serialisable data; NaN and infinity become null."""
    sections = list(sections)
    gates = [{**vars(gate), "ok": gate.ok} for section in sections for gate in section.gates]
    return {"machine": facts, "gates": _plain(gates), **{s.key: _plain(s.data) for s in sections}}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
