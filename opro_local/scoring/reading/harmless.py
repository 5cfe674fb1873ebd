"""Words that may stand around a label in a sentence that says it, in the languages people use.

For: the words that turn nothing round ("the", "review", "clearly", "eindeutig"), those with which a
noun begins, and those that show a clause to be English. Not for: words that deny (negation.py),
whether a sentence says its label (affirmation.py). A word that is missing here leaves an answer
unread; one that denies and stands here would have it read wrong, so that adverbs are few.
"""

from __future__ import annotations

_ENGLISH = """
    a about above according actually after again all also although always am among an and answer
    appear appears are article as aspect aspects assessment assign assigned assistant at attitude
    author author's based be because been being belong belongs best better between both bot by
    call called can case categorization categorise categorised categorize categorized category
    chat choice choose class classification classified classify clause clear clearly code comes
    comment comments concerns conclude conclusion conclusively consider considered contain
    contains
    content context convey conveyed conveys correct correctly customer data decision deem deemed
    definitely describe described describes description detected determined document does due
    during either email emotion emotional entire entirely entry example experience express
    expressed expresses expressing expression extremely fall falls feedback feel feeling feelings
    feels final finally find first fit fits following for from fully gave general generally get
    give given gives go going goes good great guess had has have he headline hence her here
    high highly
    his i i'd i'll i'm identified identify i've in indeed indicate indicated indicates indicating
    indication input intent intention into is issue it it's item its judge judged judgement
    judgment just kind label labeled labelled lean leaning leans line list look looks made main
    mainly major make makes mark marked matter me mean means media meeting member mention message
    mild model mood more most mostly must my name named nature new news note now number obvious
    of offer on one opinion option or order our out output over overall overwhelming part passage
    person phrase pick picked piece places polarity post predict predicted prediction
    predominant predominantly premise present presents pretty primarily primary probably product
    prompt put query question quite rate rated rating reads really reason reasoning reflect
    reflects regarding relate related relates request response result results return
    review reviewer reviewer's reviews right safe said say saying says score second see seen seem
    seemingly seems selected sentence sentiment sentiments she shows show showing shown shall
    should simply since single snippet so some sound sounds speaker statement still strong
    strongly
    style subject such suggests suggest suggesting summary sure tag tagged tends text texts than
    thank that that's the their them then there therefore these they think third this those
    through
    throughout thus ticket title to today tone topic toward towards turn tweet type under up
    us use
    user user's utterance verdict very via view want was way we we'd we'll well were what
    where which while who whole will with within word words work would write writer writer's yes
    you your question's here's there's what's he's she's they're we're you're question: therefore
    certain certainly undoubtedly doubtless evident evidently apparent apparently plain plainly
    heavy heavily deep deeply total totally complete completely absolute absolutely pure purely
    overwhelmingly slight slightly fairly rather somewhat moderately moderate mild mildly weakly
    decidedly distinctly firmly essentially fundamentally ultimately consistently genuinely truly
    unambiguously unequivocally undeniably unmistakably obviously clearly explicitly
    straightforward
    straightforwardly largely thoroughly exclusively specifically precisely exactly likely
    directly
    typical typically usually normally classic textbook example instance best-fitting appropriate
    suitable applicable relevant dominant prevailing expected assigned resulting leading top
    film movie book story show game food service hotel restaurant place staff product app device
    company plot acting price quality delivery shipping invoice payment account bank card order
    hypothesis entailment relation relationship team department group section domain field area
    comes goes routed route send sent forwarded handle handled handles team's desk queue priority
    level severity urgency language tone's voice remarks remark comment's
    comment about talk talks talking discusses discuss discussing covers cover covering deals deal
    mentions describes explains asks asking complains complaining praises praising recommends
    wants want needs need wishes lives stars star points years other others one boxed mathrm
    textbf
    recommend enthusiastic happy satisfied pleased glad angry upset disappointed unhappy sad
"""
_GERMAN = """
    der die das den dem des ein eine einen einem einer eines dieser diese dieses diesem
    diesen dies
    ist sind war wäre wird wurde würde sein bin ich er sie es wir ihr und als zu zum zur von
    vom für
    im in am an auf aus bei mit nach über hier da daher also somit deshalb folglich insgesamt
    eindeutig klar deutlich sehr stark ganz völlig absolut wirklich wohl wahrscheinlich
    überwiegend definitiv offensichtlich sicher sicherlich zweifellos eher meist hauptsächlich
    grundsätzlich bewertung rezension text stimmung sentiment label klasse kategorie antwort
    nachricht e-mail mail kommentar aussage satz ton tonfall meinung gefühl haltung einstellung
    einstufen eingestuft einstufung klassifizieren klassifiziert klassifiziere einzustufen
    klassifizierung einordnen eingeordnet bewerten bewertet bewerte zeigt drückt
    klingt wirkt scheint erscheint finde denke glaube meine meiner meinung sage sagen lautet gilt
    bezeichnen bezeichnet gehört fällt unter wählen wähle richtige richtig kunde kundin gesamt
    allgemein film ergebnis fazit eine rezensent autor verfasser kategorisieren etikett
    werden kann haben hat aus kritik beitrag artikel ansicht gesamtstimmung grundstimmung
"""
_FRENCH = """
    le la les l' l un une des du de d' d ce cet cette ces c'est c'était est était sont serait être
    il elle je j' on nous ils et en à au aux dans sur pour par avec que qu'il qu'elle comme donc
    ainsi globalement clairement très vraiment tout à fait plutôt assez fortement nettement
    évidemment certainement probablement manifestement majoritairement résolument avis commentaire
    critique texte sentiment ton réponse étiquette catégorie classe message courriel mail phrase
    opinion émotion tonalité article film produit client auteur classer classé classerais classe
    classerait exprime montre semble paraît dirais pense considère qualifie qualifier appartient
    correcte bonne correct bon polarité l'avis l'auteur l'émotion l'étiquette l'opinion d'un
    d'une l'ensemble ensemble l'article général générale globale global du client résultat
    j'étiquetterais j'attribue ressort dégage
"""
_SPANISH = """
    el la los las lo un una unos unas de del al a en por para con que y es son era sería ser está
    este esta esto estos estas ese esa eso su sus se me yo diría digo creo pienso considero como
    muy claramente bastante realmente totalmente completamente definitivamente evidentemente
    obviamente probablemente predominantemente mayormente principalmente reseña opinión comentario
    texto sentimiento tono respuesta etiqueta categoría clase mensaje correo frase emoción
    polaridad artículo película producto cliente autor clasificar clasificaría clasifico clasifica
    clasificado clasificada expresa muestra parece resulta pertenece correcta correcto general
    resultado crítica actitud valoración tiene por lo tanto así
"""
_ITALIAN = """
    che il lo la i gli le l' un uno una un' di del dello della dei degli delle a al allo alla
    in nel
    nella da dal dalla con su per e ed è sono era sarebbe essere questo questa questi queste si
    direi dico penso credo considero come molto chiaramente davvero decisamente assolutamente
    evidentemente probabilmente prevalentemente nettamente abbastanza recensione commento testo
    sentimento sentiment tono risposta etichetta categoria classe messaggio frase opinione
    emozione
    polarità articolo film prodotto cliente autore classificare classificherei classifico
    classificato classificata esprime mostra sembra appare appartiene corretta corretto generale
    risultato critica complesso quindi dunque
"""
_PORTUGUESE = """
    o a os as um uma uns umas de do da dos das em no na nos nas por para com que e é são era seria
    ser está este esta isto esse essa isso eu diria digo acho penso considero como muito
    claramente
    bastante realmente totalmente completamente definitivamente evidentemente obviamente
    provavelmente predominantemente avaliação resenha crítica opinião comentário texto sentimento
    tom resposta rótulo etiqueta categoria classe mensagem frase emoção polaridade artigo filme
    produto cliente autor classificar classificaria classifico classificado classificada expressa
    mostra parece pertence correta correto geral resultado portanto
"""
_OTHER_LATIN = """
    de het een deze dit die is zijn was zou en als van voor in op met te ik er heel erg zeer
    duidelijk echt zeker absoluut overwegend waarschijnlijk recensie beoordeling tekst gevoel
    sentiment toon antwoord label categorie klasse bericht zin mening geclassificeerd
    classificeren classificeer lijkt klinkt toont valt onder behoort juiste
    den det en ett denna detta dessa är var vara och som av för i på med jag skulle säga mycket
    tydligt klart verkligen recensionen recension texten text känslan känsla tonen ton svaret svar
    etiketten kategorin kategori klassen klass klassificeras klassificera tycks verkar
    er et denne dette anmeldelsen anmeldelse meget tydelig tydeligt teksten følelsen klassifiseres
    klassificeres omtalen
    to jest ten ta te ta są był była było i w na z do o dla jako że bardzo wyraźnie zdecydowanie
    raczej opinia recenzja komentarz tekst sentyment ton odpowiedź etykieta kategoria klasa
    wiadomość zdanie nastrój wydźwięk klasyfikuję sklasyfikować oceniam uważam
    je to ten ta tento tato toto byl byla bylo a v na s do jako že velmi jasně jednoznačně recenze
    hodnocení komentář text sentiment tón odpověď kategorie třída zpráva věta nálada
    on tämä tuo ja se hyvin erittäin selvästi selkeästi arvostelu teksti sävy vastaus luokka
    kategoria viesti arvio kommentti
    ez az a egy és van volt nagyon egyértelműen vélemény értékelés szöveg hangulat hangvétel
    válasz címke kategória osztály üzenet
    bu şu o bir ve çok açıkça kesinlikle oldukça genel olarak yorum duygu metin cevap etiket
    kategori sınıf mesaj ifade içeriyor sınıflandırılabilir sınıflandırılır sınıflandırırım
    değerlendirilebilir değerlendirilir inceleme görüş yorumun duygusu metnin tonu
    este e sunt era un o acest această acestui de în pe cu la al a ale că foarte clar recenzia
    recenzie textul sentimentul tonul răspunsul eticheta categoria clasa mesajul comentariul
    là câu này đánh giá bình luận rất rõ ràng văn bản cảm xúc có tính thuộc loại nhãn mang
    ini itu adalah yang ulasan sangat jelas teks sentimen bersifat termasuk kategori label
    nada komentar pesan jawaban dan
"""
_CYRILLIC_GREEK = """
    это этот эта эти этого этой этом он она оно я и в на о об с из к по для как что был была было
    является очень явно однозначно определенно определённо скорее вполне весьма довольно
    отзыв отзыва рецензия рецензии текст текста сообщение письмо комментарий тональность
    настроение чувство тон ответ метка категория категории класс классу относится можно назвать
    считаю думаю выражает носит имеет автор автора фильм фильма классифицировать
    классифицируется оценка мнение общий общая
    це цей ця відгук текст тональність є дуже відповідь категорія повідомлення
    това е отзивът текстът много тоа
    είναι το η ο οι τα του της αυτό αυτή αυτός η κριτική κείμενο συναίσθημα πολύ σαφώς απάντηση
    κατηγορία και
"""
_RIGHT_TO_LEFT_INDIC = """
    هو هي هذا هذه إن أن أعتقد التصنيف من في على إلى و تعتبر يعتبر جدا جداً بوضوح تماما رسالة
    مراجعة نص تعليق شعور مشاعر انها إنها انه إنه
    این آن است متن نظر نقد احساس دسته برچسب خیلی بسیار کاملا پیام یک به عنوان
    זה זו זאת הוא היא הם של את מאוד בהחלט ביקורת טקסט תגובה רגש סיווג סנטימנט הודעה
    यह ये वह है हैं की का के को में से पर और एक बहुत स्पष्ट स्पष्ट रूप समीक्षा भावना टिप्पणी
    पाठ संदेश श्रेणी लेबल वर्ग उत्तर राय रूप वाली वाला लगती लगता होती होता
    이 그 저 것은 것 이것은 이는 리뷰 리뷰는 리뷰의 감정 감정은 텍스트 텍스트는 문장 문장은 메일
    메일은 이메일 이메일은 메시지 메시지는 댓글 댓글은 내용은 전체적으로 매우 아주 분명히 명확히
    확실히 정답 정답은 답은 답변 분류 분류는 분류됩니다 분류할 분류하겠습니다 분류합니다 수
    있습니다
    볼 할 해당합니다 해당됩니다 보입니다 생각합니다 판단됩니다 판단합니다 리뷰입니다 감정입니다
    메일입니다 메시지입니다 내용입니다 평가입니다 의견입니다 이메일입니다 아니라 감성 감성은
    평가 평가는
    전반적으로 입니다 영화에 대한 대해 제품에 사용자 작성자는 작성자의 느낌입니다
"""
WORDS = frozenset(
    " ".join(
        (
            _ENGLISH,
            _GERMAN,
            _FRENCH,
            _SPANISH,
            _ITALIAN,
            _PORTUGUESE,
            _OTHER_LATIN,
            _CYRILLIC_GREEK,
            _RIGHT_TO_LEFT_INDIC,
        )
    ).split()
) - {"nada", "some", "rather", "or", "point", "sin"}
# Articles and prepositions: one unknown word after them is a noun.
_NOUN_BEFORE = """
    the a an this that these those its his her their our my your of in on for with about by unlike
    der die das den dem des ein eine einen einem einer eines dieser diese dieses von mit für über
    zu im auf le la les un une du des de ce cet cette ces sur pour avec el los las una este esta
    esto del al su il lo gli uno questo questa di della dello dei os um uma do da dos das het
    een deze dit van ett denna detta et denne dette ten ta tento tato toto ez az bu bir yang
    этот эта эти этого этой о об в на из هذا هذه این זה है का की के câu
    """
