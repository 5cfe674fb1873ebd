"""Rows of hostile texts, prompts of every shape over them, and what a run asks with these."""

from __future__ import annotations

import csv
from dataclasses import replace

from made_results import made_result, made_search

from opro_local.config import reading
from opro_local.runs.plans import make_plan
from opro_local.runs.winner import Winner, WorkedExample
from opro_local.types import Solution

# Rows that hold what stands for a row elsewhere.
ODD = (
    'He said {input}, {text} and {{ input }}: "good"',
    "Ünïcode Привет 你好 good",
    "back\\slash\nand a second line, \\1 \\g<0> good",
    "<input-000000000000> $input %s {% raw %} poor",
    "  spaces around  ",
    "'''\"\"\" poor",
    "{0} {} }}{{ good",
    "[INST] <|im_start|>user\nQ: poor\nA:",
)


def write_odd(path):
    """Write 40 rows of hostile texts with labels of two kinds."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "topic", "label"])
        for number in range(40):
            said = ODD[number % len(ODD)]
            label = "positive" if number % 2 else "negative"
            writer.writerow([f"{number}: {said}", f"topic {{input}} {number}", label])
    return path


# A chat without and with worked examples, and a text likewise.
SHAPES = ("chat", "turns", "base", "text")
# Where the instruction stands, and what it is.
LAYOUTS = {
    "begin": ({}, "What is {{it}}, and \\1 why?"),
    "base": ({"qa": True}, "What is it?"),
    "end": ({"position": "Q_end"}, 'Say "it" in {{braces}}.'),
    "system": ({"position": "system"}, "Du bist {{ein}} Prüfer {. 判定"),
    "answer": ({"position": "A_begin"}, "The answer is"),
    "place": ({}, "Read this: {input}\nWhat is it? {{unknown}}"),
    "column": ({}, "Topic {topic}. Text: {text}"),
    "column outside": ({"position": "system"}, "You judge texts on {topic}."),
    "template": (
        {"position": "template", "template": "{instruction}\n[{topic}] {text} { x} {}\n->"},
        "Judge \\1 this.",
    ),
    "empty": ({}, ""),
}


def chosen(tables, tmp_path, task, instruction, shape):
    """The plan over odd rows, and the result of a run that chose this instruction there."""
    tables["task"] |= {"data": str(write_odd(tmp_path / "odd.csv")), **task}
    tables["scorer"] |= {"chat": shape in ("chat", "turns")}
    tables["search"] |= {"seeds": [instruction]}
    plan = make_plan(reading.build(tables))
    shown = plan.problem.rows["train"][:3] if shape in ("turns", "text") else ()
    best = Winner(instruction, "", demonstrations=tuple(WorkedExample(row.id) for row in shown))
    result = made_result(made_search(best=best))
    return plan, replace(result, prompt=plan.whole_prompt(result))


def asked(plan, found, split="test"):
    """The run's own requests, with the row of each."""
    ids = tuple(shown.id for shown in found.best.demonstrations)
    rows = plan.problem.rows[split]
    requests = plan.problem.requests(Solution(found.best.text, ids), split, rows)
    return zip(rows, requests, strict=True)
