r"""Which number of an unmarked answer is its answer: the one it begins with, the one beside a word
such as "Rating", or the one it comes to.

For: "4 out of 5 because ...", "Rating: 2. It took 3 hours", "So 42 jars are left". Not for: marked
answers (numbers.py, marks.py), or how numbers are written (notation.py). Where two readings remain,
as in "It took 3 hours, so 2 stars from all 5 of us", nothing is read: `AMBIGUOUS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from opro_local.scoring.reading import notation, numerals, rivals, steps

AMBIGUOUS = notation.AMBIGUOUS
# Characters that are read at once from the end of an answer, and those that a number may be long.
# Both keep the work linear.
LONGEST = 400
WINDOW = 5 * LONGEST

# How an answer begins with a number: quotes, Markdown, a word of approximation, a currency.
LEAD = re.compile(
    rf"""
    [\s>*_`"'“„«(\[]{{0,8}}
    (?:
        (?: approximately | approx\.? | about | around | roughly | nearly | almost | circa | ca\.?
          | etwa | ungefähr | environ | unos | circa | 约 | 大约 | 約 ) \s?
      | [~≈]\s?
    )?
    [-−–—+]?
    (?: {notation.MONEY} [ ]? )?
    [-−–+]? \.?
    (?= \d )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What ends the statement that a number began: "2 stars. ...", "2 (very slow)", "2 - the food",
# "2 because".
STATED = re.compile(
    rf"""
    [*_`"'”“»)\]]{{0,4}}
    (?: [ ]? (?: [%％°] | percent \b | {notation.MONEY} | [/] [ ]? \d{{1,4}} (?! [\d/] ) ) )?
    (?: [ ] (?: out [ ] of | of | von | sur | de | su | из ) [ ] \d{{1,4}} )?
    (?: [ ] [^\W\d_]{{1,15}} ){{0,3}}
    (?: [ ] (?: out [ ] of | of | von | sur | de | su | из ) [ ] \d{{1,4}} )?
    [*_`"'”“»)\]]{{0,4}}
    (?:
        \s* \Z
      | [ \t]* \n
      | [.!。！] [*_"')]{{0,3}} (?: \s | \Z )
      | [ ]? [(（\[]
      | [ ] [-–—−] [ ] (?! \d )
      | [ ]? [;:] [ ]
      | ,? [ ] (?: because | since | as | due | given | considering | for | weil | da | denn | car
                 | parce | porque | pues | perché | omdat | eftersom | ponieważ ) \b
      | 个 | 分 | 颗 | つ | 点 | 개 | 점 | 元 | 円
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A field of an answer: "Rating: 4", "**Total**: $5", "评分：4".
FIELD = re.compile(
    r"""
    (?: ^ | (?<= [.;,|!?({…] ) | (?<= [.;,|!?…—–][ ] ) )
    [\s*_>#"'-]{0,6}
    (?P<name> [^\W\d_] [^\n:：.,;|=]{0,40}? )
    [*_"']{0,4}
    (?: [ ]? [:：=] | (?P<verb> [ ] (?: is | was | would [ ] be | ist | est | es | è | é ) [ ] ) )
    [ *_"'`]{0,6}
    (?= [-−–—+$€£¥₹~≈ ]{0,4} (?: [A-Z]{3} [ ]? )? \.? \d )
    """,
    re.MULTILINE | re.VERBOSE,
)
# What is said to be a number in a sentence only where it is nothing else: "The rating is 3".
RATED = re.compile(
    r"""
    \b (?: rating | score | stars | grade | mark | prediction | label | class | bewertung | note
      | puntuación | calificación | valoración | nota | punteggio | voto | avaliação | pontuação
      | évaluation | beoordeling | cijfer ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Names of fields that are the answer, of those that never are, and of those that count items.
ANSWERS = re.compile(
    r"""
    \b (?:
        rating | score | stars? | grade | mark | result | total | sum | answer | prediction
      | estimate | value | amount | price | count | number | output | label | class | final
      | bewertung | note | sterne | punkte | ergebnis | summe | gesamt \w* | preis | anzahl | betrag
      | note | résultat | évaluation | étoiles | prix | montant | somme | nombre
      | puntuación | calificación | valoración | resultado | nota | estrellas | precio | importe
      | punteggio | risultato | totale | voto | prezzo | valore
      | avaliação | pontuação | preço | valor | nota
      | beoordeling | cijfer | totaal | prijs
      | оценка | рейтинг | результат | итого? | сумма | цена | количество
    ) \b
  | 评分 | 評分 | 分数 | 得分 | 评级 | 总计 | 总价 | 总数 | 结果 | 价格 | 金额
  | 評価 | 点数 | 合計
  | 평점 | 점수 | 결과 | 합계
    """,
    re.IGNORECASE | re.VERBOSE,
)
TOTALS = re.compile(
    r"\b(?:total|final|overall|sum|answer|result|gesamt\w*|summe|ergebnis|somme|итого?)\b|合計|总计|합계",
    re.IGNORECASE,
)
# Of a total and a final one, the final one is the answer.
FINAL = re.compile(r"\b(?:final\w*|answer|endgültig\w*|définiti\w*|итоговый)\b", re.IGNORECASE)
ASIDE = re.compile(
    r"""
    \b (?: confidence | certainty | probability | sure | likelihood | step | vat | tax | year | page
         | version | date | time | tokens? | question | problem | example | option | schritt
         | étape | paso | шаг | konfidenz | sicherheit | mwst | confiance | confianza ) \b
  | 置信度 | 自信度 | 步骤 | 신뢰도
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What an answer adds to its number: "(incl. 19 % VAT)", "(confidence: 95 %)", "95 % sure".
ADDED = re.compile(
    r"""
    [(（\[] [^()（）\[\]\n]{0,80}
    (?: incl | excl | VAT | tax | MwSt | TVA | IVA | BTW | confiden | certain | probab | sure
      | likel | plus [ ] | net\b | gross\b | out [ ] of | based [ ] on | see [ ] | step | page
      | as [ ] of | Konfidenz | confian | 置信 | 确信 | 含税 )
    [^()（）\[\]\n]{0,80} [)）\]]
  | (?: ,? [ ] (?: incl\.? | including | excl\.? | plus | inkl\.? ) [ ] )
    \d{1,2} (?: [.,]\d )? [ ]? % (?: [ ] [A-Za-z]{2,5} )?
  | \b on [ ] a [ ] scale [ ] (?: of | from ) [ ] \d{1,3} (?: [ ]? (?: to | - | – ) [ ]? \d{1,3} )?
  | \b (?: with [ ] | I [ ] am [ ] | I'm [ ] )? (?: about [ ] | a [ ] )?
    \d{1,3} (?: \.\d{1,2} )? [ ]? % [ ] (?: sure | certain | confiden\w* | probab\w* | sicher )
  | \b (?: confidence | certainty | probability ) (?: [ ] (?: of | is | level | score ) )*
    [ ]? [:=]? [ ]? \d (?: [\d.]{0,6} ) [ ]? %?
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A part of each of these, because plain text is found faster.
ADDITIONS = ("%", "(", "[", "（", "onfiden", "ertain", "robab", "scale")
# Words after which only the result follows.
THEREFORE = re.compile(
    r"""
    \b (?:
        so | therefore | thus | hence | altogether | in [ ] (?: total | all ) | total
      | also | daher | somit | insgesamt | ergibt | donc | au [ ] total | en [ ] tout
      | por [ ] (?: lo [ ] )? tanto | en [ ] total | así [ ] que | portanto | no [ ] total | quindi
      | in [ ] totale | dus | in [ ] totaal | итого | значит | поэтому | всего | więc | razem
    ) \b
  | 所以 | 因此 | 一共 | 总共 | 總共 | したがって | よって | 合計 | 따라서
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Words with which an answer comes to its end, in the languages that people use.
CONCLUDES = re.compile(
    r"""
    \b (?:
        so | therefore | thus | hence | consequently | altogether | in [ ] (?: total | all | sum )
      | total | finally | overall | sum | result | left | remain\w* | leaves? | makes? | means
      | comes? [ ] (?: to | out ) | equals? | gives? | gets? | must [ ] be | conclude | we [ ] have
      | we [ ] end | end [ ] (?: up | with )
      | also | daher | somit | insgesamt | folglich | ergibt | macht | deshalb | bleiben | gesamt
      | donc | ainsi | au [ ] total | reste\w* | en [ ] tout
      | por [ ] (?: lo [ ] )? tanto | en [ ] total | así [ ] que | entonces | quedan? | resultado
      | portanto | logo | no [ ] total | quindi | dunque | in [ ] totale | dus | in [ ] totaal
      | итого | следовательно | значит | поэтому | всего | получаем | więc | razem | zatem
    ) \b
  | [=≈⇒→] | 所以 | 因此 | 一共 | 总共 | 總共 | 共有 | 剩下 | したがって | よって | 合計 | つまり
  | 따라서 | 그래서 | 총 | 남 | إذن | المجموع | इसलिए | कुल
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A calculation, as worked solutions show it.
WORKED = re.compile(
    r"\d\D{0,12}[=≈]|\d[^\S\n]?(?:[-+*/×÷−–]|\\times|\\cdot|times|plus|minus)[^\S\n]?[\d$]"
)
# A line that is a number and nothing else.
ALONE = re.compile(r"[ \t*_`$€£+−-]{0,6}\d[\d.,]{0,20}[ \t*_`%€$.]{0,6}")
SENTENCE_END = re.compile(r"[.!?。！？](?=\s|\Z|[^\x00-\x7f])|\n")


def first_said(answer: str, comma: bool) -> float | None:
    """The number with which an answer begins as its whole statement, or that of a field such as
    "Rating: 4"; None for other answers, `AMBIGUOUS` where what follows comes to another number.
    """
    head = notation.plain(answer[:WINDOW], comma)
    lead = LEAD.match(head)
    match = notation.NUMBER.match(head, lead.end()) if lead else None
    if lead and match is None:
        match = notation.NUMBER.search(head, lead.end(), lead.end() + LONGEST)
        match = match if match and match.start() == lead.end() else None
    if match and not rivals.UNFINISHED.match(head, match.end()):
        return _begun(head, match)
    return _field(head)


def _begun(head: str, match: re.Match[str]) -> float | None:
    """What an answer says that begins with a number."""
    value = notation.value_of(head, match)
    rest = head[match.end() :]
    if value is None or math.isnan(value) or rivals.has_rival(head, match.end(), value):
        return None
    if rivals.SECOND.match(head, match.end()):
        return AMBIGUOUS
    if rivals.LISTED.match(rest):
        # "2) blue" chooses; "1. Add 4" begins a list.
        others = notation.NUMBER.search(_without_asides(rest))
        is_list = re.search(r"\n[ \t*#]{0,6}\d{1,3}[.):]", rest)
        if not others:
            return value
        return None if is_list else AMBIGUOUS
    if not STATED.match(rest):
        return None
    if _has_other_line(rest, value):
        return AMBIGUOUS
    concluded = CONCLUDES.search(rest)
    if concluded and notation.NUMBER.search(_without_asides(rest[concluded.start() :])):
        later = last_said(rest, False)
        if later is not None and later == value:
            return value
        return AMBIGUOUS if notation.NUMBER.search(_without_scale(rest)) else value
    return value


def _has_other_line(rest: str, value: float) -> bool:
    """Whether the next line with anything is another number and nothing else: "5\\n6"."""
    line = rest.partition("\n")[2].lstrip().partition("\n")[0]
    number = notation.NUMBER.search(line) if ALONE.fullmatch(line) else None
    return number is not None and notation.value_of(line, number) != value


def _field(head: str) -> float | None:
    """The number of the field that is the answer; None without one, `AMBIGUOUS` where several
    are.
    """
    values: dict[str, float] = {}
    for field in FIELD.finditer(head):
        name = field["name"]
        named = RATED if field["verb"] else ANSWERS
        if ASIDE.search(name) or not named.search(name):
            continue
        match = notation.NUMBER.search(head, field.end(), field.end() + LONGEST)
        if match is None:
            continue
        value = notation.value_of(head, match)
        if rivals.has_rival(head, match.end(), value):
            equals = re.compile(r"[^\n.]{0,120}[=≈]").match(head, match.end())
            match = notation.NUMBER.search(head, equals.end()) if equals else None
            value = notation.value_of(head, match) if match else AMBIGUOUS
        if value is not None:
            values[name] = value
    for weightier in (TOTALS, FINAL):
        if len(set(values.values())) > 1:
            weighty = {name: value for name, value in values.items() if weightier.search(name)}
            values = weighty or values
    distinct = set(values.values())
    if not distinct:
        return None
    return distinct.pop() if len(distinct) == 1 else AMBIGUOUS


def last_said(answer: str, comma: bool) -> float | None:
    """The number that an answer comes to; words count where there are no digits."""
    # Windows from the end, because answers are long and the number wanted is near their end. A
    # number counts only in a window that shows what stands before it.
    for end in range(len(answer), 0, LONGEST - WINDOW + 2 * LONGEST):
        start = max(0, end - WINDOW)
        first = 2 * LONGEST + 1 if start else 0
        text = _without_asides(notation.plain(answer[start:end], comma))
        matches = [match for match in notation.NUMBER.finditer(text) if match.start() >= first]
        matches = _counted(text, matches)
        if matches:
            return _concluded(text, matches, is_part=bool(start))
    return _last_words(answer[-WINDOW:])


def _without_asides(text: str) -> str:
    """The text with what it adds to its numbers blanked out."""
    if any(sign in text for sign in ADDITIONS):
        return ADDED.sub(lambda aside: " " * len(aside[0]), text)
    return text


def _without_scale(text: str) -> str:
    """The text without the scale that a number before it is on: " out of 5. It ...", "/5"."""
    scale = re.compile(r"[ ]?/[ ]?\d+").match(text) or notation.OUT_OF.match(text)
    return _without_asides(text[scale.end() :] if scale else text)


def _counted(text: str, matches: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """The numbers that are amounts: not those that count a list's items, nor a number's scale."""
    kept: list[re.Match[str]] = []
    scale_at = -1
    for match in matches:
        if match.start() == scale_at or _is_listed(text, match) or _is_named(text, match):
            continue
        scale = notation.OUT_OF.match(text, match.end())
        scale_at = scale.start("scale") if scale else -1
        kept.append(match)
    return kept


def _is_named(text: str, match: re.Match[str]) -> bool:
    """Whether the number is a name's ("page 3"), and not the first of two ("pages 3-5")."""
    return notation.is_name(text, match) and not rivals.has_rival(text, match.end(), AMBIGUOUS)


def _is_listed(text: str, match: re.Match[str]) -> bool:
    """Whether the number counts a list's items ("2. Add them", "Step 2: add them")."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip(" \t*#_>(").lower()
    if line == "step" and text[match.end() : match.end() + 1] in ("", "\n", ":", "*"):
        return True
    return line in ("", "step") and rivals.LISTED.match(text, match.end()) is not None


def _concluded(text: str, matches: Sequence[re.Match[str]], is_part: bool) -> float | None:
    """The number that these come to: the only one, or that of the last sentence where it concludes.

    Args:
        text: the end of an answer.
        matches: its numbers.
        is_part: whether more stands before the text.
    """
    last = matches[-1]
    value = _alone(text, matches)
    start = _sentence_start(text, last.start())
    if steps.is_step(text, start, last):
        return AMBIGUOUS
    if not is_part and _are_all(text, matches[:-1], value):
        return value
    own = [match for match in matches if match.start() >= start]
    equals = max(text.rfind("=", start, last.start()), text.rfind("≈", start, last.start()))
    if equals >= 0:
        between = rivals.between_unknowns(text[start : last.end()])
        if between is not None and not CONCLUDES.search(between):
            return AMBIGUOUS
        own = [match for match in own if match.start() > equals]
        return _alone(text, own[:1]) if len(own) > 1 and not _rivals(text, own) else value
    connectors = [word.end() for word in THEREFORE.finditer(text, start, last.start())]
    if connectors:
        own = [match for match in own if match.start() >= connectors[-1]]
    if not _are_all(text, own[:-1], value):
        return AMBIGUOUS
    end = SENTENCE_END.search(text, last.end())
    sentence = text[start : end.start() if end else len(text)]
    if is_part or CONCLUDES.search(sentence) or WORKED.search(text, 0, start):
        return value
    return AMBIGUOUS


def _are_all(text: str, matches: Sequence[re.Match[str]], value: float | None) -> bool:
    """Whether all numbers are this one; the last first, because it differs most often."""
    return all(notation.value_of(text, match) == value for match in reversed(matches))


def _rivals(text: str, matches: Sequence[re.Match[str]]) -> bool:
    """Whether the first two numbers are of equal standing."""
    return rivals.has_rival(text, matches[0].end(), notation.value_of(text, matches[0]))


def _sentence_start(text: str, at: int) -> int:
    """Where the sentence begins that a place is in."""
    ends = [end.end() for end in SENTENCE_END.finditer(text, max(0, at - WINDOW), at)]
    return ends[-1] if ends else 0


def _alone(text: str, matches: Sequence[re.Match[str]]) -> float | None:
    """The last number, unless it is unfinished or the one before it is of equal standing."""
    last = matches[-1]
    value = notation.value_of(text, last)
    if rivals.UNFINISHED.match(text, last.end()):
        return AMBIGUOUS
    if len(matches) > 1:
        before = matches[-2]
        joined = rivals.JOIN.match(text, before.end())
        if joined and joined.end() == last.start() and notation.value_of(text, before) != value:
            return AMBIGUOUS
    return value


def _last_words(text: str) -> float | None:
    """The last number in words, unless the one before it is of equal standing."""
    matches, values = [], []
    for words in numerals.NUMERAL.finditer(text):
        value = notation.value_of_words(text, words)
        if words[0].lower() in rivals.LOOSE or value is None:
            continue
        matches.append(words)
        values.append(value)
    if not matches:
        return None
    if len(matches) > 1 and values[-2] != values[-1]:
        before, last = matches[-2:]
        if rivals.JOIN.fullmatch(text, before.end(), last.start()):
            return AMBIGUOUS
        start = _sentence_start(text, last.start())
        is_concluded = CONCLUDES.search(text, start)
        if before.start() >= start or not is_concluded:
            return AMBIGUOUS
    return values[-1]
