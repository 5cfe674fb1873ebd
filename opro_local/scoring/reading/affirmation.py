"""Whether running text says a label: everything around it that could turn it round is understood.

For: one label in one clause. No list of denials is complete in every language, so that a label is
said only where the words around it are known to be harmless (harmless.py), or are nouns after an
article; any other word leaves it in doubt. Not for: labels that stand alone, begin an answer or
have a key (labels.py), explicit denials alone (negation.py).
"""

from __future__ import annotations

import re

from opro_local.scoring.reading import harmless, lists, words

BEFORE, AFTER = 160, 90
TOKEN = re.compile(r"[^\s.,;:!?()\[\]{}\"/\\|<>=+*#~…•→]+")
_LETTER = re.compile(r"[^\W\d_]")
# Signs and words after which a clause begins.
STARTS = re.compile(
    r"""
    [.;:!?,()\n]
  | --
  | [ ] - [ ]
  | (?: 아니라 | 아니고 | 않고 | 말고 ) [ ]
  | \b (?:
        (?<! anything [ ] ) (?<! nothing [ ] ) (?<! everything [ ] )
        (?<! \b all [ ] ) but | so | because
        | since | therefore | thus | hence | while | although | though | however
      | and [ ] (?: is | it | it's | was | this | that | the | has | should | therefore
      | thus | so )
      | aber | sondern | denn | weil | mais | donc | car | pero | sino | porque | bensì
      | quindi | mas | então | но | а | поэтому | ale | więc | maar | dus | men
    ) \b
    """,
    re.VERBOSE,
)
# How a part begins that hangs on the one before its comma, and how one ends that the next ones
# hang on.
SUBORDINATE = re.compile(
    r"\s*(?:that|whether|if|to|dass|ob|que|qu'|si|che|se|что|чтобы|że|dat|hogy|že|att|at)\b"
)
HANGING = re.compile(
    r"""
    \b (?: not | n't | never | far [ ] from | anything [ ] but | (?<! no [ ] ) doubt
      | deny | no | hardly | isnt
      | nicht | kein\w* | pas | nie | niet | inte | ikke | не | нет | less | nor | neither )
    \s* $
  | n't \s* $
    """,
    re.VERBOSE,
)
# Signs after which a clause ends.
ENDS = re.compile(
    r"""
    [.;:!?,()\n]
  | --
  | [ ] - [ ]
  | \b (?:
        but | because | since | so | while | although | though | however | therefore
      | (?<! much [ ] ) (?<! far [ ] ) as (?! [ ] (?: much | far | if | though ) \b ) | due
      | and [ ] (?: is | it | was | this | that | the | has | should | does | did | do | can
          | will | shows? | isn't | doesn't | therefore | thus | so | i )
      | (?<= \w [ ] ) (?: that | which | who | where ) [ ]
      | aber | sondern | denn | weil | da | mais | car | pero | sino | porque | ma
      | perché | mas
      | но | а | потому | поэтому | ale | maar | omdat | men | eftersom
    ) \b
    """,
    re.VERBOSE,
)
# English adverbs in -ly that turn round or weaken what follows.
WEAKENING = re.compile(
    r"""
    (?: hard | bare | scarce | rare | unlike | false | wrong | incorrect | alleged | supposed
      | hypothetical | previous | former | ironic | sarcastic | superficial | partial
      | potential
      | possib | conceivab | theoretic | nominal | ostensib | purported | reported | mistaken
      | erroneous | inaccurate | insufficient | inadequate | minimal | seldom | questionab
      | doubtful
      | implausib | improbab | vague | presumptive | original | initial | formal | tentative
      | negligib | marginal | sole | part | near | anything\w* )
    (?: al | l )* (?: ly | y )
    """,
    re.VERBOSE,
)
# What sounds like a denial and is none.
NO_DOUBT = re.compile(
    r"""
    \b (?:
        (?: no | without | beyond | leaves? [ ] no ) (?: [ ] (?: a | any | reasonable ) ){0,2}
        (?: [ ] shadow [ ] of [ ] a )? [ ] (?: doubt | question )
      | not [ ] only | not [ ] just | ohne [ ] zweifel | sans [ ] (?: aucun [ ] )? doute
      | sin [ ] duda (?: [ ] alguna )? | senza [ ] (?: alcun [ ] )? dubbio | sem [ ] dúvida
      | без [ ] сомнения | bez [ ] wątpienia
    ) \b
    """,
    re.VERBOSE,
)
# How a question begins that has lost its sign.
ASKS = re.compile(r"\s*(?:is|does|can|could|would|was|are) (?:the|this|it|that)\b")
# What others say, want or believe.
OTHERS = re.compile(
    r"""
    \b (?:
        (?: you | one | people | some | others | many | they | critics | readers? | anyone
          | somebody | someone | everyone )
        (?: 'd | [ ] (?: to | would | might | may | could | should | will | must ) )? [ ]
        (?: think | believe | say | assume | call | expect | conclude | see
          | read )
      | wants? [ ] (?: you | us | me | people )
      | (?: would | could | should | might ) [ ] have [ ] been | by [ ] mistake
      | the [ ] (?: word | term | phrase | string ) | instructions?
      | ask (?: s | ed )? [ ] (?: me | us ) | want [ ] to | tempted
      | used [ ] to | wish | wishes | hope | hoped | supposed | meant [ ] to
    ) \b
    """,
    re.VERBOSE,
)
# A share under a half in the clause, and what takes all of it back at its end.
SLIGHT_BEFORE = re.compile(r"(?<![\d.])[0-4]?\d ?(?:%|percent\b)")
NOT_AFTER_ALL = re.compile(
    r"""
    \( \s* not \W{0,3} \)
  | [,;-] \s* (?: yet | but | though ) [ ] (?: it [ ] )? (?: is | was ) [ ] not \s* (?: [.!] | $ )
  | \b (?: not | wasn't | isn't | aren't | didn't | doesn't ) \s* [.!]{0,3} $
  | \b but [ ] (?: i | it | we | this ) [ ]
    (?: can't | cannot | don't | won't | isn't | wasn't | is [ ] not | can [ ] not ) \b
  | ^ [^.\n]{1,20} : \s* (?: none | nothing ) \b
    """,
    re.VERBOSE,
)
# An idiom in which the word is no label: "I am positive that", "false positive".
IDIOM_BEFORE = re.compile(
    r"\b(?:i am|i'm|we are|we're|false|true|(?:hiv|covid|tested|test|tests)(?: is| was)?) $"
)
# "positive/10" is a scale of something.
SLASHED = re.compile(r"/\w")
# A clause that supposes.
SUPPOSES = frozenset(("were", "had", "should", "suppose", "assuming", "imagine", "sollte", "wäre"))
FALSE_BEFORE = re.compile(r"\b(?:false|hiv|tested) $")
IDIOM_AFTER = re.compile(r"[ ](?:that|about)\b")
INFINITIVE = re.compile(r"[ ]zu[ ]\w+n\b")
GERMAN_IS = re.compile(r"\b(?:ist|sind|wäre)\b")
# What an English clause says of a label before it that takes it back.
TAKEN_BACK = re.compile(
    r"""
    \b (?:
        (?: is | are | was | were | would | could | can | does | do | did | has | have | had
          | seems? | be | it | this | that | i | we | sounds? | should | will )
        (?: [ ] \w+ )? [ ]
        (?: not | never | no | hardly | barely | scarcely | nowhere | anything [ ] but )
      | \w+ n't | isnt | wasnt | doesnt | wouldnt | cannot | cant | aint
      | wrong | incorrect | false | inaccurate | mistaken | absent | lacking | lacks? | missing
      | nowhere | overstat\w+ | exaggerat\w+ | stretch | unlikely | doubtful | questionable
      | impossible | inappropriate | misleading | mislabel\w+ | far-fetched | ruled [ ] out
      | excluded | if | unless | whether | fails? | failed | reject\w* | debatable
      | unconvincing
      | until | up [ ] to [ ] a [ ] point | ironically | sarcastically | jokingly | supposedly
      | in [ ] name [ ] only | only [ ] in | at [ ] best | at [ ] first | on [ ] the [ ] surface
      | as [ ] much [ ] as | as [ ] if | by [ ] (?: mistake | accident ) | than | too [ ] strong
      | pretend\w* | instead
      | implausible | improbable | unsuitable | unfit | not \s* $
    ) \b
    """,
    re.VERBOSE,
)
UNSPACED_STARTS = re.compile(
    r"[.,;:!?\n]|--|而是|所以|因此|但|ではなく|じゃなく|でなく|ではなくて|よりも|というより"
)
KANA = re.compile("[\u3040-\u30ff]")
CHINESE_SAYS = re.compile(
    r"""
    (?: ^ | 是 | 为 | 為 | 属于 | 屬於 | 作 | 成 | 到 | 偏 | 呈 | 很 | 非常 | 的 | 了 | 选
      | 選 | 选择
      | 表达 | 表達 | 情感 | 情绪 | 态度 | 类别 | 类 | 标签 | 答案 | 就 | 体 | 体现 | 整体
      | 总体 | 明显
      | 比较 | 较 | 较为 | 一 | 封 | 条 | 條 | 个 | 個 | 种 | 種 | 则 | 篇 | 项 | 份 | 件
      | 部 | 作者 | 文章
      | 文本 | 持 | 类型 | 评价 | 评论 | 内容 | 邮件 | 消息 | は | が | この | その | の
      | とても | やや | を
      | ["'\[(\s] )
    ["'\[(\s]{0,3} $
    """,
    re.VERBOSE,
)
CHINESE_SUPPOSES = re.compile(r"(?:如果|假如|要是|除非|倘若|若)[^.!?\n]*$")
CHINESE_DOUBTS_AFTER = re.compile(r"[差险伪装似貌曾不非无無未沒没难難否别別吗嗎怪错錯假小低少么?]")
CHINESE_DOUBTS = re.compile(
    r"[差险伪装似貌曾不非无無未沒没难難否别別勿岂豈莫毫假若如怎何疑缺反]|很少|鲜|ない|なく|ません|ぬ|すぎ|まい"
)
JAPANESE_SAYS = re.compile(
    r"""
    ["')\]]{0,3} (?: 的 | 性 )? (?: な | の )?
    (?: もの | レビュー | メール | 評価 | 感情 | 内容 | 意見 | コメント | ラベル | 文章
      | 表現 | 印象
      | 评论 | 評論 | 评价 | 情感 | 情绪 | 態度 | 态度 | 邮件 | 消息 | 内容 | 类别 | 类
      | 倾向 | 意见 | 观点
      | 短信 | 新闻 | 文本 | 感受 | 反馈 | 标签 | 類 )?
    (?: です | だ | である | でした | でしょう | だと | と | に )?
    (?: 判断 | 分類 | 分类 | 考え | 思い | 思わ | 思う | 言え | いえ | み | 見な | 該当
      | 属し | 判定 | なり )?
    (?: し | され | られ | でき | ら )? (?: れ )? (?: ます | ました | る | す )?
    (?: ね | よ | 的 | 了 )?
    ["')\]]{0,3} \s? (?: $ | [.,;!\n(:。、] | -- )
    """,
    re.VERBOSE,
)
THAI_SAYS = re.compile(
    r"""(?: ^ | เป็น | คือ | เชิง | ว่า | ความรู้สึก | ข้อความ
      | ["'(:\s] ) ["'(\s]{0,3} $""",
    re.VERBOSE,
)
THAI_DOUBTS = re.compile(r"ไม่|มิ|หาก|ถ้า|ยาก|ไร้|แทบ|ขาด")
THAI = re.compile("[\u0e00-\u0eff]")
# Nouns whose article is a part of them, in Hebrew and Arabic.
WITH_ARTICLE = re.compile(r"ה[\u05d0-\u05ea]{3,}|و?ال[\u0621-\u064a]{2,}")


