"""AutoPrompt and RLPrompt as rivals, on a random model of one layer: what they read, what they try,
and what a search costs.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from opro_local.engines.settings import EngineSettings


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    from engines import tiny_models

    return tiny_models.save(tmp_path / "model")


@pytest.fixture
def cell(folder, script):
    """Topics, eight rows a split, a token a character."""
    tokens = script("token_search")
    engine = tokens.TransformersEngine(
        EngineSettings(model=str(folder), kind="transformers", dtype="float32")
    )
    yield tokens.Cell("topics", 0, script("search").Budget(8, 200), engine)
    engine.close()


def test_a_gradient_says_which_characters_make_the_right_labels_likelier(cell, script):
    """What it predicts is what the engine then reads, to first order: the model is nearly linear."""
    tokens = script("token_search")
    ids, rows = cell.ids(" Which topic"), cell.train[:3]
    place, letters = 7, "abcdefghijklmnopqrstuvwxyz"
    slope = tokens.gradient(cell, ids, rows)[place]
    weight = cell.model.get_input_embeddings().weight
    predicted = [float(weight[cell.ids(letter)[0]] @ slope) for letter in letters]
    texts = [f"Which {letter}opic" for letter in letters]
    golds = cell.golds(rows)
    read = cell.read(texts, rows)[:, np.arange(len(rows)), golds].sum(axis=1)
    assert np.corrcoef(predicted, read)[0, 1] > 0.9


def test_marks_of_a_chat_are_no_text_of_a_prompt(cell):
    assert cell.survives(cell.ids(" Which topic"))
    assert cell.text(cell.ids(" Which topic")) == "Which topic"
    marked = cell.ids(" W") + cell.tokenizer.convert_tokens_to_ids(["<u>", "a"])
    assert not cell.survives(marked)
    assert not cell.survives(cell.ids("Which topic"))  # behind "Q:" there is a space


def test_exchanges_differ_in_one_token_and_put_the_most_promising_first(cell, script):
    tokens = script("token_search")
    ids = cell.ids(" Which topic")
    slope = tokens.gradient(cell, ids, cell.train[:2])
    tried = tokens.exchanges(cell, ids, 7, slope, fluent=False)
    assert len(tried) == tokens.TRIED and ids not in tried
    assert all([*one[:7], ids[7], *one[8:]] == ids for one in tried)
    weight = cell.model.get_input_embeddings().weight
    gains = [float(weight[one[7]] @ slope[7]) for one in tried]
    assert gains == sorted(gains, reverse=True)


def test_a_prompt_that_can_not_be_read_ends_the_search(cell):
    with pytest.raises(SystemExit, match="1 of 2 prompts can't be read"):
        cell.read(["Which topic?", "x" * 600], cell.train[:1])


def test_no_weight_of_the_model_keeps_a_gradient(cell, script):
    script("token_search").gradient(cell, cell.ids(" Which topic"), cell.train[:1])
    assert all(weight.grad is None for weight in cell.model.parameters())


@pytest.mark.long
def test_whole_searches_keep_to_their_pairs_and_are_not_done_twice(
    folder, script, tmp_path, capsys
):
    out = tmp_path / "rows.json"
    given = ("--model", str(folder), "--tasks", "topics", "--pairs", "112", "--rows", "8")
    given += ("--modes", "autoprompt,rlprompt", "--out", str(out))
    script("token_search", *given)
    rows = json.loads(out.read_text())
    # Sixteen rows for the choice, then 64 pairs an exchange or 32 pairs four texts.
    assert [(row["mode"], row["scored"]) for row in rows] == [("autoprompt", 80), ("rlprompt", 112)]
    assert all(0 <= row["test"] <= 1 and len(row["written"]) == 2 for row in rows)
    said = capsys.readouterr().out.count("topics 0")
    script("token_search", *given)
    assert said == 2 and "topics 0" not in capsys.readouterr().out
    assert json.loads(out.read_text()) == rows
