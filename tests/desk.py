"""A user's folder, and models that a script answers for: what the commands and Python lines of the
documentation find when tests run them as printed.

For: running pages in this process, in seconds and without a model. Not for: tests of a verb or of
a real model.
"""

from __future__ import annotations

import csv
import functools
import json
import re
import sqlite3
import webbrowser
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
import scripted_model
import scripted_solver
from running import ROOT, SCRIPT, SMOL

from opro_local.config import reading
from opro_local.engines import start
from opro_local.engines.scripted import ScriptedEngine
from opro_local.network import SWITCHES, switch_off_network
from opro_local.records import log_probability_text
from opro_local.types import Request

EXAMPLES = ROOT / "docs" / "examples"
# Whatever a page says, a step of two candidates shows that it runs.
SMALL = ("search.steps=1", "search.candidates=2")
# What makes a config where no models are a script.
BUILD = reading.build
CITIES = "NAME : three\nTYPE: TSP\nDIMENSION: 5\nEDGE_WEIGHT_TYPE : EUC_2D\nNODE_COORD_SECTION\n"


def answer(request: Request) -> str:
    """The reply of either role: to the pages' mails, to the examples' rows, to numeric problems."""
    shown = "".join(f"{asked}\n{said}\n" for asked, said in request.prompt.turns)
    text = shown + request.prompt.text
    if labels := request.sampling.labels:
        said = Random(text).choice(labels)
        return log_probability_text({one: -0.1 if one == said else -3.0 for one in labels})
    if request.sampling.constraint and request.sampling.constraint.kind == "choice":
        return Random(request.sampling.seed or 0).choice(request.sampling.constraint.value)
    if "<trace>" in text:
        return scripted_solver.random_tour(request)
    if "[w, b]" in text or "w = " in text:
        return scripted_solver.random_pair(request)
    if request.sampling.seed is not None:
        return f"[{scripted_model.propose(request.sampling.seed)}]"
    return _known_answer(text) or ("yes" if text.rfind("good") > text.rfind("bad") else "no")


@functools.cache
def _known() -> tuple[tuple[str, str], ...]:
    """The examples' rows: what is asked and what is right."""
    with (EXAMPLES / "helpdesk" / "helpdesk.csv").open() as stream:
        rows = [(row["text"], row["team"]) for row in csv.DictReader(stream)]
    with (EXAMPLES / "sums" / "sums.csv").open() as stream:
        rows += [(row["question"], row["solution"]) for row in csv.DictReader(stream)]
    lines = (EXAMPLES / "orders" / "orders.jsonl").read_text("utf-8").splitlines()
    rows += [(row["message"], row["order"]) for row in map(json.loads, lines)]
    return tuple(rows)


def _known_answer(text: str) -> str:
    """The right answer to the prompt's last row: always where another row is shown with its answer,
    else to a third of the rows; "" where no row is known.
    """
    asked = [(text.rfind(row), row, target) for row, target in _known() if row in text]
    if not asked:
        return ""
    _, row, target = max(asked)
    right = len(asked) > 1 or zlib.crc32(row.encode()) % 3 == 0
    return target if right else "I cannot say."


@contextmanager
def scripted_models() -> Iterator[None]:
    """Every config gets `answer` as its model and one step; no worker process is started."""

    def with_script(tables, overrides=(), base=None):
        roles = {"optimizer", *({"scorer", "judge"} & set(tables))}
        hosting = [f'{role}.engine="scripted"' for role in sorted(roles)]
        hosting += ["scorer.chat=true"] if "scorer" in roles else []
        return BUILD(tables, [*overrides, *hosting, *SMALL], base)

    def started(settings, choice, log, devices):
        return ScriptedEngine.of(answer), ""

    with pytest.MonkeyPatch.context() as patch:
        for name in SWITCHES:  # to have them back afterwards
            patch.setenv(name, "1")
        switch_off_network()
        patch.setattr(reading, "build", with_script)
        patch.setattr(start, "_start_one", started)
        patch.setattr(webbrowser, "open", lambda address, *_: True)
        yield