def is_affirmed(low: str, start: int, end: int) -> bool:
    """Whether everything around low[start:end], a label in folded shaped text that is not denied
    outright (negation.py), is understood and says it.
    """
    before = low[max(0, start - BEFORE) : start]
    after = low[end : end + AFTER]
    if words.is_unspaced(low[start]) or words.is_unspaced(low[end - 1]):
        return _is_affirmed_unspaced(before, after)
    if SLASHED.match(after) or lists.REFUTED.match(after):
        return False
    if IDIOM_AFTER.match(after) and IDIOM_BEFORE.search(before):
        return False
    if FALSE_BEFORE.search(before):
        return False
    clause = NO_DOUBT.sub("clearly", _clause(before))
    after = low[words.ends_noun(low, end) : end + AFTER]
    ahead = ENDS.search(after, 1) if after[:1] == " " else ENDS.search(after)
    following = after[: ahead.start()] if ahead else after
    own = low[start:end].split()
    tokens = [token for token in _tokens(clause) if token not in own]
    later = [token for token in _tokens(following) if token not in own]
    is_english = any(token in harmless.ENGLISH for token in (*tokens, *later))
    if not _are_harmless(tokens, True) or (tokens and tokens[0] in SUPPOSES):
        return False
    if INFINITIVE.match(following) and not GERMAN_IS.search(clause):
        # "Es ist schwer, das als positiv zu bezeichnen" hangs on what stands before its comma.
        return False
    is_asked = ASKS.match(clause) and not after.startswith("?")
    if is_asked or OTHERS.search(clause):
        return False
    if SLIGHT_BEFORE.search(clause) or NOT_AFTER_ALL.search(after):
        return False
    if not later or (is_english and tokens):
        return TAKEN_BACK.search(following) is None
    return _are_harmless(later, False) and TAKEN_BACK.search(following) is None


