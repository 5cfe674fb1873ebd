"""Finds the SQL statement in what a model wrote.

For: where a statement begins and ends, and whether it fixes the order of its rows. Not for: whether
it is right, or even SQL; a statement that does not run is still a statement.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

# Longer statements are not run (process.Limits), so nothing behind this many characters is
# looked at.
MAX_CHARACTERS = 20_000

# A table's name, bare or quoted in one of SQLite's three ways.
NAME = r"""(?: \w+ | "[^"\n]{1,80}" | `[^`\n]{1,80}` | \[ [^\]\n]{1,80} \] )"""
# How a statement begins. CREATE is not among them: small models repeat the schema before they
# answer.
START = rf"""(?:
    SELECT \b
  | VALUES \s* \(
  | WITH \s+ (?: RECURSIVE \s+ )? {NAME} \s*    # WITH name (columns) AS
    (?: \( [^()]{{0,400}} \) \s* )? AS \b
  | (?: INSERT | REPLACE ) \s+ (?: OR \s+ \w+ \s+ )? INTO \b
  | UPDATE \s+ (?: OR \s+ \w+ \s+ )? {NAME} \s+ SET \b
  | DELETE \s+ FROM \b
  | (?: DROP | ALTER ) \s+ (?: TABLE | VIEW | INDEX | TRIGGER ) \b
  | (?: ATTACH | DETACH | PRAGMA | VACUUM | EXPLAIN ) \b
)"""
FLAGS = re.IGNORECASE | re.MULTILINE | re.VERBOSE
BEGINS = re.compile(START, FLAGS)
# A block of code, closed or cut off.
FENCE = re.compile(
    r"""
    ``` [ \t]*
    (?: sqlite3? \b | sql \b )? \s*
    (?P<code> .*? )
    (?: ``` | \Z )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
# What names a statement before it: "SQL: ", "SQL query: `", "**Answer:** ".
NAMED = r"\b (?: SQL (?: ite )? (?: [ ] (?: query | statement ) )? | query | answer ) [*_]* : [*_]*"
# Where else a statement may begin, the surest sign first. Capitals go before small letters, because
# "select" and "with" are words of prose.
SIGNS = (
    re.compile(rf"{NAMED} [ \t`\n]* (?= {START} )", FLAGS),
    # Where the answer begins.
    re.compile(rf"\A [\s>*_`(]* (?= {START} )", FLAGS),
    # Where a line begins, in capitals and then in any case.
    re.compile(rf"^ [ \t>*_`]* (?= {START} )", re.MULTILINE | re.VERBOSE),
    re.compile(rf"^ [ \t>*_`]* (?= {START} )", FLAGS),
    # Anywhere.
    re.compile(rf"\b (?= {START} )", re.MULTILINE | re.VERBOSE),
    re.compile(rf"\b (?= {START} )", FLAGS),
)
# SQL piece by piece; what is opened and never closed reaches to the end.
TOKEN = re.compile(
    r"""
    -- [^\n]*                               # a comment to the end of its line
  | /\* .*? (?: \*/ | \Z )                  # a comment
  | ' [^']* (?: '' [^']* )* (?: ' | \Z )    # a text, with '' for a quote in it
  | " [^"]* (?: "" [^"]* )* (?: " | \Z )    # a quoted name
  | ` [^`]* (?: ` | \Z )                    # a name quoted as MySQL does
  | \[ [^\]]* (?: \] | \Z )                 # a name quoted as SQL Server does
  | \s+
  | \w+
  | .
    """,
    re.DOTALL | re.VERBOSE,
)
# What a statement goes on with: a blank line before one of these does not end it.
CLAUSE = re.compile(
    r"""
    (?:
        FROM | WHERE | GROUP | HAVING | ORDER | LIMIT | OFFSET | WINDOW | VALUES | SELECT
      | UNION | INTERSECT | EXCEPT
      | JOIN | LEFT | RIGHT | FULL | INNER | CROSS | NATURAL | ON
      | AND | OR
    ) \b
  | [(),]
    """,
    re.IGNORECASE | re.VERBOSE,
)


def statement(answer: str) -> str | None:
    """The first SQL statement in an answer, without its semicolon and what follows it; None if
    there is none.

    Looked for in this order: a ``` block that begins with a statement; after "SQL:", "Query:" or
    "Answer:"; at the answer's beginning; at the beginning of a line; anywhere. It ends at the first
    semicolon, at the end of its block or inline code, at a blank line that no clause follows, or
    with the answer.
    """
    answer = answer[:MAX_CHARACTERS]
    for block in FENCE.finditer(answer):
        if BEGINS.match(block["code"]):
            return _cut(block["code"], prose=False)
    for sign in SIGNS:
        if start := sign.search(answer):
            rest = answer[start.end() :]
            if answer[: start.end()].endswith("`"):
                # Inline code ends with its backtick.
                rest = rest.partition("`")[0]
            return _cut(rest, prose=True)
    return None


def _cut(text: str, prose: bool) -> str | None:
    """The text up to the statement's end; in prose a blank line may be that end."""
    depth, end = 0, len(text)
    for token in TOKEN.finditer(text):
        word = token[0]
        if word == ";" or text.startswith("```", token.start()):
            end = token.start()
            break
        depth += (word == "(") - (word == ")")
        is_blank_line = word.isspace() and word.count("\n") > 1
        if prose and depth <= 0 and is_blank_line and not CLAUSE.match(text, token.end()):
            end = token.start()
            break
    return text[:end].strip() or None


def words(sql: str) -> Iterator[tuple[str, int]]:
    """The statement's bare words and brackets in capitals, each with the depth of brackets around
    it.
    """
    depth = 0
    for token in TOKEN.finditer(sql):
        depth -= token[0] == ")"
        if token[0][0].isalpha() or token[0] in "()":
            yield token[0].upper(), depth
        depth += token[0] == "("


def is_ordered(sql: str) -> bool:
    """Whether the statement itself, not only a part in brackets, has an ORDER BY."""
    outer = [word for word, depth in words(sql) if depth == 0]
    return any(pair == ("ORDER", "BY") for pair in itertools.pairwise(outer))
