"""What people tell at work, and mean to have entered: whose customer it is, what something is called, what is off.

"Kim's new contact here is Raj" asks for a change as "set it to Raj" does, and "the training is called off" for what
stands in the calendar to go. Only what a system keeps counts: "Kim's new job is in Rome" has nothing entered.

**Idea.** Who only tells something, and asks for nothing, expects it to be entered. As soon as anything in the message
asks, looks up, reports, denies or sets a condition, it says nothing: in "find out what Kim's new number is" and "check
whether the training is called off" the same words stand. So the whole message is looked at, and in doubt nothing is
asked for, which makes an act a question.

Not read so, as they mean other things as often: "Berlin -> Hamburg", "it is now cold" (`ist jetzt`), "no meetings", "we
don't meet".
"""

from __future__ import annotations

import re
from itertools import chain

from streams.provenance.acts.wishes_at_work import (
    A_TIME,
    HIS,
    HOW_LONG,
    NOBODY,
    NOBODY_ABROAD,
    WORK,
    WORK_ABROAD,
    wish,
)
from streams.provenance.sieved import SievedSet
from streams.provenance.words import listed

_FIELD = (
    r"(?:title|name|subject|contact|manager|adviser|advisor|owner|agent|address|phone|number|email|mail|status|stage"
    r"|priority|date|deadline|due date|time|slot|room|desk|place|rate|price|fee|label|plan|tariff|supplier|doctor)"
)
"""What a record says of something, and people say when it changes."""
_FIELD_ABROAD = (
    r"(?:titel|name|betreff|kontakt|ansprechpartner(?:in)?|betreuer(?:in)?|berater(?:in)?|adresse|nummer|telefonnummer"
    r"|e-?mail|status|frist|termin|uhrzeit|raum|preis|tarif"
    r"|titre|nom|objet|contact|conseillere?|numero|statut|date|heure|salle|prix|echeance"
    r"|titulo|nombre|asunto|contacto|asesora?|direccion|correo|estado|fecha|hora|sala|precio|plazo"
    r"|nome|assunto|contato|endereco|data|preco|prazo"
    r"|titolo|oggetto|contatto|referente|indirizzo|stato|ora|prezzo|scadenza)"
)
_SOME = r"(?:[^\s.!?;:,]{1,40} )"
# Where it stands, or how somebody finds it, is not the value of a field.
_A_VALUE = (
    r"(?!(?:in|on|at|from|by|with|as|a|an|the|there|here|below|above|attached|given|also|still|already|very|so|too|good"
    r"|great|nice|fine|better|worse|unclear|different|important|urgent|confusing|strange|wrong|right|missing|unknown|away|ill|sick|off|back|free|busy|im|am|auf|bei|dort|hier|da|ein|eine"
    r"|noch|schon|sehr|nett|gut|falsch|krank|weg|dans|sur|chez|la|ici|tres|bon|bonne|faux|en|un|una|une|uma|no|na|muy"
    r"|muito|aqui|alli|ali|bueno|buena|bom|boa|nel|nella|qui|li|molto|buono|buona)\b)\S"
)


_ASKS = re.compile(
    r"[?\u00bf]|\b[a-z]{1,6}[-_#]\d|n't\b|\b(?:(?:do|does|did|is|are|was|wo|ca|should|must|need)nt|cannot|in case"
    r"|sum (?:it |this )?up|go (?:through|over)|(?:please|and|then) open)\b"
    r"|\b(?:read|look(?!s? after)|check|find|search|show|summar|tell|know|say|hear|heard|wonder|review|compar|verif"
    r"|confirm|expla|describ|answer|reported|learn|remind|ask|claim|believ|think|thought|guess|suppos|translat"
    r"|recap|schau|sieh|pruef|such|find|zeig|sag|fass|wiss|frag|regard|cherch|trouv|montr|demand|resum|revis|busc"
    r"|encuentr|muestr|mostr|pregunt|procur|pergunt|guard|controll|cerc|trov|riassum|chied)\w{0,10}"
    r"|^\W{0,3}(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|open|ist|sind"
    r"|wird|hat|haben|kann|est|es|esta)\b"
)
"""A question, the id of something to look at, a negation, a verb for reading or telling, or a verb in front."""
_ASKING_WORDS = listed(
    "what which who whom whose where when why how whether if unless until till once inform informs informed found see "
    "seen saw list said told says wrote writes written writing fetch watch mention mentions according apparently "
    "maybe perhaps probably seems sounds might could would not never no nobody nothing none without was wer wen wem "
    "wo wann warum wieso wie welche welcher welches ob wenn falls sobald bis lies lesen gelesen liest nenn nenne "
    "weiss steht schreibt gehoert hoere meint angeblich vielleicht laut nicht kein keine keinen nie ohne qui que quoi "
    "quel quelle quels quelles quand pourquoi comment combien si lorsque lis lire lit lisez lu dis dit dites dire "
    "savoir sais ecrit entendu selon ne pas jamais sans aucun aucune verifie verifier quien cual cuales donde cuando "
    "cuanto como lee leer lei mira dime dice dicen dijo decir saber sabes escribe oido quiza quizas segun sin nunca "
    "nadie ningun ninguna quem qual quais onde quando quanto se leia ler veja ver diz dizem diga dizer sei talvez "
    "segundo nao nem sem chi cosa che quale dove perche come leggi leggere legge dimmi sapere scrive forse secondo "
    "non senza nessun nessuno"
)
_LETTERS = re.compile(r"[a-z]+")
_CHARS_MAX = 600
"""A message that is longer does more than to tell something."""