def _clause(before: str) -> str:
    """The clause in front of a label; a comma ends none where what follows hangs on what stood
    before it ("I doubt, frankly, that it is", "not, in my view,").
    """
    # The sentence first: plain text is looked for faster than an expression.
    before = before[max(map(before.rfind, ".;:!?\n")) + 1 :]
    start, is_open = 0, False
    for sign in STARTS.finditer(before):
        if sign[0] not in ",()":
            start, is_open = sign.end(), False
            continue
        is_open = is_open or HANGING.search(before, start, sign.start()) is not None
        if not is_open and not SUBORDINATE.match(before, sign.end()):
            start = sign.end()
    return before[start:]


def _tokens(text: str) -> list[str]:
    """The words of a text, with the letters in them."""
    tokens = [token.strip("'-–`_*") for token in TOKEN.findall(text)]
    return [token for token in tokens if _LETTER.search(token)]


def _are_harmless(tokens: list[str], is_before: bool) -> bool:
    """Whether each word is known, or is a noun after an article.

    Args:
        tokens: the words in their order.
        is_before: whether a label follows, so that the last one must be known itself.
    """
    left = 0
    for place, token in enumerate(tokens):
        if token in harmless.TURNING:
            return False
        if token in harmless.NOUN_BEFORE:
            left = 2 if token in harmless.ENGLISH_BEFORE else 1
        elif _is_known(token):
            left = left if token in harmless.WITHIN_NOUN else 0
        elif left and not (is_before and place == len(tokens) - 1):
            left -= 1
        else:
            return False
    return True