def furnish(folder: Path) -> Path:
    """Put into a folder what the pages speak of: data, model folders, configs."""
    rows = [
        (f"Number {i} was {word}", label)
        for i in range(20)
        for word, label in (("good", "yes"), ("bad", "no"))
    ]
    with (folder / "mails.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    with (folder / "new.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text",), *((f"{text} again",) for text, _ in rows[:5])])
    for name in ("my-model", "Qwen2.5-7B-Instruct"):
        (folder / name).symlink_to(SMOL)
    (folder / "docs").symlink_to(ROOT / "docs")
    for name in ("sentiment.toml", "config.toml"):
        (folder / name).write_text(
            '[task]\ndata = "mails.csv"\ninput = "text"\ntarget = "label"\n'
            '[scorer]\nmodel = "./my-model"\n[search]\nseeds = ["Is it good?"]\n'
        )
    # Cells of a sweep run in processes of their own, where nothing is patched.
    (folder / "mails.toml").write_text(
        '[task]\ndata = "mails.csv"\ninput = "text"\ntarget = "label"\n'
        f'[scorer]\nengine = "scripted"\nscript = "{SCRIPT}"\n[optimizer]\nengine = "scripted"\n'
        f'script = "{SCRIPT}"\n[search]\nsteps = 1\ncandidates = 2\n'
    )
    (folder / "seeds.toml").write_text(
        'base = "mails.toml"\n[axes]\n"run.seed" = { from = 0, to = 1 }\n'
    )
    (folder / "candidates.txt").write_text("Is it good?\nGood or bad?\n")
    answers = [{"target": "42", "answer": "It is 42."}, {"target": "7", "answer": "8"}]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    (folder / "gsm8k.toml").write_text(
        '[task]\nname = "gsm8k"\ndata_dir = "data"\n[scorer]\nmodel = "./my-model"\n'
    )
    (folder / "berlin52.tsp").write_text(
        CITIES + "".join(f"{n} {n * 7 % 5} {n * n}\n" for n in range(1, 6)) + "EOF\n"
    )
    _benchmarks(folder / "data")
    return folder


def _benchmarks(folder: Path) -> None:
    bbh = folder / "BIG-Bench-Hard-data"
    bbh.mkdir(parents=True)
    walks = [
        {"input": f"Walk {n} steps.\nOptions:\n- Yes\n- No", "target": "Yes" if n % 3 else "No"}
        for n in range(20)
    ]
    (bbh / "navigate.json").write_text(json.dumps({"canary": "none", "examples": walks}))
    _spider(folder / "spider")
    gsm = folder / "gsm_data"
    gsm.mkdir()
    sums = [f"What is {n} + 1?\t{n + 1}\t{n} + 1 = {n + 1}\n" for n in range(300)]
    (gsm / "gsm_train.tsv").write_text("".join(sums))
    (gsm / "gsm_test.tsv").write_text("".join(sums[:20]))


def _spider(folder: Path) -> None:
    """Spider's layout: one database of two rows, ten questions."""
    database = folder / "database" / "shop"
    database.mkdir(parents=True)
    connection = sqlite3.connect(database / "shop.sqlite")
    connection.executescript("CREATE TABLE item (id INTEGER); INSERT INTO item VALUES (1), (2);")
    connection.close()
    schema = {
        "db_id": "shop",
        "table_names_original": ["item"],
        "column_names_original": [[-1, "*"], [0, "id"]],
        "column_types": ["text", "number"],
        "primary_keys": [1],
        "foreign_keys": [],
    }
    (folder / "tables.json").write_text(json.dumps([schema]))
    asked = {"db_id": "shop", "query": "SELECT count(*) FROM item;"}
    questions = [{**asked, "question": f"How many? {number}"} for number in range(10)]
    (folder / "dev.json").write_text(json.dumps(questions))


def without_comment(line: str) -> str:
    """A command without the words behind its `#`, as a shell reads it."""
    return re.split(r"\s+#\s", line)[0].strip()
