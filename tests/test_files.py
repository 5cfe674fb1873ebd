"""Files are written whole, privately, and not through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opro_local.config import reading
from opro_local.errors import DataError, StoreError, UsageError
from opro_local.files import (
    make_private_folder,
    open_private,
    open_whole,
    place_of,
    place_of_output,
    read_text,
    write_whole,
)
from opro_local.runs.prompt_file import read_prompts


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(
    ("before", "after"), [(None, 0o600), (0o644, 0o644), (0o400, 0o400), (0o4755, 0o755)]
)
def test_permissions_are_private_or_stay(tmp_path, before, after):
    path = tmp_path / "a.txt"
    if before:
        path.write_text("old")
        path.chmod(before)
    previous = os.umask(0)
    try:
        write_whole(path, "new")
    finally:
        os.umask(previous)
    assert path.read_text() == "new" and mode(path) == after
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_permissions_that_another_user_chose_do_not_stay(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o666)
    try:
        os.chown(path, 12345, 12345)
    except OSError:
        pytest.skip("this user namespace has no other user")
    write_whole(path, "new")
    assert mode(path) == 0o600 and path.stat().st_uid == 0


def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_whole(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_is_on_disk_when_the_name_changes(tmp_path, monkeypatch):
    """The file before the rename, the folder after it: a power cut leaves the old or the new."""
    done = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(handle):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def noting_replace(*paths):
        done.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_whole(tmp_path / "a.txt", "x")
    assert done == ["file", "rename", "folder"]


def test_the_name_on_the_way_can_not_be_known(tmp_path, monkeypatch):
    names = []
    real = os.open

    def noting(path, *rest, **more):
        names.append((Path(path).name, rest[0]))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", noting)
    for _ in range(2):
        write_whole(tmp_path / "a.txt", "x")
    made = [(name, flags) for name, flags in names if name.endswith(".part")]
    assert len({name for name, _ in made}) == 2
    assert all(flags & os.O_EXCL and flags & os.O_NOFOLLOW for _, flags in made)


def test_text_that_is_no_utf_8_is_written(tmp_path):
    write_whole(tmp_path / "a.txt", "a\ud800b")
    assert (tmp_path / "a.txt").read_text() == "a?b"


def test_long_names_are_written(tmp_path):
    write_whole(tmp_path / ("x" * 255), "a")
    assert (tmp_path / ("x" * 255)).read_text() == "a"


@pytest.mark.parametrize("what", ["folder", "fifo", "device", "no folder"])
def test_a_place_that_is_no_file_is_refused(tmp_path, what):
    path = {"device": Path("/dev/null"), "no folder": tmp_path / "none" / "x"}.get(
        what, tmp_path / "x"
    )
    if what == "folder":
        path.mkdir()
    if what == "fifo":
        os.mkfifo(path)
    with pytest.raises(StoreError, match="can't be written"):
        write_whole(path, "a")
    assert Path("/dev/null").is_char_device() and not list(tmp_path.glob(".opro*"))


@pytest.mark.parametrize(
    ("link", "to", "followed"),
    [
        ("AGENTS.md", "CLAUDE.md", True),
        ("AGENTS.md", "docs/rules.md", True),
        ("AGENTS.md", "none.md", True),
        ("docs/rules.md", "../CLAUDE.md", False),
        ("AGENTS.md", "../outside.md", False),
        ("AGENTS.md", "docs/../../outside.md", False),
        ("AGENTS.md", "chain.md", False),
        ("AGENTS.md", "AGENTS.md", False),
        ("AGENTS.md", "../project-2/x.md", False),
        ("AGENTS.md", ".git/hooks/pre-commit", False),
    ],
)
def test_a_link_is_followed_in_its_own_folder_only(tmp_path, link, to, followed):
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    (project / "chain.md").symlink_to("../outside.md")
    (project / link).symlink_to(to)
    if followed:
        assert place_of(project / link) == (project / link).parent / to
        return
    with pytest.raises(StoreError, match=r"outside its own folder|in a circle"):
        place_of(project / link)


def test_a_private_folder(tmp_path):
    make_private_folder(tmp_path / "runs" / "a")
    assert mode(tmp_path / "runs" / "a") == 0o700
    (tmp_path / "b").mkdir(mode=0o755)
    make_private_folder(tmp_path / "b")
    assert mode(tmp_path / "b") == 0o755


@pytest.mark.parametrize("what", ["link", "dangling link", "fifo", "folder", "device"])
def test_a_private_file_is_regular(tmp_path, what):
    path, outside = tmp_path / "x", tmp_path / "outside"
    outside.write_text("kept")
    if "link" in what:
        path.symlink_to(outside if what == "link" else tmp_path / "none")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null")
    with pytest.raises((StoreError, IsADirectoryError)):
        open_private(path, os.O_RDWR | os.O_CREAT)
    assert outside.read_text() == "kept" and not (tmp_path / "none").exists()


@pytest.mark.parametrize("what", ["fifo", "device", "endless", "folder"])
def test_a_config_or_prompts_that_are_no_file_end_in_one_line(tmp_path, what):
    path = {"device": Path("/dev/full"), "endless": Path("/dev/zero")}.get(what, tmp_path / "x")
    if what == "fifo":
        os.mkfifo(path)
    if what == "folder":
        path.mkdir()
    with pytest.raises(UsageError, match="can't read the config"):
        reading.read(path)
    with pytest.raises(DataError, match="can't be read"):
        read_prompts(path)


def test_text_is_read_whatever_its_line_ends(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert read_text(tmp_path / "a") == "ä\nb\nc\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run/run.sqlite", "a store"),
        ("run/run.sqlite-wal", "a store"),
        ("run/lock", "a file of the run"),
        ("run/result.json", "a file of the run"),
        ("run/best.json", "a file of the run"),
        ("kept.db", "a store"),
        ("rows.csv", "the input"),
        ("link.csv", "the input"),
        ("link.sqlite", "a store"),
    ],
)
def test_no_output_replaces_an_input_or_what_was_stored(tmp_path, name, said):
    (tmp_path / "run").mkdir()
    for store in (tmp_path / "run" / "run.sqlite", tmp_path / "kept.db"):
        store.write_bytes(b"SQLite format 3\0 and so on")
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n")
    (tmp_path / "link.csv").hardlink_to(rows)
    (tmp_path / "link.sqlite").symlink_to("kept.db")
    with pytest.raises(UsageError, match=said):
        place_of_output(tmp_path / name, [rows, tmp_path / "missing"])


def test_an_output_may_stand_beside_a_run_and_replace_an_output(tmp_path):
    (tmp_path / "run.sqlite").write_bytes(b"SQLite format 3\0")
    (tmp_path / "prompt.json").write_text("{}")
    for name in ("prompt.json", "report.html"):
        assert place_of_output(tmp_path / name) == tmp_path / name
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    assert place_of_output(elsewhere / "best.json") == elsewhere / "best.json"
