"""Check a bundle, and join one that came in pieces. It travels in the bundle as `verify.py`.

For: saying which file of a bundle is damaged, missing, added or a link; whether this machine is the
one it was made for; and putting pieces together. Not for: installing (install.sh), or anything that
needs more than Python 3.8's own library: this file runs where nothing is installed yet, so it
imports nothing of this package.

    python3 verify.py [FOLDER] [--expect SHA256] [--signers FILE --identity NAME] [--json]
    python3 verify.py --join PIECES --to FOLDER

Exit codes: 0 whole, 2 not for this machine or wrong arguments, 4 damaged.
"""

import sys

# No __future__: that, too, is a file, and what lies beside this one was not checked yet. Nothing of
# it may stand in for a module of Python's (sys is in the interpreter itself).
if __name__ == "__main__" and not getattr(sys.flags, "safe_path", sys.flags.isolated):
    del sys.path[0]

import argparse
import hashlib
import io
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

SUMS, SIGNATURE, HEAD = "SHA256SUMS", "SHA256SUMS.sig", "BUNDLE.json"
REQUIREMENTS, PIECES = "requirements.txt", "PIECES.json"
NAMESPACE = "opro-local-bundle"  # of the signature, so that one made for anything else is none
UNUSABLE, DAMAGED = 2, 4
CHUNK = 1 << 20
# A line of sha256sum: the digest, a space, a mark for text or binary, and the name.
LINE = re.compile(
    r"""
    (?P<sha256> [0-9a-f]{64} )
    [ ] [ *]
    (?P<name> [^\0\n\r\\]+ )
    """,
    re.VERBOSE,
)
# A line of requirements.txt: a package, its version and the digest of its one wheel.
PINNED = re.compile(
    r"""
    (?P<package> [\w.-]+ ) == (?P<version> [\w.+!-]+ )
    [ ] --hash=sha256: (?P<sha256> [0-9a-f]{64} )
    """,
    re.VERBOSE,
)
LIMIT = 64 << 20  # bytes of a list; a larger one is no list of ours


class Unfit(Exception):
    """The bundle can't be used: a line for the user and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def damage(folder: Path) -> "list[tuple[str, str]]":
    """Every file that is not as it was when the bundle was made, with what is wrong with it.

    Args:
        folder: the bundle.

    Returns:
        (name, what) pairs, sorted; empty where the bundle is whole.
    """
    try:
        listed = read_sums(folder)
    except Unfit as error:
        return [(SUMS, str(error))]
    faults = {}
    there = dict(entries(folder))
    for name, what in there.items():
        if what != "file":
            faults[name] = f"is {what}, and a bundle has none"
        elif name not in listed and name not in (SUMS, SIGNATURE):
            faults[name] = f"was added: {SUMS} does not list it"
    for name, sha256 in listed.items():
        if name not in there:
            faults[name] = "is missing"
        elif there[name] == "file" and digest(folder / name) != sha256:
            faults[name] = f"its bytes are not those that {SUMS} lists"
    if not faults:
        faults.update(disagreements(folder, listed))
    return sorted(faults.items())


def read_sums(folder: Path) -> "dict[str, str]":
    """The names that SHA256SUMS lists, with their digests. Raises Unfit where it is none."""
    listed: dict[str, str] = {}
    for number, line in enumerate(read_text(folder / SUMS).splitlines(), 1):
        fits = LINE.fullmatch(line)
        if not fits:
            raise Unfit(f"line {number} is no checksum and name", DAMAGED)
        name = fits["name"]
        if not is_inside(name):
            raise Unfit(f"line {number} names {name!r}, which leads out of the bundle", DAMAGED)
        if name in listed:
            raise Unfit(f"line {number} names {name!r} again", DAMAGED)
        listed[name] = fits["sha256"]
    if HEAD not in listed or REQUIREMENTS not in listed:
        raise Unfit(f"does not list {HEAD} and {REQUIREMENTS}", DAMAGED)
    return listed


def read_text(path: Path) -> str:
    """A small text file, not through a link. Raises Unfit."""
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise Unfit("is no regular file", DAMAGED)
        if state.st_size > LIMIT:
            raise Unfit(f"is larger than {LIMIT} bytes", DAMAGED)
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise Unfit("is missing", DAMAGED) from None
    except UnicodeDecodeError:
        raise Unfit("is not UTF-8", DAMAGED) from None
    except OSError as error:
        raise Unfit(f"can't be read ({error.strerror})", DAMAGED) from None


def is_inside(name: str) -> bool:
    """Whether a name with slashes stays in its folder."""
    parts = name.split("/")
    return bool(name) and not any(part in ("", ".", "..") for part in parts)


def entries(folder: Path) -> "Iterator[tuple[str, str]]":
    """Each name below a folder and what it is: `file`, `a link` or `a device`; folders are not
    told, for they hold nothing by themselves.
    """
    for place, folders, files in os.walk(str(folder)):
        for name in [*folders, *files]:
            path = Path(place) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            kind = "a link" if stat.S_ISLNK(mode) else "a device"
            kind = "file" if stat.S_ISREG(mode) else kind
            yield path.relative_to(folder).as_posix(), kind


def digest(path: Path) -> str:
    """The SHA-256 of a file; of one that can't be read, the reason."""
    sha256 = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                sha256.update(chunk)
    except OSError as error:
        return error.strerror or "can't be read"
    return sha256.hexdigest()


