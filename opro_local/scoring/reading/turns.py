r"""Where a model that has answered goes on with a next example: "positive\n\nReview: ...".

For: the openings of a next input, whatever the prompt calls it: by name, by number, by a rule or a
chat's own marks, or by their shape. Not for: whether what stands before one is an answer
(labels.py, marks.py), stop strings (problems/prompt/layout.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Words with which prompts and data begin an input.
_NAMES = r"""(?=[^\W\d_])(?:
    Q | Question | Query | Input | Text | Review | Sentence | Premise | Passage | Paragraph | Tweet
  | Post | Message | SMS | E-?mail | Context | Title | Headline | Comment | Example | Problem | Task
  | Exercise | User | Human | Customer | Ticket | Item | Row | Sample | Case | Test | Document
  | Article | Statement | Claim | Instruction | Prompt | Utterance | Dialogue | Conversation
  | Abstract | Snippet | Puzzle | Riddle | Next | Case | Entry
  | Frage | Eingabe | Satz | Beispiel | Aufgabe | Rezension | Nachricht | Bewertung | Kommentar
  | Question | Entrée | Texte | Phrase | Exemple | Avis | Pregunta | Entrada | Texto | Frase
  | Ejemplo | Reseña | Problema | Domanda | Testo | Esempio | Recensione | Pergunta | Exemplo
  | Вопрос | Текст | Отзыв | Пример | Вход | 问题 | 問題 | 質問 | 文本 | 输入 | 入力 | 评论
  | 例 | 示例 | 例题 | レビュー | 질문 | 입력 | 리뷰 | 예제 | السؤال | النص
)"""
# A line that begins a next input by name or number: "Review:", "Example 2", "### Input".
NAMED = re.compile(
    rf"""
    \n \s{{0,9}} (?: [*\#>_]{{1,6}} [ ]? )?
    (?:
        (?: \d{{1,3}} [.)] [ ] )? {_NAMES} (?: [ ] (?: text | body ) )? [ ]? \#? \d{{0,4}}
        [*_]{{0,2}} [ ]? [:：]
      | {_NAMES} [ ] \#? \d{{1,4}} [*_.:)]{{0,3}} [ \t]* (?= \n )
    )
  | \n \s{{0,9}} \#{{2,4}} [ ] (?: {_NAMES} ) \b
  | \n [ \t]{{0,9}} (?: -{{3,}} | ={{3,}} | \*{{3,}} | \#\#\# ) [ \t]* (?= \n )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Where the expression above may match: it has too many words to be tried at every line.
MAY_OPEN = re.compile(r"\n[ \t]{0,9}(?:[^\n:：]{0,80}+[:：]|#{2,4} |[^\n]{0,40}+[ \t]*+(?=\n))")
# How chats mark a next turn.
CHAT_MARKS = (
    *("<|im_start|>user", "<|user|>", "[INST]", "<|eot_id|>", "<|endoftext|>"),
    "<start_of_turn>user",
)
# After an empty line, a short name with a colon: the shape of an input, whatever its name.
SHAPED = re.compile(
    r"\n[ \t]*\n\s{0,9}[*#_]{0,3}(?P<name>[^\W\d_][\w #'/-]{0,30})[*_]{0,2}[ ]?[:：](?=\s|$)"
)
# Names of that shape that begin no input but go on with the answer.
GOES_ON = re.compile(
    r"""
    answer | final | correct | however | \b but \b | edit | update | revis | wait | actual | conclu
  | label | class | sentiment | categor | verdict | result | output | decision | overall | summary
  | therefore | note | total | score | rating | prediction | antwort | ergebnis | fazit | réponse
  | respuesta | risposta | resposta | ответ | итог | 答案 | 结论 | 答え | 結論 | 정답
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The same on the line of an answer that is given: "The answer is 7. Next question: ...".
INLINE = re.compile(
    r"""
    [.!?] \s{1,3} [*_]{0,2}
    (?: (?: next | new ) [ ] (?: question | problem | example | task | input )
      | question [ ] \d{1,3} | (?-i: Q\d{0,3} ) )
    [*_]{0,2} [ ]? :
    """,
    re.IGNORECASE | re.VERBOSE,
)
MOST = 3
SHORT = 60
# What shows that an answer has been given.
ANSWERED = re.compile(
    r"\#\#\#\#|boxed\{|\b(?:answer|label|class|sentiment|output)\b[*_\"]{0,3}\s?(?::|is\b)|</",
    re.IGNORECASE,
)


def openings(answer: str) -> Iterator[int]:
    """Where a next example may begin, the surest kind first."""
    start = len(answer) - len(answer.lstrip())
    for mark in CHAT_MARKS:
        if (place := answer.find(mark, start)) > start:
            yield place
    if "\n" not in answer:
        return
    count = end = 0
    for line in MAY_OPEN.finditer(answer, start):
        named = NAMED.match(answer, line.start()) if line.start() >= end else None
        if named:
            count, end = count + 1, named.end()
            yield named.start()
        if count == MOST:
            break
    for count, shape in enumerate(SHAPED.finditer(answer, start)):
        if count == MOST:
            return
        if is_short(answer[: shape.start()]) and not GOES_ON.search(shape["name"]):
            yield shape.start()


def first(answer: str) -> str:
    """The answer up to where a next example begins, where what stands before it is short or gives
    an answer by a mark; else all of it.
    """
    # Plain tests: every answer passes here.
    if "uestion" in answer or "Q" in answer or "ext " in answer or "ew " in answer:
        following = INLINE.search(answer)
        if following and ANSWERED.search(answer, 0, following.start()):
            return first(answer[: following.start() + 1])
    for place in openings(answer):
        before = answer[:place]
        says = before.strip(" \t\r\n*#_")
        if says and not says.endswith((":", "：")) and (is_short(says) or ANSWERED.search(says)):
            return before
    return answer


def is_short(text: str) -> bool:
    """Whether a text is one short line."""
    text = text.strip()
    return len(text) <= SHORT and "\n" not in text
