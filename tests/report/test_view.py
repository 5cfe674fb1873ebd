"""`view`: what it lists and shows, who may ask, and that no run and no request ends it."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape, unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from running import ROOT, SCRIPT, program, write_reviews

sys.path.append(str(Path(__file__).parents[1] / "sweeps"))
from made_sweeps import cell, unfinished, write

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import StoreError, UsageError
from opro_local.feedback import Feedback
from opro_local.feedback.outcomes import Outcome
from opro_local.report.html import policy, source
from opro_local.report.view import feedback_copy, listing, pages, process
from opro_local.report.view.access import Access
from opro_local.report.view.line import Line
from opro_local.report.view.list_page import list_page
from opro_local.report.view.process import Reader
from opro_local.report.view.server import Server
from opro_local.runs.events import Listener, TrajectoryGrowth
from opro_local.runs.reading import describe
from opro_local.runs.run import run

ODD = "a b?#%2e&é<i>"  # a folder's name
SWEEP_ROW = "sweep of 3 cells: 1 failed, 2 finished"


def config_of(folder, steps):
    scripted = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(folder / "mails.csv"), "input": "text", "target": "label"},
        "scorer": {**scripted, "max_tokens": 8},
        "optimizer": scripted,
        "search": {"seeds": ["What is it?"], "steps": steps, "candidates": 3},
        "run": {"seed": 3, "cache": False, "name": "Mails"},
    }
    return reading.build(tables, [])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of a folder with a run, a copy under an odd name, a forged and a cut one, a link out
    of the folder, two sweeps, one with a cell that is a link out, a feedback store, a file, and a
    folder that is no run.
    """
    base = tmp_path_factory.mktemp("served")
    runs = base / "runs"
    write_reviews(base / "mails.csv")
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        run(config_of(base, 2), runs / "mails")
    for name in (ODD, "forged", "cut"):
        shutil.copytree(runs / "mails", runs / name)
    store = (runs / "mails" / "run.sqlite").read_bytes()
    forged = store.replace(b"What is it?", b"What <b>it</b>?"[:11])
    (runs / "forged" / "run.sqlite").write_bytes(forged)
    (runs / "cut" / "run.sqlite").write_bytes(store[:3000])
    shutil.copytree(runs / "mails", base / "outside")
    (runs / "linked").symlink_to(base / "outside")
    for name in ("sweep", "linking"):
        cells = [cell({"run.seed": seed}, 0.75) for seed in (0, 1)]
        cells[0]["path"], cells[1]["path"] = f"/x/cells/{ODD}", "/x/cells/linked"
        write(runs / name, [*cells, unfinished({"run.seed": 2}, error="no <room>")])
        shutil.copytree(runs / "mails", runs / name / "cells" / ODD)
    (runs / "linking" / "cells" / "linked").symlink_to(base / "outside")
    store_of_outcomes(runs / "replies.sqlite")
    (runs / "other.sqlite").write_bytes(store)
    (runs / "elsewhere.sqlite").symlink_to(runs / "replies.sqlite")
    (runs / "notes").mkdir()
    (runs / "notes.txt").write_text("no run")
    with serving(runs) as server:
        until(lambda: all(line.state != "unread" for line in server.listing.lines(5)))
        yield server


def in_this_process(patch):
    """Scripted engines without a process of their own."""
    patch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (ScriptedEngine(settings), ""),
    )


def store_of_outcomes(path):
    """A feedback store with a prompt and an outcome of it."""
    with Feedback(path) as feedback:
        prompt = feedback.register("Is it <b>good</b>?", "champ-1")
        feedback.log(Outcome(prompt, 1.0, user="u", time=datetime(2026, 11, 2, tzinfo=UTC)))


@pytest.fixture
def lent(served, monkeypatch):
    """Further servers ask the reader of the first one, which takes a second to start."""
    reader = Lent(served)
    monkeypatch.setattr("opro_local.report.view.server.Reader", lambda: reader)


class Lent:
    def __init__(self, server):
        self.ask = server.pages._reader.ask

    def start(self):
        """It has started."""

    def close(self):
        """Its own server ends it."""


