"""The words with which users of six languages leave something out (`streams.provenance.requests.excluded`).

They are in lower case and without accents.
"""

from __future__ import annotations

import re

from streams.provenance.words import STOP_WORDS, listed

EXCEPTIONS = tuple(
    tuple(words.split())
    for words in (
        *("except for", "except", "excepting", "excluding", "apart from", "aside from", "other than", "save for"),
        *("with the exception of", "instead of", "rather than", "in place of", "leave out", "leaving out", "skip"),
        *("skipping", "exclude", "omit", "omitting", "excluyendo", "excluindo", "escludendo", "excluant"),
        *("ausser", "bis auf", "ausgenommen", "abgesehen von", "mit ausnahme von", "mit ausnahme", "statt", "anstatt"),
        *("anstelle von",),
        *("sauf", "excepte", "hormis", "a part", "a l' exception de", "a l' exception d'", "au lieu de", "plutot que"),
        *("excepto", "salvo", "a excepcion de", "aparte de", "en vez de", "en lugar de"),
        *("exceto", "a excecao de", "com excecao de", "em vez de"),
        *("tranne", "eccetto", "fuorche", "a parte", "escluso", "esclusa", "ad eccezione di", "a eccezione di"),
        *("invece di", "invece che", "al posto di"),
    )
)
EXCEPTION_STARTS = frozenset(phrase[0] for phrase in EXCEPTIONS)
EXCEPTIONS_OF_ALL = listed("but menos meno fora")
"""Exceptions only behind a word for all."""
WITHOUT = listed("without ohne sans sin sem senza")
ALL = listed(
    "all every everyone everybody anyone anybody each any whoever whole entire alle allen alles jeder jedem jeden tous "
    "toutes tout toute todos todas todo toda cualquier qualquer tutti tutte tutto tutta chiunque"
)
NOBODY = listed(
    "nobody none nothing niemand niemandem niemanden keiner keinem keinen keine kein personne aucun aucune rien nadie "
    "nada ninguno ninguna ningun ninguem nenhum nenhuma nessuno nessuna niente nulla noone"
)
NONE = listed(
    "nichts nothing kein keine keinen keinem keiner niente nada rien aucun aucune ninguna ninguno ningun nenhum "
    "nenhuma nessun nessuna"
)
"""Words for none of something, besides "no"."""
MESSAGES = listed(
    "mail mails email emails message messages letter letters copy copies invitation invite payment payments money word "
    "words reply answer access invites file files document documents report carta correo"
)
"""What somebody may get none of."""
LEAVES = listed("keep leave lass lasse lassen deja dejad deje dejen deixa deixe lascia lasciate lasci laisse laissez")
AWAY = listed("out off aside weg aus raus draussen fuera fora fuori dehors cote")
"""Where somebody is left who is left out."""
NOT = listed("not nicht pas no non nao")
NEVER = listed("never nie niemals jamais nunca mai keinesfalls")
DONT = listed("don't dont mustn't shouldn't")
DENIES = NOT | NEVER | DONT | {"ne", "n'", "doesn't"}
"""Negations of an act or of a target."""
NEGATIONS = DENIES | NOBODY | {"didn't", "isn't", "nichts"}
LIMITING = listed(
    "only just merely simply solely necessarily sure even yet until till before after more less later earlier longer "
    "so too very all every everything everyone everybody enough that if because nur bloss allein vor erst spaeter "
    "laenger mehr so zu sehr ganz weniger unbedingt wahr alle alles jeder seulement uniquement encore avant plus trop "
    "tous tout toutes solo solamente unicamente antes tan todos todo todas mas so apenas somente tanto soltanto "
    "solamente prima piu tutti tutto ancora muito mai vrai forcement"
)
"""What a negation may limit instead of leaving it out: "not only", "not before"."""
CONDITIONS = listed(
    "until till unless before yet if when while bis bevor ehe solange wenn falls sobald avant jusqu'a jusque jusqu "
    "tant hasta antes ate enquanto prima finche quando cuando quand si se lorsque sans sin sem senza ohne without"
)
"""With one of them, an act is put off, or asked for in another manner."""
LIMITS = re.compile(
    r"\b(?:(?<!rather )(?<!other )than|twice|doppelt|zweimal|mehr als|anderen? als|plus d[e']|autre qu[e']|deux fois"
    r"|mas (?:de|que)|dos veces|mais d[eo]|duas vezes|piu di|altr[oi] che|due volte)(?!\w)"
)
"""With one of them, an act is wanted, but not so much of it, or for nobody else: "not more than 300", "not twice"."""
CONTRASTS = listed("but sondern aber mais sino pero mas ma bensi though however instead stattdessen")
JOINTS = listed("and or nor und oder noch et ou ni y e o u et")
THEN = listed("and then und dann et puis y luego e depois poi")
BEFORE = listed(
    "to for with from at on in into by via of about as an fuer mit von bei zu zum zur am im auf in a au aux pour avec "
    "chez de du dans sur par al para con en del ao aos a com em no na per da di alla ai agli alle allo dal dalla "
    "su il lo la le les el los las os as i gli l' d' the my our his her their its this that these those any mein "
    "meine meinen meinem unser unsere unserem dem den der die das des dich mon ma mes notre nos mi mis su sus meu "
    "minha mio mia nostro nostra een"
)
RECIPIENTS = listed("to with an mit avec con com a ao aos al alla ai para per for fuer pour")
"""Words before whom something goes to, behind what goes there."""
EMPTY = (
    STOP_WORDS
    | BEFORE
    | JOINTS
    | LIMITING
    | CONDITIONS
    | NOBODY
    | listed(
        "one ones other others rest weiteres "
        "anyone anybody anything everyone everybody someone somebody it them one else again more today tomorrow now "
        "ever either please yes okay ok mehr wieder heute morgen jetzt bitte es ihn sie ihm ihr ihnen mir uns "
        "ich du wir etwas jemand jemandem encore lui leur moi nous vous rien cela ca ello ella ellos nada isso isto "
        "mim ele ela lei loro me te mich dir euch und je tu il elle yo eu io"
    )
)
IS = listed(
    "is was are were am be been being does did has have had can could will would might do i'm it's that's he's she's "
    "isn't wasn't ist war sind waren est c'est etait es era foi e' fu"
)
"""Verbs before a negation that tells something."""
HAS_DONE = listed("is are was were has have had did got sind waren haben hatten hat ont sont han hanno sono foram")
"""Verbs behind an exception from what has happened: "everybody except Kim has answered"."""
TELLS = listed(
    "ich wir er man habe hat haben hatte hatten ist war bin sind waren wurde wurden kann koennen konnte weiss gibt "
    "kam kommt"
)
"""Words of German clauses in which a negation tells something."""
OBLIGES = listed("must should may shall mustn't shouldn't")
OBLIGES_ABROAD = listed(
    "soll sollen sollst sollte sollten darf darfst duerfen duerfte doit doivent devrait dois devez faut debe deben "
    "debes deberia deve devem deves deveria devono devi dovrebbe"
)
WANTS = listed("will moechte wollen veux veut voulons voudrais quiero queremos quero voglio vogliamo")
THAT = listed("dass que che qu'")
LEARNS = listed(
    "get receive know be have see hear find read learn notice bekommen bekommt erfahren erfaehrt sehen wissen lesen "
    "erhalten kriegen merken recevoir savoir voir etre lire saber recibir ver enterarse leer receber ler sapere "
    "ricevere vedere essere leggere go gehen"
)
"""What somebody must not who is the subject of the clause."""
FIRST = listed(
    "please and but so just also or then kindly now definitely really absolutely ok okay bitte und aber auch surtout "
    "et mais donc veuillez y pero favor mas e ma tambien tambem anche usted voce per por favore ou o assolutamente "
    "sobre todo alors dann que che to"
)
"""What may stand before an order not to do something, at the beginning of a clause."""
TELLS_OTHERS = listed(
    "tell ask remind inform advise warn say sag frag erinner bitt dis dites demande rappelle di dile diles digli dille "
    "digale pidele recuerdale diz diga lembra pede avvisa avvisalo ricordagli chiedigli"
)
"""Orders to tell somebody what follows."""
ALSO_ACTS = listed(
    "cc'ing ccing bccing "
    "call cc bcc copy contact include involve use touch give go ping let tell show disclose reveal leak email phone "
    "ask do donne donner da dar des dia gib geben zeig zeigen ruf anrufen montre montrer muestres mostrar "
    "mostres mostrare usar usare utiliser benutze verwende nutze digas diga decir dis dire diga dizer dille"
)
NO_ACT = listed("stop leave skip exclude omit ignore miss forget fail hesitate wait keep mind worry lose open close")
"""Verbs whose negation asks for something: "don't forget Eve", "don't leave Eve out"."""
GIVING = frozenset(("send", "post", "share", "pay"))
GIVING_TO = listed("call cc bcc contact include involve give tell show ping disclose reveal leak ask email phone let")
FILLERS = listed("ever please also either even surtout bitte nunca mai jemals")
CLITICS = listed(
    "le les lo la los las se me te nos lhe lhes o a os as gli li ne ci mi vi y en l' lui leur m' t' s' ihm ihr ihnen"
)
RESUMES = listed(
    "it them her him that these those one ones sie ihn ihm ihr ihnen es le la les lui leur lo los las li gli lhe lhes"
)
RESUMES_AT_END = re.compile(r".{3,}(?:lo|la|los|las|gli|le|li|-le|-la|-les|-lui|-leur|-lhe|-o|-a)\Z")
LEAVING_OUT = EXCEPTION_STARTS | EXCEPTIONS_OF_ALL | WITHOUT | DENIES | NONE | LEAVES | {"avoid"}
"""Words at which something may be left out."""
