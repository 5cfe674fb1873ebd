"""Words that are a whole answer to a yes/no question, in the languages people use.

For: an answer, or a marked place, that is one of these words and nothing else, and those with which
an answer may begin ("Yep, it is."). Not for: such words in running text (booleans.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading.normal import typed

_YES = """
    yes | y | t | 1 | yep | yeah | yup | yea | aye | affirmative | of course | absolutely
    | certainly | definitely | indeed | sure | surely | exactly | yes indeed | yes it is | it is
    | it does | true | absolutely yes | of course yes | yes of course | most certainly
    | without a doubt | positive
    | ja | jawohl | genau | stimmt | wahr | richtig | oui | vrai | exact | sí | si | claro
    | verdadero | cierto | correcto | sì | vero | corretto | certo | sim | verdadeiro | correto
    | verdade | да | верно | правда | истина | правильно | так | tak | prawda | ano | áno | pravda
    | igen | igaz | evet | doğru | kyllä | joo | jah | ya | benar | có | đúng | vâng | ναι | כן
    | نعم | صحيح | بله | हाँ | हां | सही | ใช่ | 是 | 是的 | 对 | 对的 | 對 | 正确 | 正確 | 真
    | はい | ええ | そうです | 正しい | 예 | 네 | 맞습니다 | 맞아요 | 참
    """
_NO = """
    no | n | f | 0 | untrue | not so | nope | nah | nay | negative | absolutely not
    | certainly not | definitely not
    | of course not | not at all | by no means | no way | never | surely not | no it is not
    | no it isn't | it is not | it isn't | it does not | it doesn't | clearly not | obviously not
    | under no circumstances | nein | falsch | stimmt nicht | niemals | auf keinen fall | keineswegs
    | non | faux | jamais | falso | incorrecto | nunca | mai | não | incorreto | нет | неверно
    | неправда | ложь | неправильно | никогда | ні | nie | fałsz | nieprawda | ne | nem | hamis
    | hayır | yanlış | ei | nej | nei | nee | niet | tidak | bukan | salah | không | sai | όχι | לא
    | لا | خطأ | خیر | नहीं | गलत | ไม่ | ไม่ใช่ | 不 | 不是 | 不是的 | 否 | 不对 | 不對 | 错 | 错误
    | 錯誤 | 不正确 | 不正確 | 假 | いいえ | いや | 違います | 間違い | 아니오 | 아니요
    | 아니 | 거짓
    """


def _words(text: str) -> list[str]:
    return [typed(" ".join(word.split())) for word in text.split("|")]


# What a whole answer stands for.
WHOLE = {**dict.fromkeys(_words(_YES), 1.0), **dict.fromkeys(_words(_NO), 0.0)}
# ... and a word with which an answer begins before it goes on: "Sure, let me help" says nothing.
BEGINNING = {
    word: WHOLE[typed(word)]
    for word in (
        *("yep", "yeah", "yup", "affirmative", "nope", "nah", "nein", "ja", "oui", "non", "sí"),
        *("sì", "sim", "não", "да", "нет", "evet", "hayır", "igen", "nem", "tak", "nie", "nej"),
        *(
            "ναι",
            "όχι",
            "نعم",
            "لا",
            "はい",
            "いいえ",
            "是的",
            "不是的",
            "예",
            "네",
            "아니요",
            "아니오",
        ),
    )
}
# A first word that greets and does not answer: "Yes, I can help with that!".
POLITE = re.compile(
    r"""
    ^ \W* (?: yes | sure | certainly | of [ ] course | absolutely | right ) [,!.]? \s
    (?:
        i (?: 'd | [ ] would | [ ] can | 'll | [ ] will ) [ ] (?: certainly [ ] | be [ ] )?
        (?: help | assist | happy | glad | do [ ] that )
      | i [ ] understand | that(?: 's | [ ] is ) [ ] an? [ ] \w+ [ ] question
      | let [ ] me \b | let's
    )
    [^.!?:\n]* (?: [.!?:\n]+ | $ ) \s*
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What the clause after a first word says of the statement itself: "Yes, the statement is false".
OF_STATEMENT = re.compile(
    r"""
    \W{0,4} \s* (?: (?: the | this | that ) [ ]
        (?: statement | claim | sentence | assertion | conclusion | argument | answer )
      | it ) [ ] is [ ] (?P<denied> not [ ] )?
    ["*]{0,3} (?P<word> [a-z]+ ) ["*]{0,3} \s* (?: [.!,] | $ )
    """,
    re.IGNORECASE | re.VERBOSE,
)
