"""CSV and TSV files as people and programs write them: the dialect, the header, the rows.

For: rows as they are written, each with its line, and rows that are no rows. Not for: encodings
(text_file.py), or which columns are needed (table.py).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opro_local.errors import DataError, UsageError
from opro_local.tasks.rows import BY_ITSELF, MAX_FIELD, Row, Table, TableFormat
from opro_local.tasks.text_file import read_text

QUOTE_HINT = 'double the quotes inside a quoted field ("") and close it with one quote'
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
# A quote after a separator and a space: the field is meant to be quoted.
SPACED_QUOTE = re.compile(r"[,;|\t][ ]+\"")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file divides its records into fields.

    Attributes:
        delimiter: one character.
        quoted: whether a quote at a field's start encloses it; in raw TSV it is a character.
        spaced: whether spaces before a field are skipped, so that a quote may follow them.
    """

    delimiter: str
    quoted: bool = True
    spaced: bool = False

    def notice(self) -> str:
        """What is unusual about it, in words."""
        name = next((n for n, sign in DELIMITERS.items() if sign == self.delimiter), "")
        parts = [f"fields are divided by {name or repr(self.delimiter)}"]
        if not self.quoted:
            parts.append("quotes are characters like others")
        if self.spaced:
            parts.append("spaces before a field are skipped")
        return ", ".join(parts)


def delimiter_of(name: str) -> str:
    """The character that a setting names: itself, "tab", "comma", "semicolon" or "pipe".

    Raises:
        UsageError: it is neither, or a character that can't divide fields.
    """
    sign = DELIMITERS.get(name, name.replace("\\t", "\t"))
    if len(sign) != 1 or sign in '"\r\n\0 ':
        accepted = f"one character, or {', '.join(DELIMITERS)}"
        raise UsageError(f"task.delimiter is {name!r}", f"accepted: {accepted}")
    return sign


def records(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """The records of a CSV file that are not blank, each with the line on which it starts, counted
    from 1.

    Raises:
        DataError: the file can't be read, or a quote is not closed.
    """
    text = read_text(path)
    with _long_fields():
        return list(_records(path, text, Dialect(delimiter)))


def read_csv(path: Path, file_format: TableFormat = BY_ITSELF) -> Table:
    """The table in a CSV or TSV file; rows of another length than the header are its bad rows.

    The delimiter is the format's, else what the file's name says (a tab for .tsv, a comma for
    .csv); where records don't agree in length with it and do with another usual dialect, that one
    is taken and a notice says so.

    Raises:
        DataError: the file can't be read, or a quoted field is never closed.
    """
    text = read_text(path, file_format.encoding)
    usual = Dialect("\t" if path.suffix.lower() == ".tsv" else ",")
    if file_format.delimiter is not None:
        usual = Dialect(delimiter_of(file_format.delimiter))
    with _long_fields():
        dialect = _choose(path, text, usual, fixed=file_format.delimiter is not None)
        table = _table(path, _records(path, text, dialect))
    if dialect == usual:
        return table
    notice = f"{path}: {dialect.notice()}"
    return Table(table.where, table.columns, table.rows, table.bad, table.repeated, (notice,))


def _choose(path: Path, text: str, usual: Dialect, fixed: bool) -> Dialect:
    """The dialect in which all records agree in length; the usual one where none is, or several."""
    spaced = Dialect(usual.delimiter, spaced=True)
    raw = Dialect(usual.delimiter, quoted=False)
    if SPACED_QUOTE.search(text) and _agrees(path, text, spaced):
        return spaced
    if _agrees(path, text, usual):
        return usual
    candidates = [raw] if usual.delimiter == "\t" else []
    if not fixed:
        candidates += [Dialect(sign) for sign in DELIMITERS.values() if sign != usual.delimiter]
    agreeing = [each for each in candidates if _agrees(path, text, each)]
    return agreeing[0] if len(agreeing) == 1 else usual


def _agrees(path: Path, text: str, dialect: Dialect) -> bool:
    """Whether every record has as many fields as the header, and more than one."""
    try:
        lines = _records(path, text, dialect)
        _, header = next(lines)
        return len(header) > 1 and all(len(fields) == len(header) for _, fields in lines)
    except DataError:
        return False


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        # The limit belongs to the whole process.
        csv.field_size_limit(before)


def _table(path: Path, lines: Iterator[tuple[int, list[str]]]) -> Table:
    line, header = next(lines)
    header = [name.strip() for name in header]
    repeated = {name: count for name, count in Counter(header).items() if count > 1}
    columns = tuple(name for name in header if name not in repeated)
    rows, bad = [], []
    for number, fields in lines:
        if len(fields) != len(header):
            bad.append(_wrong_length(f"{path}:{number}", len(fields), len(header)))
            continue
        values = dict(zip(header, fields, strict=True))
        for name in repeated:
            del values[name]
        rows.append(Row(f"{path}:{number}", values))
    return Table(f"{path}:{line}", columns, rows, tuple(bad), repeated)


def _wrong_length(where: str, fields: int, header: int) -> DataError:
    hint = "add what is missing"
    if fields > header:
        hint = "quote fields that hold the separator"
    return DataError(f"{where}: {fields} fields where the header has {header}", hint)


def _records(path: Path, text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    # strict: without it a quote that is never closed swallows the rest of the file in silence.
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        skipinitialspace=dialect.spaced,
        strict=True,
    )
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _csv_error(f"{path}:{start}", str(error)) from None
        if fields:
            yield start, fields


def _csv_error(where: str, message: str) -> DataError:
    if "field limit" in message:
        what = f"a field is too large (more than {MAX_FIELD:,} characters)"
        return DataError(f"{where}: {what}", "shorten it, or close the quote it starts with")
    if "unexpected end" in message:
        return DataError(f"{where}: a quoted field is never closed", QUOTE_HINT)
    return DataError(f"{where}: text follows a closing quote", QUOTE_HINT)