_TOLD: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Dakota's new contact here is Raj", "new title for the last event: Gala"
    wish(
        rf"(?:\b[\w-]{{2,30}}(?:'s|s') new {_FIELD}\b"
        rf"|(?:^|[,.;!\n] ?|\bthe )new {_FIELD} (?:of|for) (?!me\b|us\b)\S{{1,40}}) ?"
        r"(?:[^\s.!?;:,]{1,40} ){0,10}?"
        rf"(?:(?:is|will be|should be|becomes) {_A_VALUE}|[^\s.!?;:,]{{0,40}}: ?{_A_VALUE})",
        "change",
    ),
    # "Akira will care for Raj's leads", "Raj inherits Nadia's customers", "from Monday Raj deals with Reese"
    wish(
        rf"(?:^|[,.;:!\n] ?|\b(?:and|that|so|then|because) )(?:{NOBODY}[\w'-]{{1,30}} "
        r"(?:(?:will|shall|should|is going to) (?:care for|look after|deal with|handle|be in charge of"
        rf"|be responsible for|cover|continue with)|inherits) {HIS} {_SOME}{{0,5}}?{WORK}\b)"
        rf"|\b(?:from|as of|starting) (?:now on|today|tomorrow|(?:next )?\w{{3,6}}day|next week|next month),? {NOBODY}"
        r"(?:[\w'-]{1,30} ){1,3}?(?:deals with|cares for|looks after|handles|is responsible for|is in charge of"
        r"|covers) (?!to\b|an?\b)\S",
        "change",
    ),
    # "The training is called off", "ward 3: both drills are scrapped"
    wish(
        rf"(?:^|[.!\n] ?){HIS} {_SOME}{{1,6}}?(?:is|are) (?:all |both |now )?(?:called off|scrapped)"
        r"(?=\s*(?:[.!\n]|\Z))",
        "delete change",
    ),
    # "We should talk, half an hour, tomorrow"
    wish(
        r"\bwe (?:should|must|have to|need to|ought to) (?:talk|speak)\b"
        rf"(?=[^.!?\n]{{0,60}}\b(?:{HOW_LONG}|{A_TIME})\b)",
        "create book",
    ),
)
"""English sentences, and the kinds of acts that they ask for."""

_TOLD_ABROAD: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Die neue Ansprechpartnerin von Dakota ist Raj", "nuevo título del evento: Gala"
    wish(
        rf"\b(?:neue[rns]?|nouveau|nouvelle|nouvel|nuev[oa]|nov[oa]|nuov[oa]) {_FIELD_ABROAD} "
        r"(?:von|fuer|vom|des|der|de|du|del|della|dell'|do|da|pour|para|per)\b ?(?:[^\s.!?;:,]{1,40} ){1,8}?"
        rf"(?:(?:ist|wird|lautet|heisst|est|sera|devient|es|sera|e|sara) {_A_VALUE}"
        rf"|[^\s.!?;:,]{{1,40}} ?: ?{_A_VALUE})",
        "change",
    ),
    # "Akira kümmert sich um Rajs Kunden", "s'occupe des clients", "eredita i clienti", "cuida dos clientes"
    wish(
        rf"\b{NOBODY_ABROAD}[\w.@-]{{2,40}} (?:kuemmert sich (?:jetzt |ab \w+ )?um|betreut (?:jetzt|ab \w+)|erbt"
        r"|s'occupe(?:ra)? (?:de|des|du)|herite (?:de|des|du)|hereda|heredara|si occupa (?:di|dei|delle|del)|eredita"
        rf"|cuida (?:de|dos|das|do|da)|herda)\b[^.!?\n]{{1,60}}?\b{WORK_ABROAD}\b",
        "change",
    ),
)
"""The same in German, French, Spanish, Portuguese and Italian, without accents."""
_ALL_TOLD = SievedSet(chain(_TOLD, _TOLD_ABROAD))


def told_at_work(plain: str) -> frozenset[str]:
    """Return the kinds of acts that a message asks for which only tells something that a record holds.

    Args:
        plain: the whole message, in lower case and without accents.
    """
    if len(plain) > _CHARS_MAX:
        return frozenset()
    told = frozenset[str]().union(*(kinds for _, kinds in _ALL_TOLD.matches(plain)))
    if not told or _ASKS.search(plain) is not None:
        return frozenset()
    is_asking = not _ASKING_WORDS.isdisjoint(_LETTERS.findall(plain.replace("si occupa", "")))
    return frozenset() if is_asking else told