def _is_known(token: str) -> bool:
    if token in harmless.WORDS:
        return True
    if token.isascii():
        parts = re.split(r"['-]", token)
        if len(parts) > 1 and all(part in harmless.WORDS or part == "s" for part in parts if part):
            return True
        return len(token) > 5 and token.endswith("ly") and not WEAKENING.fullmatch(token)
    return WITH_ARTICLE.fullmatch(token) is not None


def _is_affirmed_unspaced(before: str, after: str) -> bool:
    """The same in a script without spaces, where a denial may be any sign of the clause."""
    clause = UNSPACED_STARTS.split(before)[-1]
    if THAI.search(clause + after[:1]):
        rest = re.split(r"[.,;:!?\n]|\s{2}", after)[0]
        return not THAI_DOUBTS.search(clause + rest) and THAI_SAYS.search(clause) is not None
    if CHINESE_DOUBTS.search(clause) or CHINESE_SUPPOSES.search(before):
        return False
    if not CHINESE_SAYS.search(clause):
        return False
    if JAPANESE_SAYS.match(after):
        return True
    # A denial stands before in Chinese, and after in Japanese.
    rest = UNSPACED_STARTS.split(after)[0]
    return not KANA.search(clause + rest) and not CHINESE_DOUBTS_AFTER.search(rest)
