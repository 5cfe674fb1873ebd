"""The scripts behind the published tables: each runs, at its smallest, and counts what it says it
counts.
"""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from running import SCRIPT, SMOL, embedded_model

from opro_local.engines.scripted import ScriptedEngine
from opro_local.runs.driver import drive
from opro_local.runs.store import open_store
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Score, Solution

NAMES = (
    "draws",
    "growth",
    "lockstep",
    "racing",
    "reference_shape",
    "rival",
    "screening",
    "search",
    "search_table",
    "sweep",
    "throughput",
    "exchange",
    "token_search",
)


@pytest.mark.parametrize("name", NAMES)
def test_they_say_what_they_do(name, script, capsys):
    with pytest.raises(SystemExit, match="0"):
        script(name, "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("usage:") and f"python scripts/bench_{name}.py" in said


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def test_draws_prints_both_tables_from_what_was_recorded(script, capsys):
    script("draws", "--orders", "2")
    first, second = capsys.readouterr().out.strip().split("\n\n")[-2:]
    rows = {cells(line)[0]: cells(line)[1:] for line in first.splitlines() if line.startswith("| ")}
    assert rows["24 as random-demos draws, by validation"][3:] == [
        "81.8",
        "576",
    ]  # as docs/benchmarks says
    means = {
        name: float(row[3]) for name, row in rows.items() if name != "chosen from" and len(row) > 3
    }
    assert max(means, key=means.get) == "64 draws, oracle"
    assert [cells(line)[:2] for line in second.splitlines()[2:]] == [
        [base, doubt] for base in ("74", "84") for doubt in ("0.1", "0.25", "0.5")
    ]


def test_draws_chooses_the_best_by_both_splits_and_counts_its_pairs(script):
    draws = script("draws")
    rows = {"train": 24, "validation": 24, "test": 10}
    scores = {split: np.zeros((24, count)) for split, count in rows.items()}
    scores["train"][5], scores["train"][7, :23] = 1, 1
    scores["validation"][7] = 1
    labels = ["a", "b"] * 12
    one = draws.Recording("t", np.array(["draw"] * 24), np.zeros((24, 24), bool), labels, scores)
    best, pairs = draws.choice(one, [np.arange(24)], np.random.default_rng(0))
    assert best == 7  # 47 of 48 rows; the best on train has 24
    assert pairs == 24 * 6 + 12 * 6 + 6 * 12 + 5 * 24


def test_screening_compares_guesses_with_what_each_step_scored(script, tmp_path, capsys):
    """Two runs of one group: the second text of a step is like the best known, and the best of its
    step.
    """
    folders = [tmp_path / "tickets" / "mixed" / str(seed) / "run" for seed in range(2)]
    for folder in folders:
        store = open_store(folder)
        texts = (
            ["What is it?", "Sing a song."],
            ["Sing me songs.", "What is it now?", "Sing songs.", "Zzz"],
        )
        values = [0.8, 0.0], [0.1, 0.9, 0.0, 0.2]
        entries = [
            Entry("train", step, place, Solution(text), Score(value, np.full(10, value)))
            for step in (0, 1)
            for place, (text, value) in enumerate(zip(texts[step], values[step], strict=True))
        ]
        store.record(entries, [], 0)
        store.close()
    script("screening", *map(str, folders))
    assert capsys.readouterr().out.split("\n")[1].split() == [
        *("tickets/mixed", "2", "1.000", "0.300", "0.550", "0.900", "0.900")
    ]


def test_draws_writes_scores_down_and_reads_them_again(script, tmp_path):
    draws = script("draws")
    bits = np.arange(30).reshape(3, 10) % 3 == 0
    packed = [draws.packed(row) for row in bits]
    assert [draws.unpacked(text, 10).tolist() for text in packed] == bits.astype(float).tolist()
    one = {
        "task": "t",
        "ways": ["draw"] * 3,
        "labels": ["a"] * 10,
        "rows": [10, 10, 10],
        "shown": packed,
    }
    (tmp_path / "scores.json").write_text(
        json.dumps({"recordings": [{**one, "scores": dict.fromkeys(draws.SPLITS, packed)}]})
    )
    (found,) = draws.read(tmp_path / "scores.json")
    assert (
        found.scores["test"].tolist() == bits.astype(float).tolist()
        and found.shown.tolist() == bits.tolist()
    )


def test_lockstep_gives_every_seed_the_same_result_both_ways(script, capsys):
    given = (
        "--seeds",
        "3",
        "--rows",
        "8",
        "--engine",
        "scripted",
        "--set",
        f"scorer.script={SCRIPT}",
    )
    script("lockstep", *given)
    said = capsys.readouterr().out.splitlines()
    together, alone = (line.split() for line in said[-5:-3])
    assert together[:2] == ["in", "lockstep"] and alone[:3] == ["one", "after", "another"]
    assert together[-1] == alone[-1] and said[-3] == "equal: 3 of 3"
    assert said[-1].endswith(("met", "missed"))


def test_racing_prints_recorded_and_simulated_races(script, capsys):
    script("racing", "--orders", "3", "--races", "3")
    lines = capsys.readouterr().out.splitlines()
    (nine,) = (line.split() for line in lines if line.startswith("recorded: the first 9"))
    assert float(nine[-5]) > 40 and float(nine[-3]) == 0  # % saved, % best lost
    assert sum("points, against" in line for line in lines) == 8


def test_search_counts_what_every_mode_scores(script, tmp_path):
    """The rival that only draws scores 24 draws on validation; its choice is the best of them."""
    embedded_model()  # it does not run, but its tokenizer counts what worked examples take
    search = script("search")
    ready = search.planned(
        search.load("reviews"), 3, "random-demos", str(SMOL), tmp_path, search.Budget()
    )
    engine, trajectory = ScriptedEngine.of(lambda request: " positive"), Trajectory()
    outcome = drive(ready.search(trajectory), {"scorer": engine}, trajectory)
    validation = [entry for entry in trajectory.held_out if entry.split == "validation"]
    assert len(validation) == 24 and all(
        2 <= len(entry.solution.demonstrations) <= 8 for entry in validation
    )
    found = ready.summarize(trajectory, outcome, 0.05).to_json()
    assert found["scored"] == 24 * 24 + 24 and len(found["curve"]) == 3
    assert len(found["recalls"]) == 2 and found["written"] is None
    rarest = found["rarest"]
    rows = [row.target for row in ready.problem.rows["test"]]
    assert rarest["rows"] == min(map(rows.count, set(rows))) == rows.count(rarest["label"])
    is_positive = rarest["label"] == "positive"
    assert rarest["recall"] == [float(is_positive)] * 2
    assert rarest["given"] == [is_positive * len(rows)] * 2


def test_search_optimizes_the_metric_that_it_is_asked_for(script, tmp_path):
    """What answers every row alike has half of balanced accuracy, whatever the shares are."""
    embedded_model()
    search = script("search")
    task = replace(search.load("alerts"), metric="balanced_accuracy")
    ready = search.planned(task, 0, "random-demos", str(SMOL), tmp_path, search.Budget(8, 40))
    engine, trajectory = ScriptedEngine.of(lambda request: " routine"), Trajectory()
    drive(ready.search(trajectory), {"scorer": engine}, trajectory)
    scores = [entry.score for entry in trajectory.held_out if entry.split == "test"]
    assert {(score.value, score.measure.name) for score in scores} == {(0.5, "balanced_accuracy")}
    assert search.named("joint", task.metric) == "joint, balanced_accuracy"
    assert search.named("joint", "accuracy") == "joint"


@pytest.mark.parametrize(
    ("pairs", "rows", "draws", "finalists", "candidates"),
    [(600, 24, 24, 5, 18), (150, 24, 5, 1, 3), (2400, 24, 99, 5, 93), (2400, 200, 11, 2, 8)],
)
def test_search_fits_every_mode_into_its_pairs(script, pairs, rows, draws, finalists, candidates):
    budget = script("search").Budget(rows, pairs)
    assert (budget.draws, budget.finalists, budget.candidates) == (draws, finalists, candidates)
    assert rows * (candidates + finalists + 1) <= pairs and rows * (draws + 1) <= pairs


@pytest.mark.parametrize(
    ("task", "rows", "rarest", "labels"),
    [
        ("hazards", 188, 20, 2),
        ("animals", 150, 75, 2),
        ("tenses", 150, 50, 3),
        ("letters", 160, 40, 4),
        ("topics", 98, 14, 7),
        ("intents", 120, 10, 12),
    ],
)
def test_search_tasks_are_what_their_page_says(script, task, rows, rarest, labels):
    known = [row["label"] for row in script("search").load(task).rows]
    counts = [known.count(label) for label in set(known)]
    assert (len(known), min(counts), len(counts)) == (rows, rarest, labels)


@pytest.mark.parametrize(("task", "rows"), [("amounts", 152), ("places", 149)])
def test_search_tasks_with_open_answers_name_them_in_their_text(script, task, rows):
    known = script("search").load(task).rows
    texts = {row["text"] for row in known}
    assert len(known) == len(texts) == rows
    assert all(row["label"] in row["text"] for row in known)


def test_search_table_takes_differences_cell_by_cell(script):
    table = script("search_table")
    rows = [
        {"task": task, "seed": 0, "mode": mode, "test": test, "labels": labels}
        for task, labels, pair in (("a", 2, (0.5, 0.5)), ("b", 7, (0.9, 0.4)), ("c", 3, (0.7, 0.6)))
        for mode, test in zip(("joint-probability", "joint"), pair, strict=True)
    ]
    rows.append({**rows[1], "task": "d"})  # no partner: in no difference
    line = table.differences_table(rows).splitlines()[2]
    assert cells(line) == [
        "joint-probability - joint",
        "+20.0 ± 65.7 (3 cells)",
        "+0.0 (1 cell)",
        "+30.0 ± 254.1 (2 cells)",
    ]


def test_search_table_says_what_became_of_the_rarest_label(script):
    rows = [
        {
            "task": "alerts",
            "mode": mode,
            "rarest": {"label": "urgent", "rows": 20, "recall": [0.0, recall], "given": [0, given]},
        }
        for mode, recall, given in (("joint", 0.0, 1), ("joint", 0.5, 12), ("read", 0.25, 6))
    ]
    lines = script("search_table").rarest_table([*rows, {"mode": "old"}], ("alerts", "hazards"))
    assert [cells(line) for line in lines.splitlines()[2:]] == [
        ["joint", "25.0, 6.5 rows (2)"],
        ["read", "25.0, 6.0 rows (1)"],
    ]


def test_search_table_sets_the_methods_of_the_literature_beside_each_other(script):
    common = {"task": "topics", "scored": 600}
    rows = [
        {**common, "mode": "joint", "test": 0.4, "scored": 576, "seconds": 9},
        {**common, "mode": "autoprompt", "test": 0.5, "written": [0.0, 0.1], "seconds": 100},
        {**common, "mode": "autoprompt", "test": 0.7, "written": [0.0, 0.2], "seconds": 201},
        {**common, "mode": "capo", "test": 0.22, "seconds": 256, "task": "tickets"},
        {**common, "mode": "mixed", "test": 0.9},  # no method that papers compare
    ]
    lines = script("search_table").literature_table(rows).splitlines()
    assert cells(lines[0]) == ["method", "needs", "topics", "tickets", "pairs", "seconds"]
    assert [cells(line) for line in lines[2:]] == [
        ["autoprompt", "weights, gradients", "60.0, written 15.0 (2)", "", "600", "150"],
        ["capo", "answers", "", "22.0 (1)", "600", "256"],
        ["joint", "answers", "40.0 (1)", "", "576", "9"],
    ]


def test_search_tabulates_by_mode_and_task(script):
    search = script("search")
    common = {
        "curve": [0.5, 0.5, 0.5],
        "scored": 576,
        "text": "",
        "demonstrations": 4,
        "ways": None,
    }
    rows = [
        {
            "task": "t",
            "mode": mode,
            "seed": seed,
            "baseline": 0.5,
            "test": test,
            "replies": 4,
            "usable": 3,
            **common,
        }
        for mode, seed, test in (
            ("joint", 0, 0.8),
            ("joint", 1, 0.4),
            ("random-demos", 0, 0.6),
            ("random-demos", 1, 0.6),
        )
    ]
    lines = search.table(rows).splitlines()
    assert cells(lines[2])[:3] == ["seed", "50.0 ±  0.0", "50.0 ±  0.0"]
    assert cells(lines[3]) == [
        "joint",
        "60.0 ± 254.1",
        "60.0 ± 254.1",
        "-10.0",
        "6/8 = 75 %",
        "576",
    ]
    assert cells(lines[4])[3:5] == ["+10.0", ""]
    assert search.ahead(rows) == "joint - random-demos:   0.0 ± 254.1 over 2 pairs of runs"
    other = [{**row, "task": "u", "test": row["test"] - 0.3, "baseline": 0.2} for row in rows]
    lines = search.table(
        rows + other
    ).splitlines()  # a difference between tasks makes no mean less certain
    assert cells(lines[3])[1:4] == ["60.0 ± 254.1", "30.0 ± 254.1", "45.0 ± 60.8"]
    assert cells(search.curves(rows, search.Budget()).splitlines()[2]) == [
        "joint",
        "50.0",
        "50.0",
        "50.0",
    ]


def test_nearest_examples_never_show_a_row_its_own_answer(script):
    pytest.importorskip("sklearn", reason="scikit-learn is no dependency")
    nearest = script("nearest")
    cell = nearest.Cell("topics", 0, script("search").Budget())
    for row, request in zip(
        cell.known, cell.requests(cell.known, nearest.Sampling(8)), strict=True
    ):
        shown, asked = request.prompt.text.rsplit("\n\n", 1)
        assert row.input in asked and row.input not in shown
        assert shown.count("\nA:") == 8


def test_rewards_are_those_of_the_right_label(script):
    tokens = script("token_search")
    # Two prompts, two rows, three labels; the second row's right label is the third.
    logs = np.log([[[0.5, 0.25, 0.25], [0.2, 0.7, 0.1]], [[0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]])
    golds = np.array([0, 2])
    assert np.exp(tokens.right_shares(logs, golds)) == pytest.approx(
        np.array([[0.5, 0.1], [0.1, 0.4]])
    )
    assert tokens._gaps(logs, golds) == pytest.approx(np.array([[0.25, -0.6], [-0.7, 0.1]]))


def test_rows_are_written_one_by_one_and_those_that_are_there_are_not_measured(
    script, tmp_path, capsys
):
    rows, file = script("rows"), tmp_path / "rows.json"
    before = [{"task": "a", "seed": 0, "mode": "y", "test": 0.0}]
    seen = []

    def measured(task: str, seed: int, mode: str) -> dict:
        seen.append(len(json.loads(file.read_text())) if file.exists() else 0)
        return {"task": task, "seed": seed, "mode": mode, "test": 0.125}

    rows.write_rows(file, rows.cells(range(2), ("a", "b"), ("x", "y")), measured, before)
    written = [f"{row['task']} {row['seed']} {row['mode']}" for row in json.loads(file.read_text())]
    assert written[:4] == ["a 0 y", "a 0 x", "b 0 x", "b 0 y"]
    assert written[4:] == ["a 1 x", "a 1 y", "b 1 x", "b 1 y"]
    assert seen == [0, 2, 3, 4, 5, 6, 7]
    assert capsys.readouterr().out.splitlines() == [f"{cell}: 12.5" for cell in written[1:]]


def test_an_exchange_counts_its_gradient_as_pairs_and_keeps_the_best(script, monkeypatch):
    tokens = script("token_search")
    cell = SimpleNamespace(
        pairs=150,
        scored=0,
        prompt="abc",
        rng=np.random.default_rng(0),
        text=lambda ids: "".join(map(chr, ids)).removeprefix(" "),
        survives=lambda ids: True,
        ids=lambda text: list(map(ord, text)),
        batch=lambda: [0] * tokens.BATCH,
        golds=lambda rows: np.zeros(len(rows), int),
    )
    cell.spend = lambda pairs: tokens.Cell.spend(cell, pairs)
    # Whatever has a "z" in it has the first label likelier.
    cell.read = lambda texts, rows: np.log(
        [[[0.6, 0.4] if "z" in text else [0.4, 0.6]] * len(rows) for text in texts]
    )
    monkeypatch.setattr(tokens, "gradient", lambda cell, ids, rows: None)
    changed = lambda cell, ids, place, *_: [[*ids[:place], ord("z"), *ids[place + 1 :]]]  # noqa: E731
    monkeypatch.setattr(tokens, "exchanges", changed)
    text = tokens.autoprompt(cell)
    assert "z" in text and len(text) in (3, 4)  # the space before the text may be exchanged too
    assert (cell.scored, cell.pairs) == (128, 22)  # two rounds of 64
