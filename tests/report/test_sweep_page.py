"""A sweep's page: its figures, what it leaves out, and that nothing in it but our script can run."""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import pytest
from html_tags import Tags
from running import program

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeps"))

from made_sweeps import cell, unfinished, write

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.report.sweep_page import _mean, write_sweep_report
from opro_local.runs.run import run
from opro_local.sweeps.seeds import Mean

ORDER = "search.order"
HOSTILE = "</style><script>alert(1)</script>\u202e {{ 7*7 }} \" onload='x"


def made_cells():
    rows = {"up": [0.80, 0.84, 0.82, 0.86], "random": [0.70, 0.76, 0.72, 0.78]}
    whole = [
        cell({ORDER: order, "run.seed": seed}, best)
        for order, row in rows.items()
        for seed, best in enumerate(row)
    ]
    return [*whole, unfinished({ORDER: "up", "run.seed": 9}, error="out of memory")]


def html_of(folder: Path, **given) -> str:
    return write_sweep_report(folder, **given).read_text("utf-8")


def test_a_sweep_is_told_with_its_statistics(tmp_path):
    text = Tags(html_of(write(tmp_path / "s", made_cells()))).text
    for said in (
        "accuracy on test: 8 cells",
        "1 failed, 8 finished",
        "1 of 9 cells are not finished",
        "out of memory",
        "Seed noise is 3.2 points",  # sqrt((0.000667 + 0.001333) / 2) = 0.0316
        "83.0 % (78.9 to 87.1, 4 seeds)",
        "+9.0 points (7.2 to 10.8, 4 seeds)",
        "more than seed noise",
        "4 of 5",
        "84.0 %",
        "79.0–89.0\u00a0%",
        "validation: 83.0 %",
    ):
        assert said in text, said


@pytest.mark.parametrize(
    ("value", "interval", "shares", "signed", "said"),
    [
        (0.778, (0.386, 1.17), True, False, "77.8 % (38.6 to 100.0, 3 seeds)"),
        (0.1, (-0.2, 0.4), True, False, "10.0 % (0.0 to 40.0, 3 seeds)"),
        (0.1, (-0.2, 0.4), True, True, "+10.0 points (-20.0 to 40.0, 3 seeds)"),
        (0.9, (-1.3, 3.1), True, True, "+90.0 points (-100.0 to 100.0, 3 seeds)"),
        (7.0, (-2.0, 16.0), False, False, "7 (-2 to 16, 3 seeds)"),
    ],
)
def test_an_interval_of_a_share_ends_where_shares_do(value, interval, shares, signed, said):
    assert _mean(Mean(value, interval, "", 3, 3), shares, signed) == said


def test_one_seed_says_that_its_noise_is_not_known(tmp_path):
    cells = [cell({ORDER: order}, best) for order, best in (("up", 0.8), ("random", 0.7))]
    text = Tags(html_of(write(tmp_path / "s", cells))).text
    assert "Seed noise is not known: no settings were run with two seeds" in text
    assert "one seed: no interval" in text and "more than seed noise" not in text


def test_nothing_of_others_is_markup(tmp_path):
    cells = [
        cell({ORDER: HOSTILE, "run.seed": seed}, 0.8, name=f"{seed}{HOSTILE}", model=HOSTILE)
        for seed in (0, 1)
    ]
    cells.append(unfinished({ORDER: "up", "run.seed": 0}, name="n", task=HOSTILE, error=HOSTILE))
    html = html_of(write(tmp_path / "s", cells))
    tags = Tags(html)
    assert [tag for tag, _ in tags.tags].count("script") == 1
    assert "\u202e" not in html and "{{ 7*7 }}" in tags.text
    policy = next(own["content"] for _, own in tags.tags if own.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for _, own in tags.tags:
        assert not [name for name in own if name.startswith("on") or name in ("src", "style")]
        assert not re.match(r"https?:|//|javascript:", own.get("href") or "")


def run_cell(path: Path, seed: int) -> None:
    """A real cell: a scripted search of the demo's kind."""
    from running import SCRIPT, write_reviews

    data = write_reviews(path.parents[1] / "reviews.csv")
    scripted = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(data), "input": "text", "target": "label"},
        "scorer": scripted,
        "optimizer": scripted,
        "search": {"seeds": ["What is it?"], "steps": 2, "candidates": 2},
        "run": {"seed": seed, "cache": False},
    }
    run(reading.build(tables, []), path)


def test_curves_and_links_are_of_the_cells_that_are_there(tmp_path):
    cells = [cell({"run.seed": seed}, 0.8) for seed in (0, 1, 2)]
    folder = write(tmp_path / "s", cells)
    for seed in (0, 1):
        run_cell(folder / "cells" / f"seed={seed}", seed)
    (folder / "cells" / "seed=0" / "report.html").write_text("there")
    done = program("report", folder)
    assert done.stdout.splitlines()[-1] == str(folder / "report.html")
    html = (folder / "report.html").read_text("utf-8")
    assert html.count('<path class="trace') == 2
    assert 'href="cells/seed%3D0/report.html"' in html and html.count('href="cells/') == 1
    assert "Without a curve, as no store with train scores can be read: 1 cells: seed=2." in html
    assert str(tmp_path) not in html
    (folder / "cells" / "seed=1" / "run.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert html_of(folder).count('<path class="trace') == 1
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert html_of(Path(moved)).count('<path class="trace') == 1


def test_a_users_mistake_is_one_line(tmp_path):
    folder = write(tmp_path / "s", made_cells())
    for name in ("sweep.json", "sweep.csv"):
        (folder / "sweep.csv").touch()
        with pytest.raises(UsageError, match="is the input"):
            write_sweep_report(folder, folder / name)
    done = program("report", folder, "--trust-code", check=False)
    assert done.returncode == 2 and "runs no code" in done.stderr
    (folder / "sweep.json").write_text('{"name": "x"}')
    with pytest.raises(UsageError, match="no record of a sweep"):
        write_sweep_report(folder)


def test_a_sweep_with_nothing_finished_has_a_page(tmp_path):
    cells = [unfinished({ORDER: "up", "run.seed": seed}, "missing") for seed in (0, 1)]
    text = Tags(html_of(write(tmp_path / "s", cells))).text
    assert "2 of 2 cells are not finished" in text and "Seed noise" not in text


@pytest.mark.long
def test_200_cells_have_a_page_under_3_mb(tmp_path):
    """5 models x 4 orders x 10 seeds, each with a store of its own."""
    cells = [
        cell({"scorer.model": f"model-{model}", ORDER: order, "run.seed": seed},
             0.6 + model / 50 + seed / 500, model=f"model-{model}")
        for model in range(5)
        for order in ("up", "down", "random", "best")
        for seed in range(10)
    ]  # fmt: skip
    folder = write(tmp_path / "s", cells)
    run_cell(folder / "cells" / "first", 0)
    for one in cells:
        place = folder / "cells" / one["path"].rpartition("/")[2]
        place.mkdir()
        shutil.copy(folder / "cells" / "first" / "run.sqlite", place / "run.sqlite")
    begun = time.perf_counter()
    page = write_sweep_report(folder)
    seconds = time.perf_counter() - begun
    print(f"{page.stat().st_size:,} bytes, {seconds:.1f} s")
    assert page.read_text("utf-8").count('<path class="trace') == 200
    assert page.stat().st_size < 3_000_000
    assert seconds < 20
