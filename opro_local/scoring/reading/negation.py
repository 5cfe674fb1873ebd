"""Whether a text denies what it names: "this is not spam", "spam ist das nicht", "不是垃圾邮件".

For: the clause around one named thing, in the languages that chat models answer in. Not for: irony,
double negation, or what is true instead. What stays in doubt counts as denied, so that nothing is
read by luck.
"""

from __future__ import annotations

import re

# How far a clause is looked at, in characters.
BEFORE = 90
AFTER = 40

# Where a clause begins anew: at a sign, or at such a word.
CLAUSE = re.compile(
    r"""
    [.;:!?,()\n]
  | --
  | \b (?:
        but | so | because | since | therefore | thus | hence | while | although | though | however
      | and [ ] (?: is | it | was | this | that | the | has | should | therefore | thus | so )
      | it['’]s
      | aber | sondern | denn | weil | also | mais | donc | car | pero | sino | porque | ma | bensì
      | quindi | mas | então | но | а | поэтому | ale | więc | maar | dus | men
    ) \b
  | 而是 | 所以 | 因此 | 但
    """,
    re.VERBOSE,
)
# Words that deny what follows them within a clause.
NEGATOR = re.compile(
    r"""
    (?:
        \b not (?! [ ] (?: only | just | merely | simply | surprisingly ) \b )
      | n't | \b cannot | \b never | \b neither | \b nor | \b none | \b nothing | \b nobody
      | \b no (?! [ ] (?: doubt | question ) \b )
      | \b hardly | \b barely | \b exclud \w{1,4} | \b rul \w{1,3} [ ] out
      | \b whether | \b unclear [ ] if
      | \b nicht | \b nichts | \b kein (?: e[nmrs]? )? | \b weder | \b niemals | \b ob
      | \b pas | \b ni | \b aucune? | \b jamais | \b rien | \b non
      | \b nunca | \b tampoco | \b nada | \b né | \b nessun[ao]? | \b niente
      | \b não | \b nem | \b niet | \b niets | \b geen
      | \b inte | \b ikke | \b ej | \b inga? | \b ingen | \b ei
      | \b не | \b ни | \b нет | \b ничего | \b nie | \b není
      | \b không (?: [ ] phải )? | \b bukan | \b tidak
      | \b (?: ليس | ليست | لا | غير )
    ) \b
    (?: [ ]+ [\w'-]+ ){0,6}
    [ ]* ["'(\[]{0,3} [ ]*
    $
    """,
    re.VERBOSE,
)
# Words that deny only what stands near.
NEAR = re.compile(
    r"""
    \b (?:
        without (?! [ ] (?: (?: a | any ) [ ] )? (?: doubt | question ) \b )
      | rather [ ] than | instead [ ] of | far [ ] from | free [ ] (?: of | from )
      | lack (?: s | ing | [ ] of )? | unlike | opposite [ ] of
      | statt | zonder | utan | uden
      | (?: ohne | sans | sin | senza | sem | без | bez )
        (?! [ ] (?: aucun [ ] | alcun [ ] )?
            (?: zweifel | doute | duda | dubbio | dúvida | сомнения | wątpienia ) )
    ) \b
    (?: [ ]+ [\w'-]+ ){0,2}
    [ ]* ["'(\[]{0,3} [ ]*
    $
    """,
    re.VERBOSE,
)
# The same where words are not divided by spaces.
NEGATOR_UNSPACED = re.compile(
    r"""
    (?:
        (?: 不是 | 并非 | 並非 | 不属于 | 不屬於 | 不算 | 没有 | 沒有 | 不包含 | 不含
          | 是否 | 不应 )
        [^.,;:!?\n]{0,9}
      | [不非无無未] ["'(]{0,2}
      | ไม่ [^.,;:!?\n]{0,9}
    )
    $
    """,
    re.VERBOSE,
)
# What denies the thing that stands right before it.
DENIAL = re.compile(
    r"""
    ["')\]]{0,3}
    (?:
        [ ] (?: is | was | are | were | do | does | did | can | could | should | would | has
            | have )
        (?: [ ] (?: be [ ] )? (?: not | never | no [ ] longer ) | n't | nnot ) \b
      | [ ] (?: is | are | was | would [ ] be | seems | can [ ] be ) [ ]
        (?: clearly [ ] | definitely [ ] )?
        (?: wrong | incorrect | false | inaccurate | unlikely | ruled [ ] out | excluded | out ) \b
      | [ ] (?: this | it | that ) [ ] (?: is [ ] not | isn't ) \b
      | [ ] (?: ist | wäre | sind ) [ ] (?: (?: das | es | sie | er | dies \w{0,2} ) [ ] )?
        (?: nicht | falsch | kein ) \b
      | [ ] (?: n'est | ne | no [ ] es | non [ ] è | não [ ] é | не [ ] | is [ ] niet ) \b
      | \s? değil
      | [ ] (?: \w+ [ ] )? नहीं
      | (?: 的 | な )? (?: もの )? (?: では | じゃ | で | とは )
        (?: な | あり?ません | 言えな | いえな | 言えません )
      | [적인]{0,2} (?: 이 | 가 | 은 | 는 | 이지 | 으로 )?
        \s? (?: 아니 | 아닙 | 아닌 | 않 | 볼 [ ] 수 [ ] 없 )
      | (?: かどうか | 인지 )
      | [ ]? [:=] [ ]? ["']? (?: no | not | false | nein | non | none | 否 | 0 (?! [.,\d] ) ) \b
      | [^.!,;:\n?]{0,20} \? [ ]? (?! [ ]? (?: yes | ja | oui | sí | да | 是 ) \b )
    )
    """,
    re.VERBOSE,
)
# What takes a thing back right after it: "positive? Hardly.", "spam, said no one".
RETORT = re.compile(
    r"""
    ["')\]]{0,3} [ ]? (?: [.]{1,3} | [,;:!?(] | -- | - )? [ ]*
    (?:
        (?: not | nope | yeah ,? [ ] right | sure ,? [ ] jan | lol | haha | absolutely [ ] not
          | of [ ] course [ ] not | in [ ] your [ ] dreams | hardly | barely | never
          | just [ ] kidding | kidding | jk | as [ ] if
          | not [ ] (?: really | quite | exactly | at [ ] all ) | it [ ] is [ ] not | it [ ] isn't
          | this [ ] is [ ] not | this [ ] isn't | i [ ] don't [ ] think [ ] so
          | far [ ] from [ ] it
          | by [ ] no [ ] means | nicht | keineswegs | von [ ] wegen | pas [ ] du [ ] tout | mica
          | вряд [ ] ли | 才怪 )
        ["')\]]{0,2} \s* (?: $ | [.!?)\n] )
      | said [ ] (?: no [ ] one | nobody )
    )
    """,
    re.VERBOSE,
)
# A share of less than a half speaks against the thing: "ham (20%)", "P(ham)=0.2", "ham 20 percent".
SLIGHT = re.compile(
    r"""
    ["')\]]{0,3} [ ]? [:=(,-]? [ ]?
    (?: (?: with [ ] )? (?: an? [ ] )? (?: probability | likelihood | chance )
        (?: [ ] of | [ ]? [:=] | [ ] is )? [ ] )?
    (?: is [ ] | at [ ] | about [ ] | only [ ] | ~ )?
    (?: [0-4]? \d (?: [.,]\d+ )? [ ]? (?: % | percent \b | per [ ] cent \b ) | 0? [.,] [0-4] \d* )
    (?! \d | [ ]? (?: off | discount | error ) )
    """,
    re.VERBOSE,
)
# A number that is given to a thing is its score, not its name: "positive: 0.7, negative: 0.3".
SCORED = re.compile(
    r"""["']? [ ]? (?P<sign> [:=(] ) [ ]? \d* [.,]? \d+ [ ]? %? (?! [\w/.] )""", re.VERBOSE
)


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the clause around text[start:end], in folded type, denies it, asks for it or leaves
    it open.
    """
    before = text[max(0, start - BEFORE) : start]
    # The sentence first: plain text is looked for faster than an expression.
    before = before[max(map(before.rfind, ".;:!?\n")) + 1 :]
    clause = 0
    for sign in CLAUSE.finditer(before):
        clause = sign.end()
    before = before[clause:]
    if any(words.search(before) for words in (NEGATOR, NEAR, NEGATOR_UNSPACED)):
        return True
    if DENIAL.match(text, end, end + AFTER) or SLIGHT.match(text, end, end + AFTER):
        return True
    return RETORT.match(text, end, end + AFTER) is not None


def score_sign(text: str, end: int) -> str:
    """The sign that gives a number to the thing that ends here: ":", "=" or "("; empty without."""
    scored = SCORED.match(text, end, end + AFTER)
    return scored["sign"] if scored else ""