def disagreements(folder: Path, listed: "dict[str, str]") -> "dict[str, str]":
    """Where the bundle's two lists of wheels differ: what pip will ask for is what SHA256SUMS has.

    A wheel that was exchanged together with its line in SHA256SUMS shows here.
    """
    wheels = {name: sha256 for name, sha256 in listed.items() if name.startswith("wheels/")}
    pinned = {}
    for line in read_text(folder / REQUIREMENTS).splitlines():
        fits = PINNED.fullmatch(line)
        if fits:
            pinned[fits["sha256"]] = fits["package"]
        elif line and not line.startswith("#"):
            return {REQUIREMENTS: f"{line[:60]!r} is no package with its one digest"}
    faults = {}
    for name, sha256 in wheels.items():
        if sha256 not in pinned:
            faults[name] = f"{REQUIREMENTS} asks for another file"
    for sha256 in set(pinned).difference(wheels.values()):
        faults[REQUIREMENTS] = f"no wheel in {SUMS} is the one it asks for: {pinned[sha256]}"
    return faults


def read_head(folder: Path, name: str = HEAD) -> "dict[str, Any]":
    """What a bundle says of itself. Raises Unfit where it says nothing."""
    try:
        head = json.loads(read_text(folder / name))
    except (Unfit, ValueError) as error:
        raise Unfit(f"{name}: {error}", DAMAGED) from None
    if not isinstance(head, dict) or not isinstance(head.get("python"), str):
        raise Unfit(f"{name}: says no Python", DAMAGED)
    return head


def refuse_other_machine(head: "dict[str, Any]") -> None:
    """Raise Unfit where this Python or this machine is not the one the bundle was made for."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if head["python"] != python:
        raise Unfit(
            f"the bundle is for Python {head['python']}, this is {python}; "
            f"run it with python{head['python']}",
            UNUSABLE,
        )
    machine = f"{platform.system()} {platform.machine()}"
    if machine != f"Linux {head.get('machine')}":
        raise Unfit(
            f"the bundle is for Linux {head.get('machine')}, this is {machine}; "
            "make one with --platform",
            UNUSABLE,
        )
    library, version = platform.libc_ver()
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    if library != "glibc" or numbers < [2, int(head.get("glibc", 0))]:
        raise Unfit(
            f"the bundle is for glibc 2.{head.get('glibc')} or newer, this is "
            f"{library or 'another C library'} {version}; make one with an older --platform",
            UNUSABLE,
        )


def refuse_other_sums(folder: Path, expected: str) -> None:
    """Raise Unfit where SHA256SUMS is not the one that `opro-local bundle` printed."""
    there = digest(folder / SUMS)
    if expected and there != expected.lower():
        raise Unfit(f"{SUMS}: its SHA-256 is {there}, not {expected}", DAMAGED)


def refuse_unsigned(folder: Path, signers: str, identity: str) -> None:
    """Raise Unfit where SHA256SUMS is not signed by a key in the list of allowed signers."""
    if not signers:
        return
    program = shutil.which("ssh-keygen")
    if not program:
        raise Unfit("ssh-keygen is not here, so that no signature can be checked", UNUSABLE)
    if not (folder / SIGNATURE).is_file():
        raise Unfit(f"{SIGNATURE}: is missing; the bundle is not signed", DAMAGED)
    command = [program, "-Y", "verify", "-f", signers, "-I", identity, "-n", NAMESPACE]
    with (folder / SUMS).open("rb") as stream:
        command += ["-s", str(folder / SIGNATURE)]
        answer = subprocess.run(command, stdin=stream, capture_output=True, check=False)
    if answer.returncode:
        why = answer.stderr.decode("utf-8", "replace").strip().replace("\n", " ")
        raise Unfit(f"{SIGNATURE}: is no signature by {identity} ({why})", DAMAGED)


def join(pieces: Path, to: Path) -> Path:
    """Put the pieces of a bundle together, each of them checked first.

    Args:
        pieces: the folder that the pieces and PIECES.json were copied to.
        to: a folder that appears when all is there; one joined before of the same bundle is taken.

    Returns:
        The bundle's folder, `to`.

    Raises:
        Unfit: a piece is missing or damaged, or `to` is something else or can't be written.
    """
    head = read_head(pieces, PIECES)
    rows = head.get("pieces")
    if not isinstance(rows, list):
        raise Unfit(f"{PIECES}: lists no pieces", DAMAGED)
    if to.exists() or to.is_symlink():
        # Joined before, or what pieces of another bundle came to that lay here.
        if to.is_dir() and not to.is_symlink() and digest(to / SUMS) == head.get("sums"):
            return to
        raise Unfit(f"{to}: is there already; remove it, or name another folder", UNUSABLE)
    paths = [checked_piece(pieces, row) for row in rows]
    part = to.with_name(to.name + ".part")
    try:
        shutil.rmtree(str(part), ignore_errors=True)
        part.mkdir(parents=True)
        unpack_all(paths, part)
        if digest(part / SUMS) != head.get("sums"):
            raise Unfit(f"{PIECES}: the pieces are of another bundle than it says", DAMAGED)
        os.replace(str(part), str(to))
    except OSError as error:
        raise Unfit(f"{to}: can't be made ({error.strerror or error})", UNUSABLE) from None
    finally:
        shutil.rmtree(str(part), ignore_errors=True)
    return to


def unpack_all(paths: "list[Path]", folder: Path) -> None:
    """Unpack joined pieces as a stream: none is held in memory, and nothing is written twice.

    Raises:
        Unfit: they are no archive of files.
        OSError: the folder can't be written.
    """
    try:
        with tarfile.open(fileobj=Joined(paths), mode="r|") as archive:
            for member in archive:
                unpack(archive, member, folder)
    except tarfile.TarError as error:
        raise Unfit(f"{PIECES}: the pieces can't be unpacked ({error})", DAMAGED) from None


def checked_piece(folder: Path, row: Any) -> Path:
    """A piece's path. Raises Unfit where it is missing, a link or not what was written."""
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str) or not is_inside(name) or "/" in name:
        raise Unfit(f"{PIECES}: lists a piece without a plain name", DAMAGED)
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise Unfit(f"{name}: the piece is missing; copy it here too", DAMAGED)
    if digest(path) != row.get("sha256"):
        raise Unfit(f"{name}: the piece is damaged; copy it again", DAMAGED)
    return path


def unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one file of the joined archive. Raises Unfit for anything but a file inside."""
    if not member.isfile() or not is_inside(member.name):
        raise Unfit(f"{member.name}: the pieces hold something that is no file", DAMAGED)
    place = folder / member.name
    place.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None  # it is a file
    with source, place.open("xb") as stream:
        shutil.copyfileobj(source, stream, CHUNK)


class Joined(io.BufferedIOBase):
    """Several files read as one."""

    def __init__(self, paths: "list[Path]") -> None:
        self._rest = list(paths)
        self._stream: IO[bytes] | None = None

    def read(self, size: "int | None" = -1) -> bytes:
        """The next bytes, at most `size`; fewer only at the end."""
        pieces = []
        size = size if size is not None and size >= 0 else sys.maxsize
        while size > 0:
            if self._stream is None:
                if not self._rest:
                    break
                self._stream = self._rest.pop(0).open("rb")
            piece = self._stream.read(min(size, CHUNK))
            if not piece:
                self._stream.close()
                self._stream = None
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def check(folder: Path, expected: str, signers: str, identity: str) -> "dict[str, Any]":
    """What `verify.py` says of a bundle: `ok`, `damaged`, `sums`. Raises Unfit."""
    faults = damage(folder)
    if not faults:
        refuse_other_sums(folder, expected)
        refuse_unsigned(folder, signers, identity)
        refuse_other_machine(read_head(folder))
    damaged = [{"file": name, "what": what} for name, what in faults]
    return {"ok": not faults, "damaged": damaged, "sums": digest(folder / SUMS)}


def shown(text: str) -> str:
    """A text with what would command a terminal as an escape: a name may have been chosen so."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def main() -> int:
    """Check or join as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check a bundle of opro-local.")
    parser.add_argument("folder", nargs="?", default=str(Path(__file__).resolve().parent))
    parser.add_argument("--expect", default="", help="SHA-256 that SHA256SUMS must have")
    parser.add_argument("--signers", default="", help="ssh-keygen's file of allowed signers")
    parser.add_argument("--identity", default="opro-local", help="the signer's name in it")
    parser.add_argument("--join", default="", metavar="PIECES", help="folder with the pieces")
    parser.add_argument("--to", default="", help="with --join: the folder to make")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    try:
        if asked.join:
            to = asked.to or str(Path(asked.join) / "joined")
            print(join(Path(asked.join), Path(to)))
            return 0
        said = check(Path(asked.folder), asked.expect, asked.signers, asked.identity)
    except Unfit as error:
        print(f"verify.py: {shown(str(error))}", file=sys.stderr)
        return error.code
    if asked.json:
        print(json.dumps(said, indent=2))
    elif said["ok"]:
        print(f"ok: {said['sums']}  {SUMS}")
    for fault in said["damaged"]:
        print(f"verify.py: {shown(fault['file'])}: {fault['what']}", file=sys.stderr)
    return 0 if said["ok"] else DAMAGED


if __name__ == "__main__":
    sys.exit(main())
