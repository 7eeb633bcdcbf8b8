"""What people tell at work, and mean to have entered: whose customer it is, what something is called, what is off.

"Cameron Anderson -> qualified" and "Kim's new contact here is Raj" ask for a change as "set it to qualified" does, and
"the training is called off" for what stands in the calendar to go. Read as those of `streams.provenance.wishes`. Only
what a system keeps counts: "Kim's new job is in Rome" has nothing entered.
"""

from __future__ import annotations

import re

from streams.provenance.wishes_at_work import (
    A_TIME,
    BEGINS,
    HIS,
    HOW_LONG,
    MEETINGS,
    NOBODY,
    NOBODY_ABROAD,
    WORK,
    WORK_ABROAD,
)

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


def _kinds(pattern: str, kinds: str) -> tuple[re.Pattern[str], frozenset[str]]:
    return re.compile(pattern), frozenset(kinds.split())


TOLD_AT_WORK: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Cameron Anderson -> qualified": a line that says nothing else
    _kinds(
        r"(?:^|\n)[ \t]{0,3}[^\s?!.;:>=-][^\n?!.;:>=]{1,48}[^\s?!.;:>=-] ?(?:->|=>|-->|\u2192) ?['\"]?"
        r"\w[^\n?!.;:>]{0,40}(?=[ \t.!]{0,3}(?:\n|\Z))",
        "change",
    ),
    # "Dakota's new contact here is Raj", "new title for the last event: Gala"
    _kinds(
        rf"(?:\b[\w-]{{2,30}}(?:'s|s') new {_FIELD}\b"
        rf"|(?:^|[,.;!\n] ?|\bthe )new {_FIELD} (?:of|for) (?!me\b|us\b)\S{{1,40}}) ?"
        r"(?:[^\s.!?;:,]{1,40} ){0,10}?(?:(?:is|will be|should be|becomes) \S|[^\s.!?;:,]{0,40}: ?\S)",
        "change",
    ),
    # "Akira will care for Raj's leads", "Raj inherits Nadia's customers", "from Monday Raj deals with Reese"
    _kinds(
        rf"(?:^|[,.;:!\n] ?|\b(?:and|that|so|then|because) )(?P<verb>{NOBODY}[\w'-]{{1,30}} "
        r"(?:(?:will|shall|should|is going to) (?:care for|look after|deal with|handle|be in charge of"
        rf"|be responsible for|cover|continue with)|inherits|gets) {HIS} {_SOME}{{0,5}}?{WORK}\b)"
        rf"|\b(?:from|as of|starting) (?:now on|today|tomorrow|(?:next )?\w{{3,6}}day|next week|next month),? {NOBODY}"
        r"(?:[\w'-]{1,30} ){1,3}?(?:deals with|cares for|looks after|handles|is responsible for|is in charge of|has"
        r"|gets|covers) (?!to\b|an?\b)\S",
        "change",
    ),
    # "The training is called off", "we don't have to meet", "I'm at the dentist, so no meetings"
    _kinds(
        r"\b(?:is|are) (?:all |both |now )?(?:called off|scrapped)\b"
        rf"|(?:^|[,.;:!\n] ?|\b(?:so|then|and) )(?P<verb>no (?:more )?{MEETINGS}(?=\s*(?:[.,;!\n]|\Z)))",
        "delete change",
    ),
    _kinds(
        # A negation that asks for something stands in the place of the verb
        r"\b(?:i|we|(?:and|or) (?:i|me)) (?P<verb>(?:don't|dont|do not|needn't|no longer) (?:have to |need to )?"
        r"(?:meet|see each other)\b)",
        "delete change",
    ),
    # "Clean that up", "clear them out"
    _kinds(
        rf"{BEGINS}(?P<verb>(?:clean|clear|tidy|sort) (?:it|that|this|them|those|these|all of (?:it|them)) "
        r"(?:all )?(?:up|out)\b)",
        "delete change",
    ),
    # "We should talk, half an hour, tomorrow"
    _kinds(
        r"\bwe (?:should|must|have to|need to|ought to) (?:talk|speak)\b"
        rf"(?=[^.!?\n]{{0,60}}\b(?:{HOW_LONG}|{A_TIME})\b)",
        "create book",
    ),
)
"""English sentences, and the kinds of acts that they ask for. A group `verb` says where the negation stands before."""

TOLD_AT_WORK_ABROAD: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Cameron ist jetzt qualifiziert", "est maintenant", "ahora es", "adesso è", "agora é"
    _kinds(
        r"\b(?:ist|sind) (?:jetzt|nun|ab jetzt) (?!da\b|hier\b|dort\b|es\b|das\b|er\b|sie\b|so\b|was\b|auch\b)[a-z]"
        r"|\b(?:est|sont) (?:maintenant|desormais) (?!la\b|ici\b)[a-z]"
        r"|\b(?:(?:es|son|esta|estan) ahora|ahora (?:es|son|esta|estan)) (?!aqui\b|alli\b)[a-z]"
        r"|\b(?:e|sono) (?:ora|adesso) (?!qui\b|la\b|li\b)[a-z]"
        r"|\b(?:e|sao|esta|estao) agora (?!aqui\b|ali\b)[a-z]",
        "change",
    ),
    # "Die neue Ansprechpartnerin von Dakota ist Raj", "nuevo título del evento: Gala"
    _kinds(
        rf"\b(?:neue[rns]?|nouveau|nouvelle|nouvel|nuev[oa]|nov[oa]|nuov[oa]) {_FIELD_ABROAD} "
        r"(?:von|fuer|vom|des|der|de|du|del|della|dell'|do|da|pour|para|per)\b ?(?:[^\s.!?;:,]{1,40} ){1,8}?"
        r"(?:(?:ist|wird|lautet|heisst|est|sera|devient|es|sera|e|sara) \S|[^\s.!?;:,]{1,40} ?: ?\S)",
        "change",
    ),
    # "Akira kümmert sich um Rajs Kunden", "s'occupe des clients", "eredita i clienti", "cuida dos clientes"
    _kinds(
        rf"\b{NOBODY_ABROAD}[\w.@-]{{2,40}} (?:kuemmert sich (?:jetzt |ab \w+ )?um|betreut(?: jetzt| ab \w+)?|erbt"
        r"|s'occupe(?:ra)? (?:de|des|du)|herite (?:de|des|du)|hereda|heredara|si occupa (?:di|dei|delle|del)|eredita"
        rf"|cuida (?:de|dos|das|do|da)|herda)\b[^.!?\n]{{1,60}}?\b{WORK_ABROAD}\b",
        "change",
    ),
)
"""The same in German, French, Spanish, Portuguese and Italian, without accents."""