@contextmanager
def serving(folder, token="", host="127.0.0.1"):
    with Server(folder, host, 0, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def until(holds, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def ask(server, path, method="GET", headers=None):
    """Status, headers and text of an answer; the Host header is right unless another is given."""
    port = server.access.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{port}", **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        came = connection.getresponse()
        return came.status, came.headers, came.read().decode("utf-8", "replace")
    finally:
        connection.close()


def test_the_first_page_lists_what_list_knows_and_marks_what_cant_be_read(served):
    status, headers, html = ask(served, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    rows = dict(re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a></th>(.*?)</tr>', html))
    others = {"sweep", "linking", "replies.sqlite"}
    assert set(rows) == {"mails", escape(ODD), "forged", "cut", "linked", *others}
    assert "5 runs, 2 sweeps, 1 feedback store</p>" in html
    result = describe(served.listing.folder / "mails")
    test = result.test
    for said in (
        "<td>mails</td>",
        "<td>finished</td>",
        f"<td>{result.verdict}</td>",
        f">{100 * test.difference.value:+.1f}</td>",
        f">{100 * test.best.value:.1f} %</td>",
        f">{100 * test.baseline.value:.1f} %</td>",
    ):
        assert said in rows["mails"]
    assert "damaged" in rows["forged"] and 'class="why">' in rows["forged"]
    assert 'class="why">' in rows["cut"]
    assert "linked is a link out of the folder, which is not followed" in rows["linked"]


def test_a_sweep_is_a_row_that_opens_its_page_and_that_its_cells_pages(served):
    rows = re.findall(r'<a href="([^"]*)">sweep</a></th>(.*?)</tr>', ask(served, "/")[2])
    ((link, row),) = rows
    assert link == "/run/sweep" and f'<td colspan="7">{SWEEP_ROW}</td>' in row
    assert "<td>mails</td><td>m</td><td>failed</td>" in row
    _, _, html = ask(served, link)
    assert '<a href="/">All runs</a>' in html and "no &lt;room&gt;" in html
    style, script = source("report.css"), source("report.js") + source("follow.js")
    assert policy(style, script, is_served=True) in unescape(html)
    # Of its cells one has a run.
    links = set(re.findall(r'href="(/run/[^"]*)"', html))
    assert links == {f"/run/sweep/{quote(ODD, safe='')}"}
    own = ask(served, links.pop())[2]
    result = describe(served.listing.folder / "mails")
    assert result.digest in own and '<a href="/">All runs</a>' in own
    at, version = re.search(r'data-at="([^"]*)" data-version="([^"]*)"', html).groups()
    assert at == "/run/sweep/version" and version == SWEEP_ROW == said(served, at)


def test_the_folder_of_a_sweep_is_one_row(served, lent):
    with serving(served.listing.folder / "sweep") as own:
        until(lambda: own.listing.line("sweep", 5).state == "failed")
        assert own.listing.cell("sweep", ODD) and own.listing.cell("sweep", "no") is None


def test_a_sweep_with_a_link_out_of_the_folder_is_not_shown(served):
    why = "linked is a link out of the folder, which is not followed"
    (row,) = re.findall(r'<a href="/run/linking">.*?</tr>', ask(served, "/")[2])
    assert why in row
    for path in ("/run/linking", "/run/linking/linked", f"/run/linking/{quote(ODD, safe='')}"):
        _, _, html = ask(served, path)
        assert "not shown" in html and why in html


def test_a_feedback_store_is_a_row_that_opens_its_page_and_nothing_is_written(served):
    folder = served.listing.folder
    before = {path.name: path.read_bytes() for path in folder.glob("replies*")}
    (row,) = re.findall(r'<a href="/run/replies.sqlite">.*?</tr>', ask(served, "/")[2])
    assert '<td colspan="7">feedback store</td>' in row
    _, _, html = ask(served, "/run/replies.sqlite")
    assert "Champion: champ-1" in html and '<a href="/">All runs</a>' in html
    assert "&lt;b&gt;good" in html and "<h1>replies.sqlite</h1>" in html
    assert {path.name: path.read_bytes() for path in folder.glob("replies*")} == before


def test_a_store_that_is_open_is_read_with_its_log_and_a_damaged_one_is_named(
    tmp_path, monkeypatch
):
    path = tmp_path / "feedback.sqlite"
    store_of_outcomes(path)
    with Feedback(path, new=False) as feedback:
        feedback.log(Outcome("champ-1", 0.0, time=datetime(2026, 11, 3, tzinfo=UTC)))
        contents = feedback_copy.gather_read_only(path)
    assert [(day.day, day.n, day.mean) for day in contents.days] == [
        ("2026-11-02", 1, 1.0),
        ("2026-11-03", 1, 0.0),
    ]
    stamps = iter(([(1, 1)], [(2, 1)]))
    with monkeypatch.context() as patch:
        patch.setattr(feedback_copy, "_stamp", lambda file: next(stamps))
        with pytest.raises(StoreError, match="was written while it was read"):
            feedback_copy.gather_read_only(path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"champ-1", b"champ-2", 1))
    with pytest.raises(StoreError, match=r"\A(?!.*opro-local-).*feedback\.sqlite") as raised:
        feedback_copy.gather_read_only(path)
    path.write_bytes(whole[:5000])
    with pytest.raises(StoreError, match=r"feedback\.sqlite"):
        feedback_copy.gather_read_only(path)
    assert "\n" not in str(raised.value)


def test_a_run_s_page_is_the_report_with_a_way_back(served):
    status, _, html = ask(served, "/run/mails")
    result = describe(served.listing.folder / "mails")
    assert status == 200 and result.digest in html and '<a href="/">All runs</a>' in html
    assert 'class="follow"' not in html  # it is finished
    style, script = source("report.css"), source("report.js") + source("follow.js")
    assert policy(style, script, is_served=True) in unescape(html)
    assert f"<title>{result.name} · opro-local</title>" in html
    odd = ask(served, f"/run/{quote(ODD, safe='')}")[2]
    assert result.digest in odd
    link = re.search(r'href="(/run/a[^"]*)"', ask(served, "/")[2]).group(1)
    assert ask(served, link)[2] == odd


@pytest.mark.parametrize(("name", "why"), [("forged", "damaged"), ("cut", ""), ("linked", "link")])
def test_a_run_that_cant_be_read_is_a_page_that_says_why(served, name, why):
    status, _, html = ask(served, f"/run/{name}")
    assert status == 200 and "not shown" in html
    alarm = re.search(r'<p class="alarm">(.*?)</p>', html).group(1)
    assert alarm and why in alarm
    assert describe(served.listing.folder / "mails").digest not in html


@pytest.mark.parametrize(
    "path",
    [
        "/run/none",
        "/run/",
        "/run",
        "/runs",
        "/run/mails/run.sqlite",
        "/run/mails/",
        "/mails",
        "/run/..",
        "/run/.",
        "/run/../mails",
        "/run/%2e%2e",
        "/run/..%2foutside",
        "/run/mails%2frun.sqlite",
        "/run/mails%00",
        "/run/notes",
        "/run/notes.txt",
        "/run/%ff",
        "/etc/passwd",
        "*",
        "/version/version",
        "/run/sweep/none",
        "/run/sweep/",
        "/run/sweep/..",
        "/run/sweep/%2e%2e",
        "/run/sweep/cells",
        "/run/sweep/..%2fmails",
        "/run/sweep%2f" + quote(ODD, safe=""),
        "/run/sweep/" + quote(ODD, safe="") + "/run.sqlite",
        "/run/sweep/linked",
        "/run/mails/mails",
        "/run/replies.sqlite/replies.sqlite",
        "/run/other.sqlite",
        "/run/elsewhere.sqlite",
        "/run/sweep/" + quote(ODD, safe="") + "%00",
    ],
)
def test_no_path_is_a_file(served, path):
    status, _, text = ask(served, path)
    assert (status, text) == (404, "there is no such page\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_it_only_reads(served, method):
    status, headers, _ = ask(served, "/", method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


def test_head_is_get_without_a_body(served):
    whole = ask(served, "/run/mails")
    status, headers, text = ask(served, "/run/mails", "HEAD")
    assert (status, text) == (200, "")
    assert headers["Content-Length"] == str(len(whole[2].encode()))


def test_every_answer_says_that_it_is_nobody_elses(served):
    asked = ("/", "/version", "/run/mails", "/run/cut", "/none")
    for _, headers, _ in [ask(served, path) for path in asked] + [ask(served, "/", "POST")]:
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "opro-local"


@pytest.mark.parametrize(
    ("host", "header", "is_own"),
    [
        ("127.0.0.1", "127.0.0.1:80", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LocalHost.:80", True),
        ("127.0.0.1", "[::1]:80", True),
        ("127.0.0.1", "127.0.0.1:81", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.0.1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("127.0.0.1", "2130706433", False),
        ("::1", "[::1]", True),
        ("::1", "evil.example", False),
        ("0.0.0.0", "192.168.0.1", True),
        ("0.0.0.0", "evil.example", False),
        ("big.lan", "big.lan", True),
        ("big.lan", "small.lan", False),
    ],
)
def test_a_host_header_of_another_name_is_no_own(host, header, is_own):
    assert Access(host, 80, "").is_own(header) is is_own


def test_another_name_for_this_address_is_answered_nothing(served):
    status, _, text = ask(served, "/", headers={"Host": f"evil.example:{served.access.port}"})
    assert (status, text) == (421, "this server has another name\n")


def test_a_token_is_asked_for_once(tmp_path, lent):
    with serving(tmp_path, "secret-word") as server:
        assert server.access.url() == f"http://127.0.0.1:{server.access.port}/?token=secret-word"
        name = f"opro_local_view_{server.access.port}"
        for path, headers in (
            ("/", {}),
            ("/version", {}),
            ("/run/none", {}),
            ("/?token=", {}),
            ("/?token=secret-worm", {}),
            ("/?token=é", {}),
            ("/", {"Cookie": f"{name}=secret-worm"}),
            ("/", {"Cookie": f"{name}="}),
            ("/", {"Cookie": "other=secret-word"}),
            ("/", {"Cookie": "\x01=;;"}),
        ):
            status, _, text = ask(server, quote(path, safe="/?="), headers=headers)
            assert status == 403 and "secret-word" not in text
        status, headers, _ = ask(server, "//evil.example/?token=secret-word")
        assert (status, headers["Location"]) == (303, "/")
        assert headers["Set-Cookie"] == f"{name}=secret-word; Path=/; HttpOnly; SameSite=Lax"
        admitted = {"Cookie": f"a=b; {name}=secret-word"}
        assert ask(server, "/", headers=admitted)[0] == 200
        other = {**admitted, "Host": "evil.example"}
        assert ask(server, "/", headers=other)[0] == 421


def test_a_run_that_goes_on_is_followed_to_its_end(tmp_path, monkeypatch, lent):
    """The version changes with every step, and the page says what there is."""
    for module, name in (
        (pages, "REST"),
        (pages, "LEAST_REST"),
        (listing, "LOOK_SECONDS"),
        (listing, "AGAIN_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.1)
    write_reviews(tmp_path / "mails.csv")
    go, went = threading.Semaphore(0), threading.Semaphore(0)

    def pause(event):
        if isinstance(event, TrajectoryGrowth):
            went.release()
            go.acquire()

    in_this_process(monkeypatch)
    config = config_of(tmp_path, 3)
    folder = tmp_path / "runs" / "mails"
    going = threading.Thread(target=run, args=(config, folder, Listener(report=pause)), daemon=True)
    going.start()
    assert went.acquire(timeout=60)
    with serving(folder.parent) as server:
        until(lambda: server.listing.line("mails", 5).state == "running")
        html = ask(server, "/run/mails")[2]
        at, version = re.search(r'data-at="([^"]*)" data-version="([^"]*)"', html).groups()
        assert at == "/run/mails/version" and version == said(server, at)
        assert "This run is not finished" in html
        first = said(server, "/version")
        for _ in range(2):
            go.release()
            assert went.acquire(timeout=60)
        until(lambda: said(server, at) != version)
        until(lambda: said(server, "/version") != first)
        go.release(1000)
        going.join(60)
        until(lambda: server.listing.line("mails", 5).state == "finished")
        until(lambda: describe(folder).digest in ask(server, "/run/mails")[2])


def said(server, path):
    return json.loads(ask(server, path)[2])["version"]


def test_what_takes_all_time_or_memory_ends_its_reader_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "MODULE", "endless_reader")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'tests'}:{ROOT}")
    reader = Reader()
    try:
        said = reader.ask("line", tmp_path / "endless", 1)
        assert said == {"failure": "endless: it takes more than 1 s to read"}
        assert "too large for 4 GiB" in reader.ask("line", tmp_path / "greedy", 60)["failure"]
        assert reader.ask("line", tmp_path / "x", 60, "y")["at"] == "y"
    finally:
        reader.close()
    assert "the server ends" in reader.ask("line", tmp_path / "x", 60)["failure"]


def test_the_verb_says_where_it_is_and_ends_in_one_line(tmp_path):
    (tmp_path / "runs").mkdir()
    command = [sys.executable, "-m", "opro_local", "view", "--port", "0", "--json"]
    child = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        where = json.loads(child.stdout.readline())
        assert where["folder"] == "runs" and where["url"] == f"http://127.0.0.1:{where['port']}/"
        taken = program("view", "--port", str(where["port"]), cwd=tmp_path)
        assert taken.returncode == 2
        assert taken.stderr == (
            f"opro-local: 127.0.0.1 port {where['port']} can't be used (Address already in use); "
            "--port 0 takes one that is free\n"
        )
        connection = http.client.HTTPConnection("127.0.0.1", where["port"], timeout=60)
        connection.request("GET", "/")
        assert "There are no runs in this folder yet" in connection.getresponse().read().decode()
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
        assert (child.returncode, stderr) == (130, "opro-local: stopped\n")
    finally:
        child.kill()
        child.wait()


def test_what_cant_be_served_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="there is no such folder"):
        Server(tmp_path / "none", "127.0.0.1", 0, "")
    for host in ("192.0.2.1", "2001:db8::1"):  # addresses of nobody
        with pytest.raises(UsageError, match="can't be used"):
            Server(tmp_path, host, 0, "t")

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match="no address of this machine"):
        Server(tmp_path, "no.such.name", 0, "")


def test_texts_of_others_are_text_in_the_list():
    line = Line("</table><script>x", title="t", task="\u202ey", error="<b>\x1b[2J")
    sweep = Line("s", "sweep", "<i>1</i>")
    html = list_page("<i>runs</i>", [line, sweep])
    assert html.count("<script>") == 1 and "<b>" not in html and "<i>" not in html
    assert "\u202e" not in html and "\x1b" not in html and "\\u202ey" in html
