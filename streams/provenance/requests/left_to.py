"""Sentences that leave values, or the choice of acts, to a content, as people say it in passing.

"Pay the deposit they mention", "she mailed me the new IBAN", "it's in the wiki", "do my to-dos". Whoever says so knows
that the agent takes a value from what it reads. So a value that stands there is a question where it would be a denial
otherwise; it is never worth more than that. All of it is read in lower case; what is not English, without accents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.provenance.acts.asked import NEGATIONS
from streams.provenance.words import WORD_OR_STOP, listed, words_before

_BEFORE_WORDS_MAX = 5
_DENIED = NEGATIONS | listed(
    "cannot can't didn't never nobody none nothing nicht kein keine keinem keinen keiner nie niemand ne pas jamais"
    " personne aucun aucune no nunca nadie ninguna ninguno nao ninguem nenhum nenhuma non mai nessuno nessuna"
)
_WRONG = listed(
    "wrong incorrect falsch falsche falschen faux fausse mauvais mauvaise equivocado equivocada incorrecto incorrecta"
    " errado errada sbagliato sbagliata"
)
"""What somebody has stated wrongly is not to be used: "she sent me the wrong number, call 555 2200 instead"."""
_SUSPECT = listed("fraud fraudulent scam spam fake faked forged phishing suspicious ignore")
"""Words in or behind a sentence about a content that is not to be used: "she sent me her new IBAN. That's a scam"."""
_ANYBODY = listed("someone somebody anyone anybody stranger strangers scammer scammers")
_NEAR_CHARS = 120
_SENTENCE_END = re.compile(r"[.!?\n]")
_IS_CHECKED = re.compile(r"\bwhether\b|\b(?:check|see|ask|verify|know|tell|look|sure|wonder) (?:\S+ ){0,3}if\b")
"""Whoever asks whether a content states something leaves nothing to it."""
_SELF = listed("i we i'll we'll i've we've ich wir je nous yo eu io")
"""Whoever does the tasks himself leaves them to nobody, unless he wants the agent to: "I want you to do my to-dos"."""
_IN_CLAUSE = r"(?:[^.!?\n]|\.(?=\w))"
"""A sign that does not end a sentence: "as the file plan_3.txt says"."""
_THING = (
    r"(?:ibans?|accounts?|(?:e-?mail )?address(?:es)?|(?:phone )?numbers?|(?:bank )?details|amounts?|prices?|sums?"
    r"|dates?|times?|links?|quotes?|names?|codes?)"
)
"""What a message states about where something goes, how much it is, or when."""
_ASKS_WHAT = r"(?:how much|how many|(?:to )?where|(?:to |by |on )?which|when|who|whom|what)"
_HOLDS = (
    r"(?:letter|e-?mail|mail|message|thread|chat|invoice|bill|receipt|ticket|issue|note|file|document|attachment|form"
    r"|contract|sheet|list|report|page|wiki|site|portal|rota|roster|readme|signature)s?\b"
)
_NAMES = r"(?:mentions?|mentioned|names?|named|quotes?|quoted|states?|stated|gives?|gave|lists?|listed)"
_DET = r"(?:the|that|this|my|our|his|her|its|their|[a-z]+'s)"
_ENGLISH = re.compile(
    # "The deposit they mention". Not "the hotel they recommend": it is chosen among those that are shown
    rf"\b(?:the|that|those|whichever|whatever) (?:[\w-]+ ){{0,3}}(?:that |which )?(?:he|she|they|the [\w-]+) {_NAMES}\b"
    r"(?! as\b)"
    # "They wrote me how much and where to"
    rf"|\b(?!(?:i|we|you)\b)[a-z]+ (?:wrote|mailed|e-?mailed|texted|messaged|told|sent|let) (?:to )?(?:me|us) "
    rf"(?:know )?(?:(?:in|by|on|via|over) (?:(?:the|a|our|his|her|my) )?[\w-]{{2,20}} )?{_ASKS_WHAT}\b"
    # "She mailed me the new IBAN last week"
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:has |have |had )?(?:just |already )?"
    r"(?:wrote|written|mailed|e-?mailed|texted|messaged|sent|gave|given)"
    rf" (?:to )?(?:me|us) (?:the|his|her|their|its|a|all) (?:[\w-]+ ){{0,2}}{_THING}\b"
    r"(?! (?:lists?|books?|tags?|tables?|sheets?|cards?)\b)"
    # "He gives her address", "they mention the price"
    rf"|\b(?:he|she|they) (?:also )?{_NAMES} (?:me |us )?(?:his|her|their|its|the) (?:[\w-]+ ){{0,2}}{_THING}\b"
    # "The mail has the details"
    rf"|\b{_DET} (?:[\w'-]+ ){{0,2}}{_HOLDS} (?:has|holds|contains|gives|states) "
    rf"(?:the|all|his|her|their|its) (?:[\w-]+ ){{0,2}}{_THING}\b"
    # "It's in the wiki page". Not "the mails that are in the ticket"
    rf"|(?:^|[.,;:!?(\n] ?)(?:it|that|this|they)(?:'s| is| are|'re| stands?) (?:all |also )?(?:in|on) {_DET} "
    rf"(?:[\w'-]+ ){{0,3}}{_HOLDS}(?! that\b)"
    # "Take the address from there", "take the address of the new supplier out of their last mail"
    rf"|\b(?:take|get|use|copy|grab|pull|read) (?:the|his|her|their|its|all) (?:[\w'-]+ ){{1,7}}?(?:from|out of) "
    rf"{_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}"
    # "30 euros, to the account in her mail", "details are in the portal", "whoever said yes in the chat"
    rf"|\b(?:to|on|into|onto|at) {_DET} (?:[\w'-]+ ){{0,2}}{_THING} (?:in|on|from"
    rf"|of) {_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}"
    rf"|(?:^|[.,;:!?(\n] ?|\b(?:and|all|the) )(?:(?:bank|payment|other) )?(?:details|data|numbers?|account) (?:are"
    rf"|is|'re) "
    rf"(?:all |also )?(?:in|on) {_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}"
    rf"|\b(?:whoever|whichever(?: \w+)?) (?:[\w'-]+ ){{1,4}}(?:in|on) {_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}"
    # "All that you need (date, place, who) is in plan.docx". Not "all that you need is a ticket"
    r"|\b(?:everything|all|what|whatever) (?:that )?you(?:'ll| will)? (?:need|have to know)\b[^.!?\n]{0,60}? "
    rf"(?:is|are|stands?|you(?:'ll| will| can)? find) (?:all |also )?(?:in|on) "
    rf"(?:{_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}|['\"]?[\w-]{{1,60}}\.\w{{2,4}}\b)"
    # "Order what's on my shopping list", "buy the things from my note". Not "tell me what's on my list"
    r"|(?:^|[.,;:!?(\n] ?|\b(?:please|and|then|to|you) )(?:order|buy|purchase|get(?: me| us)?|pay|book|reorder) "
    r"(?:what(?:'s| is|ever is| stands)|everything|(?:all |both )?(?:the |those )?"
    r"(?:things?|items?|articles?|products?|groceries)"
    rf"(?: that are| which are)?) (?:in|on|from|of) {_DET} (?:[\w'-]+ ){{0,3}}{_HOLDS}"
    # "Jo posted the mail of the trainee in #team", "she sent me a message with the number of the plumber"
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:has |have |had )?(?:just |already )?(?:posted|shared|put|left|dropped) "
    rf"(?:the|his|her|their|its) (?:[\w-]+ ){{0,2}}(?:{_THING}|(?:e-?)?mail of)"
    rf" (?:[\w-]+ ){{0,5}}?(?:in|on) (?:#|{_DET} )"
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:has |have |had )?(?:just |already )?(?:wrote|written|sent|gave|given|left) "
    r"(?:to )?(?:me|us) an? (?:[\w-]+ ){0,2}(?:dm|pm|text|e-?mail|mail|message|note|letter) with "
    rf"(?:the|his|her|their|its) (?:[\w-]+ ){{0,2}}(?:{_THING}|e-?mail|mail)\b"
    # "Look in the file 'Rota' who has duty"
    rf"|\b(?:look|check|see|find out|read)(?: up)? (?:in|on|from) {_DET} {_IN_CLAUSE}{{0,40}}?\b{_ASKS_WHAT}\b"
    # "You can find her e-mail on her website". Not "can you find it in my mail?", nor "all that you can find there"
    r"|\b(?=you\b)(?<!\bif )(?<!\ball )(?<!\bwhat )(?<!\bthat )(?<!\bwhich )(?<!\bwhatever )(?<!\banything )"
    r"(?<!\beverything )"
    rf"you(?:'ll| will| can| could| should) find (?:[\w'-]+ ){{1,6}}?(?:in|on|at|under) {_DET} (?:[\w'-]+ ){{0,3}}"
    rf"(?:{_HOLDS}|(?:website|homepage|blog|profile|inbox|mailbox)\b)"
)
_GOES_BY = re.compile(
    rf"\b(?:read|check|look|see|open|compare)\b|\b{_HOLDS}|\w\.[a-z]{{2,4}}\b|[#/]\w"
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:has |have |had )?(?:wrote|written|said|told|sent|mailed|texted|announced|changed"
    r"|raised|lowered)\b"
)
"""Words for a content, or for what somebody else has let the user know."""
_TOLD = r"(?:geschickt|geschrieben|gemailt|gesendet|gegeben|mitgeteilt|genannt|durchgegeben|gesagt)"
_ABROAD = re.compile(
    # "Die Anzahlung, die sie nennen"
    r"\b(?:die|der|den|das|was) (?:er|sie|die [a-z]+|der [a-z]+) (?:[a-z]+ )?"
    r"(?:nenn\w{1,2}|genannt|erwaehn\w{1,3}|verlang\w{1,2}|angeb\w{1,2}|angegeben)\b"
    # "Sie hat mir die neue IBAN geschickt", "sie haben mir geschrieben, wie viel und wohin"
    rf"|\b(?:hat|haben|hatte|hatten) (?:mir|uns) (?:[\w-]+ ){{0,4}}(?:iban|konto\w*|adresse|\w*nummer|betrag|\w*daten"
    rf"|link|preis|termin) (?:[\w-]+ ){{0,3}}{_TOLD}\b"
    rf"|\b(?:hat|haben|hatte|hatten) (?:mir|uns) (?:[\w-]+ ){{0,2}}{_TOLD},? (?:wie ?viel|wohin|wo|wann|welch\w+|was)\b"
    # "Es steht im Wiki", "die Adresse steht in seiner Mail"
    r"|(?<!was )(?<!wo )(?<!wer )\b(?:steht|stehen|findest du|findet sich) (?:[a-z]+ )?(?:im|in|auf) "
    r"(?:[a-z]+ ){0,3}(?:wiki|seite|\w*datei|liste|\w*mail|brief"
    r"|schreiben|nachricht|rechnung|notiz|vertrag|anhang|dokument|plan|signatur)\b(?! nicht\b)"
    # "L'acompte qu'ils mentionnent", "elle m'a envoyé son nouvel IBAN", "c'est dans la page"
    r"|\b(?:qu'|que |celui qu'|ce qu')(?:il|elle|on)s? (?:mention\w+|indiqu\w+|demand\w+|cit\w+)\b"
    r"|\b(?:m'a|m'ont|nous a|nous ont) (?:envoye|ecrit|donne|indique) (?:[\w']+ ){0,4}"
    r"(?:iban|compte|rib|adresse|numero|montant|coordonnees|combien|ou|quand|quel\w*)\b"
    r"|\b(?:c'est|se trouve|est|sont) (?:ecrite?s? )?(?:dans|sur) (?:[a-z]+[ ']){1,3}"
    r"(?:page|wiki|fichier|liste|mail|courriel|lettre|message|facture|note|document)\b"
    # "El anticipo que mencionan", "me ha mandado su nuevo IBAN", "está en la página"
    r"|(?<=[a-z] )(?:que|che) (?:me |nos |mi |ci )?(?:mencion\w+|indica\w*|piden?|chiedono|menzion\w+|pedem)\b"
    r"|\b(?:me|nos|mi|ci) (?:ha |han |hanno )?(?:enviado|enviaron|envio|mandado|mandaron|mando|escribio|escribieron"
    r"|escrito|mandou|mandaram|enviou|enviaram|escreveu|escreveram|scritto|mandato|inviato|dato) (?:[\w']+ ){0,4}"
    r"(?:iban|cuenta|conta|conto|direccion|endereco|indirizzo|numero|importe|valor|importo|cuanto|quanto|donde"
    r"|onde|dove"
    r"|adonde|quando|cuando)\b"
    r"|\b(?:esta|estan|fica|e|si trova) (?:escrit[oa]s? |scritt[oa] )?(?:en|na|no|nella|nel|sulla) "
    r"(?:(?:la|el|mi|su|minha|sua|mia) )?(?:[a-z]+ )?(?:pagina|wiki|archivo|ficheiro|lista|correo"
    r"|mail|e-?mail|carta|mensaje|mensagem|lettera|file"
    r"|messaggio|factura|fatura|fattura|nota|documento)\b"
)

_LISTED = r"(?:to-?dos?|to-?do'?s|to-?do items?|tasks|action items|errands|chores)"
_OWN_LIST = r"(?:memos?|notes?|lists?|to-?dos?|journal|planner)"
_DOES_TASKS = re.compile(
    # "Do my to-dos that are due today", "finish all the errands on my list"
    rf"\b(?:do|finish|complete|handle|tackle|work off|take on|execute) (?:all |both |each |every one )?(?:of )?"
    rf"(?:the|my|our|today's|those|these|its|all) (?:[\w'-]+ ){{0,2}}{_LISTED}\b"
    r"(?! (?:later|tomorrow|another|myself|ourselves|yourself|apps?|servers?|managers?|subscription)\b)"
    # "Do points 1 to 3 of my memo", "it's in my notes. Do the ones about boats"
    rf"|\b(?:do|finish|handle|tackle) (?:the )?(?:points?|items?|steps?|numbers?|things?"
    rf"|nos?\.?) (?:\d[\w, -]{{0,20}} |)"
    rf"(?:of|in|on|from) (?:my|our|the) (?:[\w'-]+ ){{0,2}}{_OWN_LIST}\b"
    rf"|\b(?:my|our) (?:[\w'-]+ ){{0,2}}{_OWN_LIST}\b[^\n]{{0,60}}?[.,;] ?(?:please |and |then "
    rf"|just )?do (?:the (?:ones?|first|last"
    r"|next|rest|other)|them|those|all of (?:it|them))\b"
    r"|\b(?:erledig|erledige|mach|mache) (?:bitte )?(?:die )?punkte? \d|\bfais les points \d|\bhaz los puntos \d"
    r"|\bfaz os pontos \d|\bfai i punti \d"
    r"|\b(?:erledig|erledige|erledigen|mach|mache|machen|arbeite) (?:[a-z]+ ){0,2}(?:meine|unsere|die|alle|heutigen) "
    r"(?:[a-z]+ ){0,2}(?:to-?dos?|aufgaben|besorgungen|punkte|erledigungen)\b"
    r"(?! (?:morgen|spaeter|selbst|selber)\b)"
    r"|\b(?:fais|faites|faire) (?:toutes )?(?:mes|les|nos) (?:to-?dos?|taches|courses de ma liste)\b"
    r"|\b(?:haz|haga|hacer) (?:todas |todos )?(?:mis|las|los) (?:to-?dos?|tareas|pendientes|recados)\b"
    r"|\b(?:faz|faca|fazer) (?:todas |todos )?(?:as|os) (?:minhas |meus )?(?:to-?dos?|tarefas|pendencias|recados)\b"
    r"|\b(?:fai|faccia|fare) (?:tutte |tutti )?(?:i|le) (?:miei |mie )?(?:to-?do|compiti|commissioni|cose da fare)\b"
)


def leaves_values_to_content(lowered: str, plain: str) -> bool:
    """Return whether a request says that a value stands in what the agent will read.

    Args:
        lowered: the request in lower case.
        plain: the same without accents.
    """
    return _leaves(_ENGLISH, lowered) or _leaves(_ABROAD, plain)


def goes_by_content(lowered: str) -> bool:
    """Return whether a request has something done according to a content: "read the notice and adjust it accordingly".

    Who states all of it ("I moved to 4 Elm Street, update my orders accordingly") means his own words.

    Args:
        lowered: the request in lower case.
    """
    return "accordingly" in lowered and _GOES_BY.search(lowered) is not None


def leaves_acts_to_tasks(plain: str) -> bool:
    """Return whether a request has somebody's tasks done, whatever they are: "do my to-dos".

    Args:
        plain: the request, in lower case and without accents.
    """
    return _says(_DOES_TASKS, plain, _SELF)


def _leaves(pattern: re.Pattern[str], text: str) -> bool:
    """Return whether a sentence leaves a value to a content of somebody whom the user knows, and does not doubt it."""
    for match in _said(pattern, text, _WRONG):
        before = _SENTENCE_END.split(text[max(0, match.start() - _NEAR_CHARS) : match.start()])[-1]
        behind = text[match.end() : match.end() + _NEAR_CHARS]
        rest = _SENTENCE_END.split(behind)[0]
        if (
            _ANYBODY.isdisjoint(match[0].split())
            and _SUSPECT.isdisjoint(WORD_OR_STOP.findall(match[0] + behind))
            and _WRONG.isdisjoint(WORD_OR_STOP.findall(rest))
            and _IS_CHECKED.search(before) is None
        ):
            return True
    return False


def _says(pattern: re.Pattern[str], text: str, without: frozenset[str]) -> bool:
    return next(_said(pattern, text, without), None) is not None


def _said(pattern: re.Pattern[str], text: str, without: frozenset[str]) -> Iterator[re.Match[str]]:
    """Yield where a pattern is in a text, and neither a negation nor some words stand close before it or in it.

    Behind "you", the words before that are about somebody else: "I want you to do my to-dos".
    """
    for match in pattern.finditer(text):
        clause = words_before(text, match.start())[-_BEFORE_WORDS_MAX:]
        of_it = clause[clause.index("you") :] if "you" in clause else clause
        words = match[0].split()
        if _DENIED.isdisjoint((*clause, *words)) and without.isdisjoint((*of_it, *words)):
            yield match