NOUN_BEFORE = frozenset(_NOUN_BEFORE.split())
# After these, two unknown words are one: "the lead actor".
_ENGLISH_BEFORE = """
    the a an this these those its his her their our my your of with about by unlike
    """
ENGLISH_BEFORE = frozenset(_ENGLISH_BEFORE.split())
# Nouns that turn round what follows them, and other words that are no harmless nouns.
_TURNING = """
    mistake error stretch exaggeration overstatement understatement pity joke lie shame insult
    fehler irrtum übertreibung lüge erreur mensonge exagération error mentira exageración errore
    furthest farthest
    doubt opposite contrary inverse reverse antithesis lack absence shortage parody pretense
    pretence
    mockery travesty denial rejection negation failure illusion facade veneer guise myth hint
    trace
    gegenteil mangel fehlen spur parodie verneinung ablehnung weit entfernt schwer kaum keineswegs
    contraire manque absence parodie opposé inverse guère point peu loin
    contrario falta ausencia ausência contrário mancanza assenza nada poco pouco
    tegendeel gebrek motsatsen motsats brist modsatte vastakohta przeciwieństwo brak opak
    ellentéte
    hiány tersi zıttı opusul lipsa kebalikan ngược
    противоположность отсутствие недостаток ההפך ההיפך הגמור העדר חוסר العكس عكس عدم انعدام النقيض
    """
TURNING = frozenset(_TURNING.split())
# Words within a noun's phrase: what follows them is still the noun.
_WITHIN_NOUN = "other overall general whole entire main own first new last"
WITHIN_NOUN = frozenset(_WITHIN_NOUN.split())
# Words by which a clause is known to be English.
_ENGLISH_ONLY = """
    the this that and of with it it's its be are would which i i'd i'm there these those should
    """
ENGLISH = frozenset(_ENGLISH_ONLY.split())
