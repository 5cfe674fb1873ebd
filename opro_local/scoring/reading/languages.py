"""How the languages that people use announce an answer: "Antwort: 5", "La réponse est", "答案是".

For: the words for "answer" and what may stand after them, as data and one expression. Not for:
English (marks.py), the language of a text.
"""

from __future__ import annotations

import re

# Words for "answer", without their first letter where that may be a capital, so that one look finds
# both. Plain text is looked for ten times as fast as an expression.
LATIN = (
    "ntwort",  # Antwort
    "ntwoord",
    "reponse",
    "espuesta",
    "isposta",
    "esposta",
    "svar",
    "Svar",
    "astaus",
    "evap",
    "awaban",
    "rgebnis",
    "dpowied",
)
OTHER = (
    "éponse",
    "ösung",
    "anıt",
    "álasz",
    "ăspuns",
    "dpověď",
    "áp án",
    "rả lời",
    "твет",
    "ідповідь",
    "πάντηση",
    "答案",
    "回答",
    "答え",
    "解答",
    "正解",
    "结论",
    "結論",
    "정답",
    "답변",
    "답은",
    "답:",
    "الإجابة",
    "الاجابة",
    "الجواب",
    "الإجابه",
    "پاسخ",
    "תשובה",
    "उत्तर",
    "जवाब",
    "คำตอบ",
)
STEMS = LATIN + OTHER
CAPITALS = ("NTWORT", "ESPUESTA", "ISPOSTA", "ESPOSTA", "REPONSE")

# What stands after the stem: a sign, or a word for "is".
SAYS = re.compile(
    r"""
    \w{0,3}                                     # "Odpowiedź", "svaret"
    [*_"'`)\]]{0,4}
    (?:
        [ \t]{0,4} (?: [:：=→] | -> )
      |
        (?: \s [^\W\d_]{3,12} ){0,2}?           # "La respuesta correcta es"
        (?:                                     # "Die Antwort auf die Frage lautet"
            \s (?: auf | à | a | alla | alle | à | op | på | zu | на | de | do | da | del ) \s
            [^.:\n]{0,60}?
        )?
        \s{1,4}
        (?:
            ist | lautet | wäre | est | serait | es | sería | è | sarebbe | é | seria | is | luidt
          | är | er | on | to | je | e | este | là | adalah | είναι | это | هو | هي | است | है
          | הוא | היא
        ) \b
        [ ]? (?: [:：] )?
      |
        \s? (?: 是 | 为 | 為 | 就是 | 应该是 | 應該是 | は | が | 은 | 는 | คือ | — | – | - )
        \s? [:：]?
      |
        [*_\#]{0,4} [ \t]{0,4} \n
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
