"""Damaged bundles are refused, and the file is named: a table of what may happen on the way."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_making import tiny_bundle, wheel

from opro_local.bundle import pieces, verify

WHEEL = "wheels/tiny_one-1.0-py3-none-any.whl"
SHARD = "models/tiny-model/model-00002.safetensors"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def listed_again(bundle: Path, name: str) -> None:
    """Let SHA256SUMS list a file as it now is."""
    sums = bundle / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {name}")]
    lines.append(f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}")
    sums.write_text("\n".join(lines) + "\n")


def edit(bundle: Path, change: Callable[[str], str]) -> None:
    (bundle / "SHA256SUMS").write_text(change((bundle / "SHA256SUMS").read_text()))


def link(bundle: Path, name: str, to: str) -> None:
    (bundle / name).unlink(missing_ok=True)
    (bundle / name).symlink_to(to)


def another_wheel(bundle: Path) -> None:
    """Exchange a wheel and its line in SHA256SUMS."""
    wheel(bundle / "wheels", "tiny_one", licence="changed")
    listed_again(bundle, WHEEL)


def unpinned(bundle: Path) -> None:
    (bundle / "requirements.txt").write_text("tiny-one==1.0\n")
    listed_again(bundle, "requirements.txt")


# What happens, the file that is named, what is said of it.
DAMAGES = {
    "a flipped byte in a wheel": (lambda b: flip(b / WHEEL), WHEEL, "its bytes are not those"),
    "a flipped byte in a shard": (lambda b: flip(b / SHARD), SHARD, "its bytes are not those"),
    "a wheel cut short": (lambda b: os.truncate(b / WHEEL, 10), WHEEL, "its bytes are not"),
    "a missing wheel": (lambda b: (b / WHEEL).unlink(), WHEEL, "is missing"),
    "a missing shard": (lambda b: (b / SHARD).unlink(), SHARD, "is missing"),
    "an added wheel": (
        lambda b: wheel(b / "wheels", "tiny_two"),
        "wheels/tiny_two-1.0-py3-none-any.whl",
        "was added",
    ),
    "an added hidden file": (lambda b: (b / "models/.x").touch(), "models/.x", "was added"),
    "a link out of the bundle": (lambda b: link(b, SHARD, "/etc/passwd"), SHARD, "is a link"),
    "a link inside": (lambda b: link(b, WHEEL, "../BUNDLE.json"), WHEEL, "is a link"),
    "a linked folder": (lambda b: link(b, "more", "/etc"), "more", "is a link"),
    "a device": (lambda b: os.mkfifo(b / "pipe"), "pipe", "is a device"),
    "sums with a line less": (
        lambda b: edit(b, lambda t: "".join(x for x in t.splitlines(True) if WHEEL not in x)),
        WHEEL,
        "was added",
    ),
    "sums with another digest": (
        lambda b: edit(b, lambda t: t.replace(t[:64], "0" * 64, 1)),
        "BUNDLE.json",
        "its bytes are not",
    ),
    "sums that lead out": (
        lambda b: edit(b, lambda t: t + "0" * 64 + "  ../outside\n"),
        "SHA256SUMS",
        "leads out of the bundle",
    ),
    "sums with a name twice": (
        lambda b: edit(b, lambda t: t + t.splitlines()[0] + "\n"),
        "SHA256SUMS",
        "again",
    ),
    "sums that are none": (lambda b: edit(b, lambda t: "hello\n"), "SHA256SUMS", "line 1 is no"),
    "empty sums": (lambda b: edit(b, lambda t: ""), "SHA256SUMS", "does not list BUNDLE.json"),
    "no sums": (lambda b: (b / "SHA256SUMS").unlink(), "SHA256SUMS", "is missing"),
    "sums behind a link": (lambda b: link(b, "SHA256SUMS", "BUNDLE.json"), "SHA256SUMS", "regular"),
    "a wheel exchanged with its line": (another_wheel, WHEEL, "asks for another file"),
    "a requirement without a digest": (unpinned, "requirements.txt", "no package with its one"),
    "an edited installer": (lambda b: flip(b / "install.sh"), "install.sh", "its bytes are not"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield tiny_bundle(tmp_path_factory.mktemp("whole"), patch)


@pytest.fixture
def bundle(whole, tmp_path) -> Path:
    shutil.copytree(whole.folder, tmp_path / "bundle")
    return tmp_path / "bundle"


def checked(bundle: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the bundle's own verify.py, as a site does: without this package."""
    command = [sys.executable, "-I", str(bundle / "verify.py"), str(bundle), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_whole_bundle_is_whole(whole, bundle):
    assert verify.damage(bundle) == []
    told = checked(bundle, "--expect", whole.sums)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"ok: {whole.sums}  SHA256SUMS\n"
    told = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, timeout=60)
    assert told.returncode == 0


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_bundle_is_refused_and_the_file_named(bundle, what):
    do, name, says = DAMAGES[what]
    do(bundle)
    faults = dict(verify.damage(bundle))
    assert name in faults and says in faults[name], faults


