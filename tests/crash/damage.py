"""Ways to damage a file, and stores to damage, for the tests beside this file."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def flip_bit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def change_byte(path: Path, rng: random.Random) -> None:
    """Another byte where there is one already: in text rather than in empty space."""
    content = bytearray(path.read_bytes())
    place = rng.choice([i for i, byte in enumerate(content) if byte])
    content[place] = rng.choice([byte for byte in range(256) if byte != content[place]])
    path.write_bytes(content)


def change_digit(path: Path, rng: random.Random) -> None:
    """A digit for another one, as somebody may who wants a better score."""
    content = bytearray(path.read_bytes())
    place = rng.choice([i for i, byte in enumerate(content) if chr(byte).isdigit()])
    content[place] = 48 + (content[place] - 48 + rng.randrange(1, 10)) % 10
    path.write_bytes(content)


def zero_page(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    page = rng.randrange(max(1, len(content) // 4096)) * 4096
    content[page : page + 4096] = bytes(len(content[page : page + 4096]))
    path.write_bytes(content)


def swap_pages(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    pages = [content[i : i + 4096] for i in range(0, len(content), 4096)]
    one, other = rng.randrange(len(pages)), rng.randrange(len(pages))
    pages[one], pages[other] = pages[other], pages[one]
    path.write_bytes(b"".join(pages))


def truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def overwrite(path: Path, rng: random.Random) -> None:
    """A stretch of other bytes."""
    content = bytearray(path.read_bytes())
    place, length = rng.randrange(len(content)), rng.randrange(1, 200)
    content[place : place + length] = rng.randbytes(len(content[place : place + length]))
    path.write_bytes(content)


def replace_whole(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(path.stat().st_size))


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def newer_schema(path: Path, rng: random.Random) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version={rng.randrange(90, 99)}")
    raw.close()


def other_program(path: Path, rng: random.Random) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA application_id={rng.randrange(1, 99)}")
    raw.close()


ANY: tuple[Damage, ...] = (
    *(flip_bit, flip_bit, change_byte, change_byte, change_byte, change_digit, change_digit),
    *(zero_page, swap_pages, truncate, overwrite, replace_whole, remove),
)
OF_DATABASES: tuple[Damage, ...] = (*ANY, newer_schema, other_program)
