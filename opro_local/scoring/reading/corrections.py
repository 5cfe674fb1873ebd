"""Numbers that an answer takes back: "5? No, 6.", "5 (corrected: 6)", "not 5 but 6".

For: where what still stands begins, in the languages that people use. Not for: words that take an
answer back whatever it is ("Wait, ...", "I made a mistake": marks.py), or which number is the
answer (numbers.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Between words of correction and the number that they bring; and how much of an answer is read.
REACH = 60
LONGEST = 20_000

# Words that say that what follows replaces what stands before.
_REPLACES = r"""
    (?: corrected | correction | edit(?=:) | amended | revised | I [ ] mean[t]? | or [ ] rather
      | make [ ] that | scratch [ ] that | oops | my [ ] mistake | my [ ] bad | no [ ] wait
      | strike [ ] that
      | korrigiert | Korrektur | besser [ ] gesagt | vielmehr | Moment | ich [ ] meine
      | corrigé | plutôt | pardon | je [ ] veux [ ] dire | attendez | attends
      | corregido | corrección | mejor [ ] dicho | perdón | quiero [ ] decir | espera | esperen?
      | corrigido | correção | quer [ ] dizer | aliás | desculpe | espere
      | correzione | anzi | cioè [ ] no | scusa | aspetta | volevo [ ] dire
      | correctie | gecorrigeerd | ik [ ] bedoel | wacht
      | poprawka | znaczy | przepraszam | chwila
      | точнее | вернее | исправление | исправлено | подождите | извините | то [ ] есть [ ] нет
      | düzeltme | pardon | yani [ ] hayır | đính [ ] chính | xin [ ] lỗi
    ) (?! \w )
  | 更正 | 纠正 | 修正 | 不对 | 不對 | 等等 | 等一下 | 訂正 | 正しくは | 待って
  | 정정 | 잠깐 | تصحيح | عفوا
"""
# Words that may bring a correction, or only go on.
_MAY_REPLACE = r"""
    (?: actually | should [ ] be | in [ ] fact | instead | rather | eigentlich
      | tatsächlich | en [ ] fait
      | en [ ] realidad | na [ ] verdade | in [ ] realtà | eigenlijk | właściwie
      | на [ ] самом [ ] деле | aslında | thực [ ] ra
    ) (?! \w )
  | 其实 | 其實 | 实际上 | 実は | 実際は | 사실은? | في [ ] الواقع | वास्तव
"""
# "No" between two statements, as its own word and with a comma or the like on its right.
_NO = r"""
    (?: no | nope | nein | non | não | nee | nie | нет | hayır | không | nej | いや | いいえ
      | 不 | 아니요? | لا | नहीं )
    [ ]? [,.:;!，。、；！–—-]
"""
# "not 5 but 6": what is denied, and the word that brings what is not.
_BUT = r"""
    (?: (?: \b (?: not | no | nicht | pas | não | non | niet | nie | не ) | n['’]t )
        (?! [ ] (?: only | just | merely | nur | seulement | solo | só | только ) ) | 不是 | 并非 )
    [^.!?\n]{1,40}? \d [^.!?\n]{0,20}?
    (?: \b (?: but | sondern | mais | sino | mas | bensì | ma | maar | lecz | ale | но | а ) \b
        | 而是 )
    (?= \W{0,4} (?: (?: rather | actually | exactly | it['’]s | it[ ]is | es | c['’]est | is )
        [ ] )?
        [-−$€£]? \d )
  | \d [^.!?\n。]{0,8} (?: değil \b | ではなく?て? | じゃなくて? | 아니라 )
"""
# Numbers in words are taken back by the same words.
_NUMBER = r"""
    (?: \d | \b (?: zero | one | two | three | four | five | six | seven | eight | nine | ten
                  | eleven | twelve | [a-z]+teen | twenty | thirty | forty | fifty | hundred ) \b )
"""
CORRECTION = re.compile(
    rf"""
    (?:
        (?P<replaced> (?<! \w ) (?: {_REPLACES} ) | {_BUT} )
      | (?: [.?!,;:…(—–\n] | [ ]- | [。，、？！；（] ) \s{{0,3}} (?: {_NO} | (?: {_MAY_REPLACE} ) )
    )
    (?= [^\n]{{0,{REACH}}}? {_NUMBER} )
    """,
    re.VERBOSE | re.IGNORECASE,
)
STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
HAS_NUMBER = re.compile(_NUMBER, re.VERBOSE | re.IGNORECASE)
# One word of each of these, because a set of words is looked through faster.
_WORDS = """
    no nope nein non nee nie nej não нет hayır corrected correction edit amended revised
    mean meant rather make scratch oops mistake bad strike korrigiert korrektur gesagt
    vielmehr moment meine corrigé plutôt pardon veux attendez attends corregido corrección
    mejor perdón quiero espera espere esperen corrigido correção quer aliás desculpe
    correzione anzi cioè scusa aspetta volevo correctie gecorrigeerd bedoel wacht poprawka
    znaczy przepraszam chwila точнее вернее исправление исправлено подождите извините есть
    düzeltme yani chính lỗi actually should fact instead eigentlich tatsächlich fait realidad
    verdade realtà eigenlijk właściwie деле aslında thực but sondern mais sino mas bensì
    ma maar lecz ale но а değil नहीं वास्तव تصحيح عفوا الواقع لا
"""
HINTS = frozenset(_WORDS.split())
# The same for scripts without spaces.
JOINED_HINTS = re.compile(
    "更正|纠正|修正|不|等|訂正|正し|待って|정정|잠깐|其|实|実|사실|いや|いいえ|아니|では|じゃ|而是"
)
PUNCTUATION = str.maketrans(dict.fromkeys(".,;:!?()[]*_\"'…—–-，。、；！？：（）", " "))
# The same for plain answers, which are most: bytes are divided faster.
ASCII_HINTS = frozenset(word.encode() for word in HINTS if word.isascii())
SIGNS = b".,;:!?()[]*_\"'"
ASCII_PUNCTUATION = bytes.maketrans(SIGNS, b" " * len(SIGNS))


class Correction(NamedTuple):
    """The last place where an answer corrects a number.

    Attributes:
        before: the answer up to it.
        after: what follows.
        is_certain: whether its words say that what follows replaces what stands before.
    """

    before: str
    after: str
    is_certain: bool


def last(answer: str) -> Correction | None:
    """The last correction of an answer that gives a number before it; None without one."""
    if not _has_hint(answer):
        return None
    corrections = list(CORRECTION.finditer(answer, max(0, len(answer) - LONGEST)))
    if not corrections or not HAS_NUMBER.search(answer, 0, corrections[-1].end()):
        return None
    correction = corrections[-1]
    before, after = answer[: correction.start()], answer[correction.end() :]
    return Correction(before, after.lstrip(" :,;"), correction["replaced"] is not None)


def without_struck(answer: str) -> str:
    """The answer without what it strikes through: "~~5~~ 6"."""
    return STRUCK.sub(" ", answer) if "~~" in answer else answer


def _has_hint(answer: str) -> bool:
    if answer.isascii():
        plain = answer.lower().encode().translate(ASCII_PUNCTUATION)
        return not ASCII_HINTS.isdisjoint(plain.split())
    words = answer.lower().translate(PUNCTUATION).split()
    if not HINTS.isdisjoint(words):
        return True
    return JOINED_HINTS.search(answer) is not None
