"""The first page of a folder with 1,000 runs does not wait for them."""

from __future__ import annotations

import shutil
import time

import pytest
from running import write_reviews
from test_view import ask, config_of, serving, until

from opro_local.report.view.line import UNREAD
from opro_local.runs.run import run


@pytest.mark.long
def test_the_first_page_of_1000_runs_comes_at_once_and_then_knows_them_all(tmp_path):
    write_reviews(tmp_path / "mails.csv")
    first = tmp_path / "runs" / "run-0"
    run(config_of(tmp_path, 4), first)
    for number in range(1, 1000):
        shutil.copytree(first, first.with_name(f"run-{number}"))
    with serving(first.parent) as server:
        begun = time.perf_counter()
        html = ask(server, "/")[2]
        seconds = time.perf_counter() - begun
        assert html.count('<th scope="row"><a href="/run/run-') == 1000
        assert "1,000 runs; " in html and " not read yet" in html
        until(lambda: all(line.state != UNREAD for line in server.listing.lines(5)), 500)
        print(f"first page in {seconds:.2f} s, all read in {time.perf_counter() - begun:.1f} s")
        assert html.count("<td>finished</td>") < 1000
        assert ask(server, "/")[2].count("<td>finished</td>") == 1000
        assert seconds < 11  # 1 s where nothing else runs
