"""Finds the SQL statement in what a model wrote.

For: where a statement begins and ends, and whether it fixes the order of its rows. Not for: whether
it is right, or even SQL; a statement that does not run is still a statement.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from opro_local.scoring.reading.marks import first_turn

# Longer statements are not run (process.Limits), so nothing behind this many characters is
# looked at.
MAX_CHARACTERS = 20_000

# A table's name, bare or quoted in one of SQLite's three ways.
NAME = r"""(?: \w+ | "[^"\n]{1,80}" | `[^`\n]{1,80}` | \[ [^\]\n]{1,80} \] )"""
# What "select" goes on with in prose: "Select the names ...", and not "SELECT a, b FROM".
PROSE_AFTER = (
    r"\s+ (?: the | an? | your | which | each | those | one | any ) \s+ (?! FROM\b | AS\b ) \w"
)
# How a statement begins. CREATE is not among them: small models repeat the schema before they
# answer.
START = rf"""(?:
    SELECT \b (?! {PROSE_AFTER} )
  | VALUES \s* \(
  | WITH \s+ (?: RECURSIVE \s+ )? {NAME} \s*    # WITH name (columns) AS
    (?: \( [^()]{{0,400}} \) \s* )? AS \b
  | (?: INSERT | REPLACE ) \s+ (?: OR \s+ \w+ \s+ )? INTO \b
  | UPDATE \s+ (?: OR \s+ \w+ \s+ )? {NAME} \s+ SET \b
  | DELETE \s+ FROM \b
  | (?: DROP | ALTER ) \s+ (?: TABLE | VIEW | INDEX | TRIGGER ) \b
  | (?: ATTACH | DETACH ) \s+ (?: DATABASE \b | ['"] )
  | PRAGMA \s+ \w
  | VACUUM \s* (?: ; | \Z | INTO \b )
  | EXPLAIN \s+ (?: QUERY | SELECT | WITH ) \b
)"""
FLAGS = re.IGNORECASE | re.MULTILINE | re.VERBOSE
BEGINS = re.compile(START, FLAGS)
# A block of code, closed or cut off.
FENCE = re.compile(
    r"""
    ``` [ \t]*
    (?: (?: sqlite3? | sql | mysql | mariadb | postgres (?: ql )? | psql | tsql | text ) \b )?
    \s*
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
# A line of prose below a statement, or of Markdown: "This returns ...", "**Explanation:**", "---".
PROSE = re.compile(
    r"""
    [ \t]*
    (?:
        (?! (?i: AS | ASC | DESC | CASE | WHEN | THEN | ELSE | END | IN | NOT | IS | LIKE | GLOB
            | BETWEEN | EXISTS | DISTINCT | COLLATE | SET | RETURNING | INTO | FILTER | OVER
            | PARTITION | USING | OUTER | ALL | FROM | WHERE | GROUP | HAVING | ORDER | LIMIT
            | OFFSET | WINDOW | VALUES | SELECT | UNION | INTERSECT | EXCEPT | JOIN | LEFT | RIGHT
            | FULL | INNER | CROSS | NATURAL | ON | AND | OR | BY | WITH ) \b )
        [A-Z][a-z']{1,20} (?: [ ] (?! (?i: AS | ASC | DESC ) \b ) [a-z'A-Z]{1,20} \b | : )
        (?! [ ]? [.=(] )
      | [*]{2} [A-Za-z]
      | \#{1,4} [ ]
      | [-]{3}
      | > [ ]
    )
    """,
    re.VERBOSE,
)
# After these a statement goes on, whatever the next line looks like.
UNFINISHED = re.compile(
    r"""
    (?: [,(=<>+*/|-]
      | \b (?: SELECT | DISTINCT | FROM | WHERE | BY | HAVING | AND | OR | NOT | ON | AS | IN | LIKE
            | JOIN | SET | VALUES | UNION | ALL | INTERSECT | EXCEPT | BETWEEN | THEN | ELSE | WHEN
            | CASE | LIMIT | OFFSET | INTO | IS ) )
    \s* \Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What another query stands behind.
COMBINED = re.compile(r"\b(?:UNION|ALL|INTERSECT|EXCEPT|AS)\s*\(*\s*\Z|\(\s*\Z", re.IGNORECASE)
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
    """The last SQL statement in an answer, without its semicolon and what follows it; None if
    there is none.

    Looked for in this order: the last ``` block that begins with a statement; after "SQL:",
    "Query:" or "Answer:"; at the answer's beginning; at the beginning of a line; anywhere. It ends
    at the first semicolon, at the end of its block or inline code, at a line of prose, at a blank
    line that no clause follows, or with the answer. Of statements with prose between them the last
    counts; of several with nothing between them, a script, the first.
    """
    answer = first_turn(answer[:MAX_CHARACTERS])
    blocks = [block for block in FENCE.finditer(answer) if BEGINS.match(block["code"])]
    if blocks:
        code = blocks[-1]["code"]
        return code[: _end(code, prose=False)].strip() or None
    for sign in SIGNS:
        if start := sign.search(answer):
            return _last(answer, sign, start)
    return None


def _last(answer: str, sign: re.Pattern[str], start: re.Match[str]) -> str | None:
    """The last statement that begins with a sign, from the first one on."""
    while True:
        rest = answer[start.end() :]
        if answer[: start.end()].endswith("`"):
            # Inline code ends with its backtick.
            rest = rest.partition("`")[0]
        end = _end(rest, prose=True)
        following = sign.search(answer, start.end() + end)
        if not following or not answer[start.end() + end : following.start()].strip("; \n\t`"):
            return rest[:end].strip() or None
        start = following


def _end(text: str, prose: bool) -> int:
    """Where the statement at a text's beginning ends; in prose a line of it may be that end."""
    depth = 0
    for token in TOKEN.finditer(text):
        word = token[0]
        if word == ";" or text.startswith("```", token.start()):
            return token.start()
        depth += (word == "(") - (word == ")")
        is_break = prose and depth <= 0 and word.isspace() and "\n" in word
        if is_break and _stops(text, token.start(), token.end(), word.count("\n") > 1):
            return token.start()
    return len(text)


def _stops(text: str, at: int, following: int, is_blank: bool) -> bool:
    """Whether a statement is over at a line's end."""
    before = text[max(0, at - 40) : at]
    if is_blank:
        clause = CLAUSE.match(text, following)
        if not clause:
            return True
        if clause[0].upper() == "SELECT":
            return not COMBINED.search(before)
    return not UNFINISHED.search(before) and PROSE.match(text, following) is not None


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
