"""sweep.csv: the figures of sweep.json, and no text that a spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest
from made_sweeps import cell, unfinished

from opro_local.sweeps.table import safe, table_of

ORDER = "search.order"


def rows_of(*cells):
    keys = list(cells[0]["settings"])
    return list(csv.DictReader(io.StringIO(table_of({"keys": keys, "cells": cells}))))


def test_a_row_says_what_the_record_says():
    whole, lost = rows_of(
        cell({ORDER: "up", "run.seed": 3}, 0.75),
        unfinished({ORDER: "random", "run.seed": 4}, error="died, at once"),
    )
    wanted = {
        "state": "finished", "seed": "3", ORDER: "up", "test_best": "0.75", "test_best_low": "0.7",
        "test_baseline": "0.5", "test_best_n": "100", "test_difference_p_value": "0.04",
        "tokens_prompt": "900", "tokens_completion": "100", "calls_scorer": "4", "pairs": "50",
        "best_text": "Read it.", "verdict": "improved",
    }  # fmt: skip
    assert {name: whole[name] for name in wanted} == wanted
    assert (lost["state"], lost["error"], lost["test_best"]) == ("failed", "died, at once", "")
    assert "run.seed" not in whole  # the column is called seed


def test_a_metric_is_in_the_place_of_accuracy():
    sides = {"baseline": {"accuracy": 0.5, "n": 9}, "best": {"accuracy": 0.5, "n": 9}}
    for own in sides.values():
        own["metric"] = {"name": "f1", "value": 0.4, "interval": [0.3, 0.5]}
    (row,) = rows_of(cell({ORDER: "up"}, 0.5, test=sides))
    assert (row["test_best"], row["test_best_low"]) == ("0.4", "0.3")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", " =1", "\t=1", "\n=1", "\r+1",
        "\u00a0=1", "\ufeff=1", "\u200b=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A", "|x", "%x",
        "\tx", "\rx", "\nx", "\x00=1", "\u3000=1", "-- a list", '="a"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["name", "error", "model", "task", "best_text", ORDER])
def test_no_text_is_a_formula(text, column):
    record = cell({ORDER: "up"}, 0.5)
    if column == ORDER:
        record["settings"] = {ORDER: text}
    else:
        record[column] = text
    (row,) = rows_of(record)
    assert row[column] == f"'{text}"


def test_the_name_of_a_setting_is_no_formula():
    assert "'=x.y" in table_of({"keys": ["=x.y"], "cells": []})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1, -1), (-0.5, -0.5), (None, None), (True, True), ("a=b", "a=b"), ("", ""),
     (["=x"], '["=x"]'), ({"a": 1}, '{"a": 1}'), ("it's", "it's"), ("über", "über")],
)  # fmt: skip
def test_what_is_no_formula_stays(value, shown):
    assert safe(value) == shown


def test_texts_with_lines_and_quotes_come_back():
    text = 'Say "yes",\nor no;\r\n'
    (row,) = rows_of(cell({ORDER: "up"}, 0.5, best_text=text))
    assert row["best_text"] == text