def test_the_program_names_the_file_and_ends_with_4(bundle):
    flip(bundle / WHEEL)
    told = checked(bundle)
    assert told.returncode == 4 and told.stdout == ""
    assert told.stderr == f"verify.py: {WHEEL}: its bytes are not those that SHA256SUMS lists\n"
    said = json.loads(checked(bundle, "--json").stdout)
    assert not said["ok"] and [fault["file"] for fault in said["damaged"]] == [WHEEL]


def test_a_name_does_not_command_the_terminal(bundle):
    (bundle / "\x1b[2J\nok").touch()
    told = checked(bundle)
    assert told.stderr == "verify.py: \\x1b[2J\\nok: was added: SHA256SUMS does not list it\n"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"python": "3.7"}, "the bundle is for Python 3.7, this is 3."),
        ({"machine": "riscv64"}, "the bundle is for Linux riscv64, this is Linux "),
        ({"glibc": 900}, "the bundle is for glibc 2.900 or newer, this is "),
    ],
)
def test_a_bundle_for_another_machine_is_refused(bundle, changes, says):
    head = json.loads((bundle / "BUNDLE.json").read_text()) | changes
    (bundle / "BUNDLE.json").write_text(json.dumps(head))
    listed_again(bundle, "BUNDLE.json")
    assert verify.damage(bundle) == []
    with pytest.raises(verify.Unfit) as error:
        verify.check(bundle, "", "", "")
    assert says in str(error.value) and error.value.code == 2


def test_sums_that_were_made_anew_are_not_the_expected_ones(whole, bundle):
    flip(bundle / SHARD)
    listed_again(bundle, SHARD)
    assert verify.damage(bundle) == []
    with pytest.raises(
        verify.Unfit, match=f"SHA256SUMS: its SHA-256 is [0-9a-f]+, not {whole.sums}"
    ):
        verify.check(bundle, whole.sums, "", "")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not here")
def test_a_signed_bundle_is_known_by_its_key(tmp_path, monkeypatch):
    for name in ("site", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    made = tiny_bundle(tmp_path, monkeypatch, key=tmp_path / "site")

    def signers(name: str) -> str:
        words = (tmp_path / f"{name}.pub").read_text().split()[:2]
        (tmp_path / "signers").write_text(f"opro-local {' '.join(words)}\n")
        return str(tmp_path / "signers")

    assert verify.check(made.folder, "", signers("site"), "opro-local")["ok"]
    with pytest.raises(verify.Unfit, match=r"SHA256SUMS\.sig: is no signature by opro-local"):
        verify.check(made.folder, "", signers("other"), "opro-local")
    flip(made.folder / SHARD)
    listed_again(made.folder, SHARD)
    with pytest.raises(verify.Unfit, match="is no signature"):
        verify.check(made.folder, "", signers("site"), "opro-local")
    (made.folder / "SHA256SUMS.sig").unlink()
    with pytest.raises(verify.Unfit, match=r"SHA256SUMS\.sig: is missing"):
        verify.check(made.folder, "", signers("site"), "opro-local")


def cut(bundle: Path) -> Path:
    """The bundle in three pieces or more."""
    (bundle / "data" / "large.bin").write_bytes(bytes(range(256)) * 10_000)
    listed_again(bundle, "data/large.bin")
    return pieces.split(bundle, 1 << 20)


def test_pieces_join_to_the_same_bundle_and_are_the_same_each_time(bundle, tmp_path):
    folder = cut(bundle)
    names = sorted(path.name for path in folder.glob("*.tar.*"))
    assert names == ["bundle.tar.001", "bundle.tar.002", "bundle.tar.003"]
    assert [(folder / name).stat().st_size for name in names[:2]] == [1 << 20] * 2
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    joined = verify.join(folder, tmp_path / "joined")
    assert verify.damage(joined) == []
    assert (joined / "SHA256SUMS").read_bytes() == (bundle / "SHA256SUMS").read_bytes()
    pieces.split(bundle, 1 << 20)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "bundle.tar.002").unlink(), r"bundle\.tar\.002: the piece is missing"),
        (lambda f: flip(f / "bundle.tar.003"), r"bundle\.tar\.003: the piece is damaged"),
        (lambda f: os.truncate(f / "bundle.tar.001", 9), r"bundle\.tar\.001: the piece is damaged"),
        (lambda f: link(f, "bundle.tar.001", "/dev/zero"), r"bundle\.tar\.001: the piece is mis"),
        (
            lambda f: shutil.copy(f / "bundle.tar.001", f / "bundle.tar.002"),
            r"bundle\.tar\.002: the piece is damaged",
        ),
        (lambda f: (f / "PIECES.json").unlink(), r"PIECES\.json: is missing"),
        (lambda f: (f / "PIECES.json").write_text("{"), r"PIECES\.json: Expecting"),
    ],
)
def test_a_damaged_piece_is_refused_by_name(bundle, tmp_path, damage, says):
    folder = cut(bundle)
    damage(folder)
    with pytest.raises(verify.Unfit, match=says) as error:
        verify.join(folder, tmp_path / "joined")
    assert error.value.code == 4 and not (tmp_path / "joined").exists()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("700MB", 7 * 10**8),
        ("4GiB", 4 << 30),
        ("1.5 g", 15 * 10**8),
        ("2t", 2 * 10**12),
    ],
)
def test_a_size_is_read(text, size):
    assert pieces.size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-4GB", "4XB", "1e9", "10", "100KB", "4 GB each", "1i"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(Exception, match="--split"):
        pieces.size_of(text)


