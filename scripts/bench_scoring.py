"""What scoring costs: 100,000 answers of some 600 characters under every rule, and one of a
megabyte.

The answers are made here: worked solutions in several styles, a tenth of them without a marked
answer and a tenth that say nothing. The rule harness and sql depend on files and databases of the
user's and are left out. Run it with `python scripts/bench_scoring.py [ANSWERS]`; it uses one core
and prints one table, in seconds of CPU time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

ANSWERS = 100_000
STEPS = (
    "Let us take it step by step, because there are {a} shelves in the room and every one of "
    "them holds {b} jars. ",
    "Multiplying the two gives {a} * {b} = {c} jars, before anything was sold or broken on "
    "the way. ",
    "The shop then sold a few of them in the morning, and the rest stayed where they were "
    "until the evening. ",
    "We compare this with what the options say, and leave out what the story tells only to "
    "distract us. ",
    "Nothing else in the text changes the amount, the colour or the place of the jars, so we "
    "can conclude now.\n",
)
ENDS = {
    "number": (
        "#### {c}",
        "**Final answer:** ${c:,}.00",
        "The answer is \\boxed{{{c}}}.",
        "So {c} jars are left.",
    ),
    "math": (
        "#### {c}",
        "**Final answer:** $x^2 + {c}$",
        "The answer is \\boxed{{{c}}}.",
        "So $y = {c}$.",
    ),
    "choice": (
        "The answer is (B).",
        "**Answer: B) blue jars**",
        "\\boxed{{B}}",
        "It has to be blue jars.",
    ),
    "boolean": (
        "So the answer is yes.",
        "**Yes**",
        "Answer: Yes, because they fit.",
        "It is true.",
    ),
    "labels": (
        "The review is positive.",
        "Label: **Positive**",
        "Answer: positive",
        "It sounds positive to me.",
    ),
    "json": (
        '```json\n{{"answer": {c}}}\n```',
        '{{"answer": "{c}", "sure": true}}',
        '{{"answer": {c}.0}}',
        "{{oops",
    ),
}
TARGETS = {
    "number": "42",
    "math": "42",
    "choice": "(B)",
    "boolean": "yes",
    "labels": "positive",
    "json": "42",
}
PATTERNS = {"regex": r"is \(?(\w+)", "json": "answer"}
RULES = (
    *("exact", "exact_strict", "labels", "labels_set", "number", "choice", "boolean", "contains"),
    *("token_f1", "regex", "math", "json", "python"),
)
# The kinds of the rule opro, and the rule whose answers each of them is given.
KINDS = {"number": "number", "boolean": "boolean", "choice": "choice", "text": "labels"}
QUESTION = "Which jars?\nOptions:\n(A) red jars\n(B) blue jars\n(C) green jars"


def answers(style: str, count: int) -> list[str]:
    """This many answers whose last words suit a rule."""
    ends = ENDS.get(style, ENDS["labels"])
    made = []
    for i in range(count):
        a, b = i % 37 + 2, i % 91 + 3
        worked = "".join(STEPS).format(a=a, b=b, c=a * b)
        made.append(
            worked + (ends[i // 10 % len(ends)].format(c=a * b) if i % 10 else "I cannot say.")
        )
    return made


def measure(rule, example: Example, given: list[str]) -> tuple[float, float, float]:
    """CPU seconds for the answers, the same with strict values too, and seconds for one answer of a
    megabyte.
    """
    scorer = rule.prepare([example])
    begun = time.process_time()
    scorer.score(given)
    lenient = time.process_time()
    scorer.both(given)
    both = time.process_time()
    scorer.score([("".join(given[:2000]))[:1_000_000]])
    return lenient - begun, both - lenient, time.process_time() - both


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.stdout.write(f"{'rule':<16}{'score s':>9}{'us each':>9}{'+strict s':>11}{'1 MB s':>9}\n")
    with tempfile.TemporaryDirectory() as scratch:
        function = Path(scratch) / "own.py"
        function.write_text("def score(answer, target, columns):\n    return target in answer\n")
        cases = [(name, name, "auto") for name in RULES] + [
            (style, "opro", kind) for kind, style in KINDS.items()
        ]
        for style, name, kind in cases:
            pattern = f"{function}:score" if name == "python" else PATTERNS.get(name)
            target = TARGETS.get(style, "positive")
            example = Example("train:0", {"input": QUESTION}, QUESTION, target, "rows.csv:2")
            rule = make_rule(name, ("positive", "negative", "neutral"), pattern, kind, [example])
            seconds, both, long = measure(rule, example, answers(style, count))
            label = name if kind == "auto" else f"{name} {kind}"
            sys.stdout.write(
                f"{label:<16}{seconds:>9.2f}{1e6 * seconds / count:>9.1f}{both:>11.2f}{long:>9.3f}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
