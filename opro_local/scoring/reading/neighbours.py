"""What stands right before and after a number, and whether it leaves the number as it is.

For: telling an amount ("5 apples", "$5", "= 5") from a part of something to be worked out ("5!",
"5²", "sqrt(16)", "5 % of 20", "3x"), from a bound (">5", "at least 5", "5 or more") and from a name
("COVID-19", "room 101", "Boeing 747"). Not for: how numbers are written (notation.py), two numbers
of equal standing (rivals.py), or which number is the answer (numbers.py).

White space, the punctuation of sentences, brackets, quotes, Markdown, currencies, "=" and an
ordinary word leave a number as it is. A sign or letters glued to it that are not understood do not.
"About 5", "~5" and "≈5" are the answer 5; units are not converted.
"""

from __future__ import annotations

import re
import unicodedata

# Characters before a number that are looked at.
WINDOW = 48
DASHES = frozenset("-−–—‐‑－")

# Units that are written without a space, and other short words of that kind.
_UNITS = """
    km|cm|mm|dm|nm|m|kg|g|mg|lbs?|oz|l|L|ml|mL|cl|dl|h|hrs?|min|mins|s|secs?|ms|yrs?|day|ft|in|yd
  | mi|mph|kph|kmh|W|kW|MW|GW|kWh|Wh|V|kV|A|mA|Hz|kHz|MHz|GHz|KB|kB|MB|GB|TB|KiB|MiB|GiB|Mbps|Gbps
  | bps|px|pt|pts|pp|USD|usd|EUR|eur|GBP|gbp|CHF|JPY|CAD|AUD|INR|CNY|SEK|NOK|DKK|PLN|kr|Kr|zł|Kč|Ft
  | кг|км|см|мм|мл|мин|руб|шт|лет|год|г|м|л|ч|с|р|Ω
"""
_PERCENT = r"(?: [%％٪] | (?:percent|per[ ]cent|prozent|pour[ ]cent|por[ ]ciento|por[ ]cento) \b )"
_OF = r"(?: of | von | vom | de | des | du | del | di | da | van | av | от | из )"
# Small letters that are the unknowns of algebra; others are units and articles.
_UNKNOWN = r"[xyzn] (?! [\w'’] )"
_MORE = """
    more|less|fewer|older|younger|longer|shorter|later|earlier|higher|lower|above|below|greater
  | larger|smaller|over|under|mehr|weniger|höher|plus|moins|más|menos|mais|più|meno|meer|minder
  | больше|более|меньше|менее|więcej|mniej|fazla|mer
"""
# What makes a number a part of something else, right after it.
AFTER = re.compile(
    rf"""
    [²³¹⁰⁴-⁹ⁿⁱ⁺⁻₀-₉ªº‰‱@#&]                      # 5², 101₂, 5º, 5‰
  | [!！] (?! [*_"')\]]{{0,3}} \s+ (?-i: [A-Z] | [^\W\d_\x00-\x7f] ) )   # "5!"; "It's 5! That"
  | [ ]? (?: [±∓≤≥≠≦≧√∛π] | \+ / ? [-−–] )
  | [ ]? > [ ]? (?: [\w.$-] | \Z ) | [ ]? < [ ]? (?: [\d=.$-] | [A-Za-z] (?! [A-Za-z>] ) )
  | \+ (?! [ ]? [\d$] ) | [-–] \s* \Z
  | [-–] (?: [A-Za-z] (?! [A-Za-z] ) | (?: th | st | nd | rd | fold | plus | й | го | я | е ) \b )
  | [-–] (?-i: [A-ZÄÖÜ] )                               # 7-Eleven
  | ['′’] \d | _ [^\W_] | : [^\W\d_]
  | / [ ]? [xyznabk] (?! \w ) | \( [A-Za-z] [^A-Za-z\s]
  | [ ]? (?: (?<! \* ) \* (?! \* ) | [-−–+/×·÷] ) [ ]? (?: {_UNKNOWN} )
  | [ ]? (?: [+×·÷/] | (?<! \* ) \* (?! \* ) ) [ ]? \(
  | [ ]? \\ (?! (?: degree | end | right | implies | [rR]ightarrow | therefore | checkmark
                  | tag | newline | blacksquare | square | hfill | qquad | quad | n | t | r )
              (?! [a-z] ) )
    [A-Za-z]
  | (?! (?: {_UNITS} ) (?: [²³] | \^ [23] )? (?! [\w^] ) )         # letters: 5x, 0x1F, 5th, 5pm
    (?: [A-Za-z]{{1,3}} (?! [^\W\d_] ) | [A-Za-z]+ \d | [\u0370-\u03ff] | [хХ] (?! \w ) )
  | [A-Za-z]+ (?: fold | plus ) \b | (?: fold | plus ) \b
  | [ ]? {_PERCENT} [ ] {_OF} [ ] [^\n.,;:=]{{0,24}} \d
  | [ ]? (?: 以上 | 以下 | 以内 | 以外 | 未満 | 未满 | 超 | 余 | 多 | の[ ]?\d*[ ]?乗 | 乗
           | 次方 | 階乗 | 阶乘 | 平方 (?! 米|公里|千米|メ|英 ) | の(?:階乗|平方)
           | 的[^。，\n]{{0,6}}(?:次方|平方|阶乘|倍|分之)
           | 分の | 分之 | 个半 | より | 제곱 | 의[ ]?(?:제곱|배) | 분의 )
  | [가-힣]{{0,3}} [ ]? (?: 이상 | 이하 | 미만 | 초과 )
  | [\u4e00-\u9fff]{{1,2}} (?: 以上 | 以下 | 以内 | 未満 | 未满 )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The same for words after it, which follow a space.
AFTER_WORDS = re.compile(
    rf"""
    [ ]
    (?:
        (?: squared | cubed | factorial | choose | mod | modulo | raised | sqrt | root | log | ln
          | sin | cos | tan | pi ) \b
      | to [ ] the [ ] (?: (?: \w+ [ ] )? power | second | third | fourth | fifth | \w+th ) \b
      | (?: [^\W\d_]{{1,20}} [ ] ){{0,2}}
        (?: or | oder | ou | o | of | или | lub | veya | eller ) [ ] (?: {_MORE} ) \b
      | (?: degrees? [ ] | grad [ ] )? (?: below | above | under | unter | über | minus ) \b
      | and [ ] (?: up | above | over | below | under | some | change
          | counting | a [ ] bit ) \b
      | (?: more | less | fewer | greater | higher | lower | older | younger | larger | smaller
          | bigger | longer | shorter ) [ ] than \b
      | (?: [ap] \.? [ ]? m \b | o['’]clock \b | Uhr \b | bce? \b )
      | (?: halves | thirds | quarters | fourths | fifths | sixths | sevenths | eighths | ninths
          | tenths | hundredths | thousandths ) \b
      | (?: y [ ] medi[ao] | et [ ] demie? | e [ ] mezz[oa] | e [ ] mei[ao] | einhalb
          | и [ ] половина | с [ ] половиной ) \b
      | (?: fakultät | hoch | zum [ ] quadrat | im [ ] quadrat | au [ ] carré | au [ ] cube
          | puissance | factorielle | al [ ] cuadrado | al [ ] cubo | elevado | ao [ ] quadrado
          | al [ ] quadrato | kwadraat | do [ ] kwadratu | в [ ] квадрате | в [ ] степени
          | в [ ] кубе ) \b
      | (?: at [ ] (?: least | most ) | minimum | maximum | mindestens | höchstens | tops
          | max | min ) (?! \w )
      | {_UNKNOWN}
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A fraction of another number: "1/3 of 9", "half of 10".
OF_NUMBER = re.compile(
    rf"""
    [ ] {_OF} [ ] (?: (?: the | his | her | their | all | a ) [ ] )?
    (?: [$€£]? \d | (?: two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred ) \b )
    """,
    re.VERBOSE,
)
# What may follow a number at once: most numbers need no more than this look.
PLAIN_AFTER = frozenset(".,;?)]}\"'”’»`|\n\t。，、；")

# Signs before a number, with or without a space: what they make of it is to be worked out.
OPERATORS = frozenset("<>≤≥≠≦≧±∓√∛∜^/×÷·∑∏∫∂@&?\\≮≯∓")
# Signs of mathematics that leave the number behind them as it is.
UNDERSTOOD = frozenset("≈≃≅≒→⇒⟹∴＝−＋～｜")
# LaTeX for such signs.
COMMANDS = tuple(
    f"\\{name}"
    for name in (
        "pm",
        "mp",
        "le",
        "leq",
        "ge",
        "geq",
        "lt",
        "gt",
        "ne",
        "neq",
        "times",
        "cdot",
        "div",
    )
)
# What may stand between such a sign or word and the number.
DECORATION = " \t\u00a0*_`\"'“„«([{"
# An operand and its operator: "x - 5", "3x + 5".
OPERATION = re.compile(
    r"""
    (?: (?<! [\w'’*] ) [A-Za-z] | \d [A-Za-z] | [²³] | (?<= \w ) \) (?= [ ]? [+*] ) )
    [ ]? [-−–+*] [ ]? \Z
    """,
    re.VERBOSE,
)
FUNCTION = re.compile(r"(?:sqrt|root|log|ln|lg|exp|a?sin|a?cos|a?tan|cbrt|lim)[_\d{}₀-₉^-]*")
# The last word before a number that only bounds, multiplies or divides by it.
_WORDS = """
    than over under above below exceeds exceed exceeding beyond within twice thrice double
    triple half hardly barely scarcely kaum apenas едва sumo minimum maximum min max min.
    max. mindestens höchstens maximal minimal über unter hasta até jusqu'à almeno minstens
    hoogstens больше более меньше менее свыше максимум минимум до ponad niż najmniej
    najwyżej чем dan plusminus doppelt modulo mod squared
"""
WORDS = frozenset(_WORDS.split())
# The last two.
_PAIRS = """
    at+least at+most up+to bis+zu au+moins au+plus plus+de moins+de al+menos como+mínimo
    como+máximo más+de menos+de mayor+que menor+que mayor+a menor+a mais+de maior+que
    más+que menos+que mehr+als weniger+als größer+als kleiner+als pelo+menos no+mínimo
    no+máximo al+massimo più+di meno+di fino+a maggiore+di minore+di minimum+of maximum+of
    multiple+of multiples+of factor+of factors+of divisible+by divided+by multiplied+by
    hälfte+von wurzel+aus wurzel+von moitié+de mitad+de metà+di metade+de racine+de
    carrée+de raíz+de cuadrada+de doble+de double+de tiers+de quart+de tercio+de dobro+de
    половина+от корень+из supérieur+à inférieur+à or+more or+less many+as much+as few+as
    little+as à+peine maximum+de minimum+de
"""
PAIRS = frozenset(tuple(pair.split("+")) for pair in _PAIRS.split())
# What another number is a part of: "half of 10", "20 % of 50", "the square root of 16".
_PARTS = """
    half third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth
    eighths tenth tenths hundredth percent cent prozent % root square cube factorial log
    logarithm power reciprocal inverse negative opposite double twice triple fraction
"""
PARTS = frozenset(_PARTS.split())
OF = frozenset(("of", "von", "de", "di", "del", "van", "от", "из"))
ARTICLES = frozenset(("the", "a", "an"))
# A word with a capital before a number, which may be the name that it belongs to; and those that
# are none, at the beginning of a sentence or as German nouns.
PROPER = re.compile(r"(?<![\w'’-])[A-Za-zÄÖÜäöüß'’]*[A-ZÄÖÜ][A-Za-zÄÖÜäöüßéèêóíáñ'’]*\Z")
_LEADS = """
    actually really precisely merely still already another only exactly just about around
    roughly approximately nearly almost maybe perhaps probably possibly likely definitely
    certainly clearly obviously simply so therefore thus hence then now finally altogether
    overall all the these those this that a an her his my our their its your both in on at
    of to by from with take buy add subtract multiply divide plus minus and but or since if
    as for after before when while where there here it is are was were has have had we i he
    she they you get gets got gives give leaves left makes make equals equal yes yeah ok
    okay sure total sum answer result results rating score scores grade mark final value
    amount number count price cost estimate guess prediction output label class level age
    year day week option choice stars points rank quantity average mean median difference
    product quotient remainder ratio profit distance speed time length volume weight
    height nur genau etwa ungefähr insgesamt ergebnis antwort summe gesamt bewertung note
    wert anzahl preis zusammen also daher somit es sind ist das die der und rund circa ca
    environ exactement seulement totale réponse résultat donc il y sont les le la un une
    solo exactamente aproximadamente unos unas respuesta resultado nota suma puntuación hay
    son el los las entonces apenas resposta portanto são somente risposta risultato quindi
    sono ci antwoord ongeveer precies slechts totaal dus er zijn het de per each every step
"""
LEADS = frozenset(_LEADS.split())
# Signs and words of languages without spaces, glued to the number.
JOINED = (
    *(
        "超过",
        "至少",
        "最多",
        "不到",
        "少于",
        "多于",
        "大于",
        "小于",
        "高于",
        "低于",
        "不足",
        "超過",
    ),
    *("第", "最低", "最大", "最少", "最高", "少なくとも", "최소", "최대", "최소 ", "최대 ", "根号"),
)
# What is counted on after these words has a number as its name.
_NAMED = """
    room page pages p. pp. chapter section figure fig. version question problem example
    exercise episode season volume vol. flight gate highway route apartment apt apt. no. nr.
    invoice issue ticket psalm zimmer seite kapitel abschnitt frage aufgabe beispiel
    chapitre página capítulo pregunta ejemplo problème exemple exercice страница глава
"""
NAMED = frozenset(_NAMED.split())
_DENIED = """
    not isn't isnt wasn't never neither nor except nicht kein keine pas не нет unlike
    without n't
"""
DENIED = frozenset(_DENIED.split())
NAMED_OR_DENIED = NAMED | DENIED
DENIED_JOINED = ("不是", "并非", "不等于", "非")


def is_amount(text: str, end: int, before: str, is_fraction: bool = False) -> bool:
    """Whether both neighbours leave a number as it is.

    Args:
        text: what it stands in.
        end: where it ends.
        before: up to `WINDOW` characters before it, without its currency, with its sign.
        is_fraction: whether it is one, so that "of 9" makes it a part of 9.
    """
    follows = text[end : end + 1]
    if follows in (".", ",") and text[end + 1 : end + 2].isdecimal():
        return False
    if follows and follows not in PLAIN_AFTER:
        if follows == " " and AFTER_WORDS.match(text, end):
            return False
        if AFTER.match(text, end):
            return False
    if is_fraction and OF_NUMBER.match(text, end):
        return False
    return not before or not (_is_worked(before) or is_name(before))


def is_name(before: str) -> bool:
    """Whether the number after this is a name's or is denied: "COVID-19", "room 101", "not 5"."""
    last = before[-1:]
    if last in DASHES and last != "—":
        return before[-2:-1].isalpha()
    if last == ".":
        return before[-2:-1].isalnum()
    if last == "#":
        # "#5" alone is an answer; "issue #5" is a name.
        return before[-2:-1] != "#" and before.strip(DECORATION + "#\n") != ""
    if last > "\u3000" and before.endswith(DENIED_JOINED):
        return True
    word = before.rstrip(DECORATION)
    word = word[word.rfind(" ") + 1 :]
    if not word or not (word[-1].isalpha() or word[-1] == "."):
        return False
    word = word.strip(DECORATION + "\n").lower()
    return word in NAMED_OR_DENIED or word.endswith(("n't", "n’t"))


def _is_worked(before: str) -> bool:
    """Whether what stands before a number bounds it or works with it."""
    signless = before[:-1] if before[-1] in DASHES or before[-1] == "+" else before
    glued = signless[-1:]
    if glued and glued in "([{" and _is_operand(signless[-2:-1]):
        return True
    if glued > "~" and glued not in UNDERSTOOD and unicodedata.category(glued) == "Sm":
        return True
    if glued == "|" and signless[-2:-1] in ("", " ", "="):
        return True
    rest = signless.rstrip(DECORATION)
    if not rest:
        return False
    if (rest[-1] in OPERATORS and not _is_tag(rest)) or rest.endswith(COMMANDS):
        return True
    if rest[-1] in DASHES and rest != signless and rest[-2:-1] in ("", "\n"):
        # "- 3" is a list's item or -3.
        return True
    if before[-1] in "-−–+* " and OPERATION.search(before[-8:]):
        return True
    if before[-1] == " " and rest == before[:-1] and _is_proper(rest[-24:]):
        return True
    return _has_worked_words(rest)


def _is_proper(rest: str) -> bool:
    """Whether the word before a number is a name that the number belongs to: "Boeing 747"."""
    word = PROPER.search(rest)
    # "She's" is "She".
    return word is not None and re.split("['’]", word[0].lower())[0] not in LEADS


def _has_worked_words(rest: str) -> bool:
    if not (rest[-1].isalpha() or rest[-1] in ".}₂%" or rest[-1].isdigit()):
        return False
    words = rest.lower().rsplit(None, 3)[-3:]
    last = words[-1].lstrip("([*\"'")
    if last in WORDS or FUNCTION.fullmatch(last.lstrip("\\")) or rest.endswith(JOINED):
        return True
    if len(words) > 1 and last in ARTICLES:
        words = words[:-1]
    if len(words) < 2:
        return False
    before, last = words[-2].lstrip("([*\"'"), words[-1]
    if last in OF and (before in PARTS or before.endswith("%")):
        return True
    return (before, last) in PAIRS


def _is_operand(sign: str) -> bool:
    """Whether a bracket after this sign holds what a function or a factor applies to: f(5)."""
    is_letter = sign.isascii() and sign.isalpha()
    return is_letter or sign in (")", "]", "}") or "\u0370" <= sign <= "\u03ff"


def _is_tag(before: str) -> bool:
    """Whether a text ends with a tag or an arrow, "<b>", "=>", and not with a sign that bounds."""
    if before[-1] != ">":
        return False
    return before[-2:-1] in ("-", "=") or re.search(r"<[a-z/|][^<>]*>\Z", before, re.I) is not None