def laid(folder: Path, name: str) -> None:
    """Lay a file that would be imported in the place of Python's own module."""
    (folder / f"{name}.py").write_text('print("ran what was laid")\nraise SystemExit(0)\n')


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("argparse", ["-I"]),
        *((name, []) for name in ("argparse", "__future__", "tarfile", "typing")),
    ],
)
def test_no_file_of_a_bundle_stands_in_for_a_module_of_its_check(bundle, name, options):
    laid(bundle, name)
    told = subprocess.run(
        [sys.executable, *options, str(bundle / "verify.py"), str(bundle)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 4 and "ran" not in told.stdout
    assert f"{name}.py: was added" in told.stderr


def install(bundle: Path, cwd: Path, *options: str) -> subprocess.CompletedProcess:
    """Run a bundle's installer with sh."""
    command = ["sh", str(bundle / "install.sh"), "--python", sys.executable, *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["venv", "argparse"])
def test_the_installer_runs_no_file_of_the_working_directory_or_the_bundle(bundle, tmp_path, name):
    here = tmp_path / "here"
    here.mkdir()
    laid(here, name)
    laid(bundle, name)
    told = install(bundle, here, "--prefix", "there")
    assert told.returncode == 4 and "ran" not in told.stdout + told.stderr
    assert f"{name}.py: was added" in told.stderr and not (here / "there").exists()


PREFIXES = {
    "an empty one": ("", "--prefix is empty"),
    **{
        f"one with {mark}": (f"a {mark} b", "a path with")
        for mark in ('"', "$HOME", "`id`", "\\", "\n")
    },
    "a file": ("file", "no folder that you may write"),
    "below a file": ("file/opro", "no folder that you may write"),
    "a link that leads nowhere": ("lost/opro", "no folder that you may write"),
    "an installation": ("old", "something is installed there"),
}


@pytest.mark.parametrize("case", PREFIXES)
def test_a_prefix_that_can_not_be_is_refused_before_anything_is_read(bundle, tmp_path, case):
    prefix, says = PREFIXES[case]
    (tmp_path / "file").write_text("")
    (tmp_path / "lost").symlink_to("/nowhere/else")
    (tmp_path / "old" / "bin").mkdir(parents=True)
    before = sorted(tmp_path.iterdir())
    told = install(bundle, tmp_path, "--prefix", prefix)
    assert told.returncode == 2 and says in told.stderr, told
    assert "checking" not in told.stdout and told.stderr.startswith("install.sh: ")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.long
def test_an_installation_that_fails_leaves_nothing_and_may_be_tried_again(bundle, tmp_path):
    # The bundle brings no pip, so that its packages can't be installed.
    for _ in range(2):
        told = install(bundle, tmp_path, "--prefix", "opro")
        assert told.returncode == 2 and "packages could not be installed" in told.stderr
        assert not (tmp_path / "opro").exists()


def test_pieces_that_were_joined_are_taken_and_those_of_another_bundle_are_not(bundle, tmp_path):
    folder = cut(bundle)
    joined = verify.join(folder, tmp_path / "joined")
    assert verify.join(folder, tmp_path / "joined") == joined
    (joined / "SHA256SUMS").write_text("of another bundle")
    with pytest.raises(verify.Unfit, match="is there already; remove it") as caught:
        verify.join(folder, joined)
    assert caught.value.code == 2


def test_a_list_of_pieces_of_another_bundle_is_refused(bundle, tmp_path):
    folder = cut(bundle)
    head = json.loads((folder / "PIECES.json").read_text())
    (folder / "PIECES.json").write_text(json.dumps({**head, "sums": "0" * 64}))
    with pytest.raises(verify.Unfit, match="of another bundle than it says"):
        verify.join(folder, tmp_path / "joined")
    assert not list(tmp_path.glob("joined*"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_can_not_be_written_is_one_line(bundle, tmp_path, monkeypatch, number):
    folder = cut(bundle)

    def refused(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(verify, "unpack", refused)
    with pytest.raises(verify.Unfit, match=f"joined: can't be made.*{os.strerror(number)}"):
        verify.join(folder, tmp_path / "joined")
    assert not list(tmp_path.glob("joined*"))
