"""What an answer says under the paper's scoring rule: how google-deepmind/opro cuts an answer down
to what it compares.

For: reading answers exactly as the paper's evaluation did (commit e81b2f57), oddities included, in
linear time. Not for: verdicts (opro.py), or reading answers well (numbers.py and its neighbours).
Every reading is in lower case and may be empty.
"""

from __future__ import annotations

import re
import string
from itertools import chain

# A model that goes on with a question of its own has finished its answer; the words for it in the
# paper's languages.
NEXT_QUESTION = (
    "q:",
    "question:",
    "question :",
    "frage:",
    "pregunta:",
    "swali:",
    "задача:",
    "প্রশ্ন:",
    "ప్రశ్న:",
    "โจทย์:",
    "問題：",
    "问题：",
)

# What stands before an answer. Each is looked for in what the one before it left, so the order
# matters.
ANSWER_HEADINGS = (
    "ধাপে ধাপে উত্তর: ",
    "schritt-für-schritt-antwort: ",
    "step-by-step answer: ",
    "respuesta paso a paso: ",
    "réponse étape par étape : ",
    "ステップごとの答え：",
    "пошаговое решение: ",
    "jibu la hatua kwa hatua: ",
    "దశలవారీగా సమాధానం: ",
    "คำตอบทีละขั้นตอน: ",
    "逐步解答：",
    "#### ",
)
ANSWER_PHRASES = ("answer is ", "answer: ", "answer is: ")
WEAK_PHRASES = ("is: ", "are: ")
# What stands after an answer.
CLOSING_PHRASES = (
    " is the correct answer",
    " is the right answer",
    " is the final answer",
    " is the answer",
)
RATIONALE = "this is the solution:"

# In this order, as text and not as words: "none" holds a "one" and "seventeen" a "seven". Longer
# words that start with an earlier one ("sixty", "fourteen") never get their turn.
NUMBER_WORDS = (
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
)
NUMBER_SIGNS = re.compile("[$,%€£]")
DIGITS = re.compile(r"\d+")
BRACKETED = re.compile(r"\([a-z]\)")

BOOLEANS = {
    "false": "false",
    "true": "true",
    "no": "false",
    "yes": "true",
    "invalid": "false",
    "valid": "true",
}
BITS = {"0": "false", "1": "true"}
PUNCTUATION = str.maketrans("", "", string.punctuation)


def read(kind: str, answer: str) -> str:
    """The reading of an answer to the scorer's own prompt, as the paper compares it with the
    target.

    Args:
        kind: number, boolean, choice or text; choices are read as text.
        answer: the model's raw output.

    Returns:
        Lower-case text of one line; "" where nothing is left.
    """
    return first_line(normalized(kind, answer))


def read_second(kind: str, answer: str) -> str:
    """The reading of an answer to the second prompt: its first line is taken before it is
    normalised, not after.
    """
    return normalized(kind, first_line(answer))


def first_line(text: str) -> str:
    """The text without colons and then whitespace around it, up to the end of the line and to a
    "Q:".
    """
    return text.strip(":").strip().partition("\n")[0].partition("Q:")[0]


def normalized(kind: str, answer: str) -> str:
    """The statement in an answer, in the form of its kind."""
    said, announced = statement(answer)
    if kind == "number":
        return number_in(said, announced)
    if kind == "boolean":
        return boolean_in(said, announced)
    return said.partition(".")[0]


def statement(answer: str) -> tuple[str, bool]:
    """The part of an answer that states the result, and whether a phrase such as "the answer is"
    announced it.

    It stands before the next question, behind the last announcement and before a closing phrase
    such as " is the answer", without full stops and then apostrophes at its end; see also
    `only_bracket`.
    """
    # The choice of phrases looks at the answer as written, the search for them at small letters:
    # after "Answer: 5" alone, "answer: " is no phrase.
    is_clear = any(phrase in answer for phrase in ANSWER_PHRASES)
    phrases = ANSWER_PHRASES if is_clear else WEAK_PHRASES
    said = answer.lower().strip()
    for opening in NEXT_QUESTION:
        said = said.partition(opening)[0]
    announced = False
    for phrase in chain(ANSWER_HEADINGS, phrases):
        _, announcement, after = said.rpartition(phrase)
        if announcement:
            said, announced = after, True
    for phrase in CLOSING_PHRASES:
        said, closing, _ = said.partition(phrase)
        announced = announced or bool(closing)
    said = said.strip().partition(RATIONALE)[0].rstrip(".").rstrip("'")
    return only_bracket(said), announced


def only_bracket(said: str) -> str:
    """The first bracket that closes on its own line if just one of "(a)" to "(z)" appears;
    otherwise the whole text.

    That bracket need not be the letter: "(I think) (b)" becomes "(i think)".
    """
    named = BRACKETED.search(said)
    if not named or BRACKETED.search(said.replace(named[0], "\0")):
        return said
    # No expression: on a line of nothing but "(" it would take quadratic time.
    for line in said.split("\n"):
        start = line.find("(")
        end = line.find(")", start)
        if 0 <= start < end:
            return line[start : end + 1]
    return said


def number_in(said: str, announced: bool) -> str:
    """The number of a statement, rounded half to even to a whole one: "16.4" is "16" and "nan"
    stays "nan".

    It is looked for behind the last "=" and before the first ":" there, without $ , % € £, with
    number words as digits.
    A token that is no number gives the last digits of its first line that has digits, and else
    itself: "no" or "".
    """
    said = NUMBER_SIGNS.sub("", said.rpartition("=")[2]).partition(":")[0].strip()
    for word, digits in NUMBER_WORDS:
        said = said.replace(word, digits)
    token = without_unit(number_token(said, announced))
    try:
        return f"{float(token):.0f}"
    except ValueError:
        return last_digits(token)


def number_token(said: str, announced: bool) -> str:
    """The first token that is not all letters, or the last one if no phrase announced the
    statement.

    Tokens stand between single spaces, so two spaces have an empty token between them, which counts
    as no letters. Where all tokens are words it is the first, or the last.
    """
    tokens = said.split(" ")
    if not announced:
        tokens.reverse()
    return next((token for token in tokens if not token.isalpha()), tokens[0])


def without_unit(token: str) -> str:
    """The token without the letters at its end, and without one hyphen before them: "823-yard" is
    "823".
    """
    end = len(token)
    while end and token[end - 1].isalpha():
        end -= 1
    return token[:end].removesuffix("-")


def last_digits(token: str) -> str:
    """The last run of digits, of any script, on the first line that has one; the token itself
    without any.
    """
    for line in token.split("\n"):
        if runs := DIGITS.findall(line):
            return runs[-1]
    return token


def boolean_in(said: str, announced: bool) -> str:
    """A Boolean word: the one the statement is, that of its 0 or 1, or else the statement without
    ASCII punctuation.

    The statement ends at its first full stop only where it is one of the six words by then.
    """
    sentence = said.partition(".")[0]
    if sentence in BOOLEANS:
        return sentence
    said = BITS.get(sentence) or BITS.get(number_in(said, announced)) or said
    return without_punctuation(said)


def without_punctuation(text: str) -> str:
    """The text without ASCII punctuation anywhere and without whitespace around it."""
    return text.translate(PUNCTUATION).strip()
