"""The table of tasks that we know how to read: a line for each, and the only place that lists them.

For: finding a benchmark by name, and what every list, message and version is made from. Not for:
reading rows; each module of the table does that and offers a `BENCHMARK` that says so.

To add one, write a module with a `BENCHMARK` and add its line to `BENCHMARKS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name

from opro_local.tasks.task import Benchmark

# The first part of a task's name, and the module that reads it, imported when it is asked for: most
# runs need one of them. Lists and messages keep this order.
BENCHMARKS: Mapping[str, str] = {
    "gsm8k": "opro_local.tasks.gsm8k",
    "bbh": "opro_local.tasks.bbh",
    "mmlu": "opro_local.tasks.mmlu",
    "aqua": "opro_local.tasks.aqua",
    "multiarith": "opro_local.tasks.multiarith",
    "harness": "opro_local.tasks.harness",
    "sql": "opro_local.tasks.sql",
}


def find(name: str) -> Benchmark | None:
    """The benchmark of a task's name, such as "bbh/navigate"; None where there is none.

    Whether a benchmark of several parts has this one ("bbh/nonsense") is its own business.
    """
    first, _, part = name.partition("/")
    if first not in BENCHMARKS:
        return None
    benchmark = _offered(first)
    # A benchmark without parts has no "gsm8k/main". "gsm8k/" is taken for "gsm8k".
    return None if part and not benchmark.parts else benchmark


def names() -> list[str]:
    """Every name of a benchmark of the paper, in the order in which they are listed."""
    listed: list[str] = []
    for first, benchmark in _of_the_paper():
        if benchmark.parts:
            listed += [f"{first}/{part}" for part in benchmark.parts]
        else:
            listed.append(first)
    return listed


def versions() -> dict[str, int]:
    """The version of every benchmark of the paper, by the first part of its name."""
    return {first: benchmark.version for first, benchmark in _of_the_paper()}


def accepted() -> str:
    """What a task's name may be, for messages: "gsm8k, bbh/<task>, ..."."""
    patterns = []
    for first in BENCHMARKS:
        part = _offered(first).part_label
        patterns.append(f"{first}/<{part}>" if part else first)
    return ", ".join(patterns)


def _of_the_paper() -> Iterator[tuple[str, Benchmark]]:
    for first in BENCHMARKS:
        benchmark = _offered(first)
        if benchmark.paper:
            yield first, benchmark


def _offered(first: str) -> Benchmark:
    benchmark: Benchmark = resolve_name(f"{BENCHMARKS[first]}:BENCHMARK")
    return benchmark
