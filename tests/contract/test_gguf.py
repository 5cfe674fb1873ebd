"""What converting a GGUF file refuses, and that it leaves nothing half-made."""

import zipfile

import pytest

from opro_local import gguf
from opro_local.errors import ModelError, UsageError


def wheel(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"GGUF and then nothing a reader understands")
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


@pytest.mark.parametrize("name", ["a.gguf", "../../a.gguf"])
def test_a_damaged_file_leaves_nothing(tmp_path, name):
    pytest.importorskip("gguf")
    with pytest.raises(ModelError, match="does not load"):
        gguf.convert(wheel(tmp_path / "x.whl", name), tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing(tmp_path, monkeypatch):
    def stopped(source, folder):
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "_dequantize", stopped)
    with pytest.raises(KeyboardInterrupt):
        gguf.convert(wheel(tmp_path / "x.whl", "a.gguf"), tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []
