"""The pieces of a passage about labels or options that are none themselves.

For: one expression that tells marks, words that deny, what divides a list and harmless words. Not
for: what a passage of such pieces says (claims.py).
"""

from __future__ import annotations

import re

# One piece of a passage that is no label, in folded type. Words that say nothing of the labels are
# listed, because any other one might ("lacks", "expected", "hardly").
PIECE = re.compile(
    r"""
    (?P<ending> </ [\w-]{1,30} > )
  | (?P<space> [ \t\r]+ )
  | (?P<number>                             # of an item: "2. joy", "(2) joy", not "joy (1)"
        (?<! [^\s(] ) (?<! [:=][ ] ) (?<! \w\( ) (?<! \w[ ]\( ) [1-9] \d{0,2} [.)] (?= \s | $ )
    )
  | (?P<checked> \[ [ ]? [x✓✔✗✘]? [ ]? \] (?! \( ) | \( [ ]? [x✓✔] [ ]? \) | \( [ ]* \) )
  | (?P<unsure> some [ ] (?: would | might | say | people ) \b
      | \[ [ ]? [-~/.?o] [ ]? \] | \? | % | ~ | ≈ )
  | (?P<shown> [✓✔☑✅👍○⭕] )
  | (?P<struck> [✗✘☐❌✖👎×🚫⬜] )
  | (?P<sign> (?<! [^\s,;|] ) [+-] (?= \w ) )
  | (?P<arrow> -> | => | → | ⇒ | (?<= \S [ ] ) [<>] )
  | (?P<newline> \n+ )
  | (?P<stop> [.;] | ! (?! \w ) )
  | (?P<colon> [:=] )
  | (?P<cell> [|] )
  | (?P<comma> [,、/&+·•] )
  | (?P<right> (?: correct | right | richtig ) \b )
  | (?P<absent>
        (?: is | are | was )? [ ]? (?: not | n't )
        [ ] (?: present | detected | applicable | included | expressed | shown | found
            | mentioned | there | relevant | given | correct | right | true | it | (?: the | an? )
            [ ] (?: (?: right | correct | best ) [ ] )? (?: answer | option | choice | one ) ) \b
      | (?: does | do ) (?: [ ] not | n't ) [ ] (?: apply | appear | fit | occur ) \b
      | (?: false | wrong | incorrect | absent | excluded | missing | n/a | nein | нет
            | falsch | faux | falso
            | n (?= \s* (?: $ | [\n,;|.)] ) )
        | nay | untrue ) \b
      | 0 (?: \.0+ )? (?! [\w%] | [.,]\d ) | 否 | 无 | いいえ | 아니오 | 아니요
    )
  | (?P<nothing>
        (?: none | nothing | neither | no [ ] (?: label | emotion | tag | categor | class | topic )
            \w{0,6} | keine[s]? | aucune? | ninguna? | nessuna? )
        (?: [ ] of [ ] (?: the | these | them | those ) (?: [ ] (?: above | listed | given
            | label | emotion | tag | categor | class | topic ) \w{0,6} )? )?
        (?: [ ] (?: apply | applies | are [ ] present | is [ ] present | fits? | here
            | can [ ] be [ ] assigned ) )? \b
        (?= [\s"'()\]}.!*]* (?: $ | \n | [.!,;] ) )
      | n/a (?! \w ) | ∅ | \{ \s* \} | empty (?: [ ] (?: set | list ) )? \b
    )
  | (?P<present>
        (?: yes | true | present | detected | applicable | included | applies | apply | yep
            | y (?= \s* (?: $ | [\n,;|.)] ) )
        | ja | oui | sí | si | да | wahr | vrai | verdadero | yeah ) \b
      | 1 (?: \.0+ )? (?! [\w%] | [.,]\d ) | 是 | 有 | はい | 예
    )
  | (?P<score> \d+ (?: [.,] \d+ )? | [.] \d+ )
  | (?P<no>
        (?: no | not (?! [ ] (?: only | just | merely ) \b ) | without | neither | nor | never
        | none [ ] of | n't | rather [ ] than | instead [ ] of
        | (?: is | are | was ) n't
        | (?: can't | (?: can | could | would | do | does | did ) (?: [ ]? not | n't ) )
            (?: [ ] (?: be | see | think | believe | show | express | contain | convey | have
                | mention ) )?
        | there's [ ] no
        | there [ ] is [ ] no | nicht | kein e? [nmrs]? | weder | noch | ohne | pas [ ] de | pas
        | ni | sans | sin | non | né | senza | não | nem | sem | не | ни | нет | без ) \b
      | 不是 | 没有 | 沒有 | 无 | 不包括 | 非
    )
  | (?P<but> (?: but | however | so | therefore | thus | hence | aber | sondern
            | mais | pero | sino | ma | mas | но | а ) \b
        | 但是? | 而是 )
  | (?P<either> (?: or | and/or | oder | ou | o | u | или | vs\.? | versus | either ) \b
        | 或者? | または | もしくは )
  | (?P<also>
        (?: and | as [ ] well [ ] as | along [ ] with | together [ ] with | plus | und | sowie | et
        | y | e | и | i | og | och | en | \+ ) \b
      | 和 | 与 | 與 | 及 | 以及 | と | や | 그리고
    )
  | (?P<idle>
        (?:
            the | an? | this | that | these | it | its | i | we | here | there | there's | both
          | not [ ] (?: only | just | merely )
          | text | review | message | sentence | passage | tweet | comment | post | article
          | author | writer | speaker | customer | user | person | ticket | e?mail | document
          | tone | mood | overall | answer | labels? | tags? | emotions? | feelings? | categor
            (?: y | ies ) | class (?: es )? | topics? | sentiments? | genres? | aspects? | intents?
          | set | list | output | result | prediction | final | appropriate
          | applicable | relevant | following | assigned | predicted | identified | detected
          | expressed | conveyed | chosen | selected | multi | multiple | two | three | four | all
            [ ] that [ ] apply
          | is | are | was | were | be | has | have | contains? | includes? | express (?: es )?
          | shows? | conveys? | displays? | reflects? | indicates? | evokes? | mentions? | covers?
          | discuss (?: es )? | concerns? | describes? | sounds? | feels? | seems | about | belongs?
          | falls | classif (?: y | ied ) | labell?ed | tagged | classified | find | see | choose
          | pick | assign | say | think | would | as | to | into | under | in | of | with | for | me
          | also | only | just | primary | primarily | secondary
          | main | mainly | mostly | dominant | clearly | strongly | clear | strong | some | a [ ]
            bit [ ] of | slight | slightly | mild | very | given | input | example | sample | though
          | die | der | das | den | des | ist | sind | lautet | lauten | antwort | kategorien?
          | zeigt | enthält | text (?: es )? | es | dies | dieser | gibt | aussage | hat
          | la | le | les | l | el | los | las | il | lo | gli | est | sont | son | è | sono | são
          | réponse | respuesta | risposta | étiquettes? | etiquetas? | texte | texto | testo
          | catégories? | categorías? | emociones | émotions | emozioni | это | текст | метки
          | ответ | эмоции | категории | json | yaml | xml | plaintext
          | options? | choices? | letter | must | be | my | best | one | fits? | go | going | too
          | definitely | certainly | obviously | surely | leaves?
          | ['’] (?: s | d | ll | m | ve )
        ) \b
      | 标签 | 標籤 | 类别 | 情感 | 情绪 | 答案 | 文本 | 这段 | 表达了? | 包含 | 为 | 的
      | ラベル | 感情 | です | は | を
    )
  | (?P<tag> < [\w-]{1,30} > )
  | (?P<mark> ["'(){}\[\]*\#<>\\$–—-] )
    """,
    re.VERBOSE,
)
