"""How answers are read: a table of our own, with what a careful reader takes each answer to say.

For: `python scripts/bench_reading.py [--against CHECKOUT] [--wrong]`, which prints right, unread and
wrong answers by kind, with those of another checkout (before) on the left where one is named, and
with `--wrong` every answer that was not read right. Not for: speed (bench_scoring.py).

A line of tests/scoring/answers.jsonl is {"kind", "rule", "target", "answer", "says"}, with "labels",
"pattern", "prompt" or "targets" (of the other rows) where the rule needs them. `says` is "target",
"other" or "nothing": whether the answer says what the target says, something else, or nothing that
could be told (no answer, two answers, a thought that did not end).

An answer is *right* when it earns 1 for "target", 0 for "other", and is a failed extraction for
"nothing"; *unread* when it says something and is a failed extraction; *wrong* otherwise. The last
column counts the wrong ones that are the worst: scored as right.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "scoring" / "answers.jsonl"
RIGHT, UNREAD, WRONG, LUCKY = "right", "unread", "wrong", "scored as right"


SETS, CHOICES = TABLE.with_name("sets.jsonl"), TABLE.with_name("choices.jsonl")
BOOLEANS, TRAPS = TABLE.with_name("booleans.jsonl"), TABLE.with_name("traps.jsonl")
SET_LABELS = ("anger", "joy", "fear", "sadness", "not_safe")
NINE = "\n".join(f"({letter}) number {letter.lower()}" for letter in "ABCDEFGHI")
# The questions of choices.jsonl.
QUESTIONS = {
    "planets": "Which planet is red?\n(A) Venus\n(B) Mars\n(C) Jupiter\n(D) None of these",
    "all": "Which are planets?\n(A) Venus\n(B) Mars\n(C) Jupiter\n(D) All of the above",
    "none": "Which planet is red?",
    "nine": f"Which?\n{NINE}",
    "numbers": "How many?\n(A) 12\n(B) 15\n(C) 21",
}


def rows() -> list[dict[str, Any]]:
    """The table, and those of sets of labels, of choices, of yes and no, and of labels in doubt."""
    made = [*map(_set_row, _lines(SETS)), *map(_choice_row, _lines(CHOICES))]
    made += map(_label_row, _lines(TRAPS))
    return [*_lines(TABLE), *made, *map(_boolean_row, _lines(BOOLEANS))]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _set_row(line: dict[str, Any]) -> dict[str, Any]:
    """A line of sets.jsonl as a row: one that says nothing is scored against "joy"."""
    says = "nothing" if line["says"] is None else "target"
    return {
        "kind": "sets: " + ("left open" if says == "nothing" else "given or absent"),
        "rule": "labels_set",
        "labels": SET_LABELS,
        "target": line["says"] or "joy",
        "answer": line["answer"],
        "says": says,
    }


def _choice_row(line: dict[str, Any]) -> dict[str, Any]:
    """A line of choices.jsonl as a row: one that says nothing is scored against "B"."""
    says = "nothing" if line["says"] is None else "target"
    return {
        "kind": "choices: " + ("left open" if says == "nothing" else "made"),
        "rule": "choice",
        "prompt": QUESTIONS[line.get("options", "planets")],
        "target": line["says"] or "B",
        "answer": line["answer"],
        "says": says,
    }


def _label_row(line: dict[str, Any]) -> dict[str, Any]:
    """A line of traps.jsonl as a row: one that says nothing is scored against the first label."""
    says = "nothing" if line["label"] is None else "target"
    return {
        "kind": "labels: " + ("in doubt or denied" if says == "nothing" else "said"),
        "rule": "labels",
        "labels": line["labels"],
        "target": line["label"] or line["labels"][0],
        "answer": line["answer"],
        "says": says,
    }


def _boolean_row(line: dict[str, Any]) -> dict[str, Any]:
    """A line of booleans.jsonl as a row: one that says nothing is scored against "yes"."""
    says = "nothing" if line["says"] is None else "target"
    own = line.get("own", ["yes", "no"])
    return {
        "kind": "yes or no: " + ("left open" if says == "nothing" else "said"),
        "rule": "boolean",
        "target": own[0] if line["says"] is None else own[1 - line["says"]],
        "targets": own,
        "answer": line["answer"],
        "says": says,
    }


def earned(row: dict[str, Any]) -> float:
    """What an answer earns under its rule; NaN for a failed extraction."""
    from opro_local.errors import OproError
    from opro_local.scoring.choosing import make_rule
    from opro_local.types import Example

    columns = {key: str(row[key]) for key in ("target", "prompt") if key in row}
    example = Example("1", columns, row.get("prompt", ""), row["target"], "answers.jsonl")
    others = [
        Example(str(i), {}, "", target, "") for i, target in enumerate(row.get("targets", ()), 2)
    ]
    if row["rule"] == "statement":
        return _statement(row)
    try:
        rule = make_rule(
            row["rule"],
            tuple(row.get("labels", ())),
            row.get("pattern"),
            examples=[example, *others],
        )
        return float(rule.verdict(row["answer"], rule.gold(example)))
    except OproError:
        # An older checkout has no such rule, or refuses the target.
        return math.nan


def _statement(row: dict[str, Any]) -> float:
    """Whether the SQL that is read is the target, spaces aside."""
    from opro_local.scoring.sql.reading import statement

    said = statement(row["answer"])
    return math.nan if said is None else float(" ".join(said.split()) == row["target"])


def outcome(row: dict[str, Any], value: float) -> str:
    """What became of an answer: one of the four words above."""
    says, failed = row["says"], math.isnan(value)
    if failed:
        return RIGHT if says == "nothing" else UNREAD
    if says == "target":
        return RIGHT if value == 1 else WRONG
    if value == 1:
        return LUCKY
    return RIGHT if says == "other" else WRONG


def outcomes() -> list[str]:
    """The outcome of every row."""
    return [outcome(row, earned(row)) for row in rows()]


def outcomes_of(checkout: Path) -> list[str]:
    """The outcome of every row, read by another checkout's package."""
    code = "import json, bench_reading; print(json.dumps(bench_reading.outcomes()))"
    path = os.pathsep.join([str(checkout), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told: list[str] = json.loads(done.stdout)
    return told


def table(now: list[str], before: list[str] | None) -> list[str]:
    """The lines to print: one a kind, and their sums."""
    kinds = [row["kind"] for row in rows()]
    sides = [now] if before is None else [before, now]
    heads = "".join(f"{word:>17}" if word == LUCKY else f"{word:>8}" for word in _WORDS)
    lines = [f"{'kind':<28}{'n':>5}" + heads * len(sides)]
    for kind in [*dict.fromkeys(kinds), "all"]:
        places = [place for place, own in enumerate(kinds) if kind in (own, "all")]
        line = f"{kind:<28}{len(places):>5}"
        for side in sides:
            counts = Counter(side[place] for place in places)
            counts[WRONG] += counts[LUCKY]
            line += "".join(f"{counts[word]:>{17 if word == LUCKY else 8}}" for word in _WORDS)
        lines.append(line)
    return lines


_WORDS = (RIGHT, UNREAD, WRONG, LUCKY)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, help="a checkout to compare with")
    parser.add_argument("--wrong", action="store_true", help="print the answers not read right")
    given = parser.parse_args()
    now = outcomes()
    before = outcomes_of(given.against) if given.against else None
    if before:
        sys.stdout.write(f"{'':<33}{'before':>41}{'now':>41}\n")
    sys.stdout.write("\n".join(table(now, before)) + "\n")
    if given.wrong:
        for row, said in zip(rows(), now, strict=True):
            if said != RIGHT:
                shown = {key: row[key] for key in ("kind", "rule", "target", "answer", "says")}
                sys.stdout.write(f"{said}: {json.dumps(shown, ensure_ascii=False)}\n")


if __name__ == "__main__":
    main()
