"""What a request asks for in other languages than English in words that no single verb says.

"Dile que llegaré tarde", "souhaite-leur bon courage" and "chiedi a Rui" ask for words to somebody; "envoie 250 euros"
asks for a payment; "bezahl die Rechnung" and "según la carta" leave values to a content. Everything is read in lower
case and without accents. What is English as well is in `streams.provenance.acts.phrases`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from streams.provenance.accents import word_without_accents
from streams.provenance.acts.asked import NEGATIONS, STOPS_ABROAD
from streams.provenance.atoms.number_words import NUMBER_WORDS
from streams.provenance.sieved import Sieved
from streams.provenance.words import LETTERS, listed

TOLD: frozenset[str] = frozenset(("send", "post"))
"""What it means to have another person told, asked, thanked, or wished something."""
_TELLING = listed(
    "frag gratulier gratuliere erinner erinnere begruesse dis dites rappelle rappelez felicite felicitez remercie "
    "remerciez signale signalez souhaitez demandez chiedi chiedete ricorda ricordate augura auguri ringrazia "
    "ringraziate spiega spiegate saluta salutate agradece agradezca felicita felicite pergunte lembre lembra "
    "agradeca deseje diga digan powiedz przypomnij"
)
"""Verbs that ask for words to somebody, unless it is the user himself."""
_TELLING_WHOM = {
    "frage fragen": "ihn sie den die das herrn frau beim bei im nach",
    "bitte": "ihn",
    "wuensch wuensche wuenschen": "ihm ihr ihnen dem der den allen",
    "dank danke": "ihm ihr dem der",
    "bedank bedanke": "dich",
    "entschuldig entschuldige": "mich",
    "lass lasse": "ihn sie",
    "erzaehl erzaehle erklaer erklaere": "ihm ihr ihnen dem der den",
    "bestaetige": "ihm ihnen dem der",
    "demande demander": "lui leur a au aux dans sur",
    "dire souhaite souhaiter rappeler annonce annoncez annoncer explique expliquez propose "
    "proposez": "lui leur a au aux",
    "confirmez": "lui a au aux",
    "pregunta pregunte preguntar": "a al en",
    "di decir pide pida pedir recuerda recuerde desea desee": "a al",
    "pergunta perguntar": "lhe lhes ao aos em na nas",
    "diz dizer peca deseja confirme": "lhe lhes ao aos",
    "fai": "sapere",
    "fa": "sapere",
}
_WHOM: dict[str, frozenset[str]] = {
    verb: listed(whom) for verbs, whom in _TELLING_WHOM.items() for verb in verbs.split()
}
"""Words that ask for words to somebody only before one of these."""
_TELLING_HIM = listed(
    "dile diles digale digales decirle decirles preguntale preguntales preguntarle preguntarles pidele pideles "
    "pedirle pedirles recuerdale recuerdales recordarle agradecele agradeceles agradecerle deseale deseales desearle "
    "felicitalo felicitala felicitalos felicitalas explicale explicales confirmale confirmales digli dille dirgli "
    "dirle chiedigli chiedile chiedergli chiederle ricordagli ricordale auguragli augurale ringrazialo ringraziala "
    "ringraziali salutalo salutala salutali spiegagli spiegale confermagli confermale fagli falle"
)
"""The same with pronouns at their ends."""
_HIM_BEFORE = listed("lui leur gli lhe lhes")
_INFINITIVES = listed("dire demander souhaiter rappeler annoncer expliquer confirmer signaler proposer chiedere dizer")
"""Infinitives behind one of `_HIM_BEFORE`: "peux-tu lui dire ..."."""
_ME = listed("mir mich uns moi me m nous mi ci nos nam")
_SPEAKING = listed("ich wir je tu t on nous vous te yo eu io lo ti vi le la les die der das der den il elle")
"""What stands before a verb that is not an order, or before a noun."""

_TENS = "|".join(
    (
        "zwanzig|dreissig|vierzig|fuenfzig|sechzig|siebzig|achtzig|neunzig|[a-z]{0,12}hundert|[a-z]{0,24}tausend",
        "vingt|trente|quarante|cinquante|soixante|cents?|mille|veinte|treinta|cuarenta|cincuenta|sesenta|setenta",
        "ochenta|noventa|cien|ciento|doscientos|trescientos|quinientos|mil|vinte|trinta|quarenta|cinquenta|sessenta",
        "oitenta|cem|cento|duzentos|trezentos|quinhentos|venti|trenta|quaranta|cinquanta|sessanta|settanta|ottanta",
        "novanta|duecento|trecento|cinquecento|duemila",
    )
)
_IN_WORDS = rf"(?:(?:{'|'.join(map(word_without_accents, NUMBER_WORDS))}|{_TENS}) (?:y |e |et )?){{1,4}}"
"""A number in words: "fünfzig", "cinco mil"."""
_AMOUNT = (
    rf"(?:[$\u20ac\u00a3] ?\d[\d.,']*|(?:\d[\d.,']* ?(?:k|tausend|tsd\.?|mille|mila|mil|thousand)?|{_IN_WORDS}) ?"
    r"(?:[$\u20ac\u00a3]|euros?\b|eur\b|usd\b|gbp\b|chf\b|dollars?\b|"
    r"dolares\b|dolari\b|dollari\b|franken\b|francs?\b|franchi\b|francos\b|reais\b|pesos\b|pfund\b|livres\b|libras\b|"
    r"sterline\b)"
    # "Schick Anna 5k", but not "5k Fotos"
    r"|\d[\d.,]*k(?=\s*(?:[.,!?;\n]|\Z)| (?:an|fuer|bitte|heute|a|ad|ao|al|para|por|pour|per)\b))"
)
_NOT_OF = r"(?!(?:de|du|des|von|vom|ueber|di|del|della|do|da|por|per|sur|sobre)\b)"
_GIVING = (
    r"(?:schick|schicke|schicken|sende|senden|gib|geben|leih|leihe|ueberweis|ueberweise|envoie|envoyez|envoyer|donne"
    r"|donnez|donner|prete|vire|virez|envia|enviar|envie|enviale|manda|mandar|mande|mandale|mandagli|da|dale|dar|pasa"
    r"|pasale|passa|presta|invia|inviare|inviagli|mandare|dai|dare|dagli|dalle)"
)
_GIVES_MONEY = Sieved(
    r"(?<![^\W\d_])(?P<before>(?:[^\W\d_]+ ){0,2})"
    rf"\b{_GIVING}(?:-(?:lui|leur|lhe|lhes))? "
    rf"(?:{_NOT_OF}[^\s.!?;,]+ ){{0,5}}{_AMOUNT}"
)
_SHARE = (
    r"(?:(?:mein(?:en?)?|sein(?:en?)?|ihr(?:en?)?|unser(?:en?)?)"
    r" (?:anteil|drittel|viertel|fuenftel|zehntel|haelfte|teil)|(?:den|das) (?:anteil|drittel|viertel|fuenftel|zehntel)"
    r"|(?:ma|sa|leur|notre) part|(?:ma|sa|leur|notre|la) moitie|(?:mon|son|le) (?:tiers|quart|cinquieme|dixieme)"
    r"|(?:mi|su|nuestra) parte|(?:mi|su|la|nuestra) mitad|(?:mi|su|el) (?:tercio|cuarto|quinto)"
    r"|(?:a )?(?:minha|sua) (?:parte|metade)"
    r"|(?:o )?meu (?:terco|quarto|quinto)|(?:la )?(?:mia|sua) (?:parte|meta|quota)"
    r"|(?:il )?mio (?:terzo|quarto|quinto))\b"
    r"(?! (?:des|der|vom|von|am|an|du|de|del|da|do|della|dei|al|a) ?(?:l'|[^\W\d_]{1,6} )?"
    r"(?:bericht|berichte?s|berichts|datei|dokument|dokuments|texte?s?|arbeit|praesentation|rapport|fichier|document|travail"
    r"|informe|archivo|documento|trabajo|texto|relatorio|ficheiro|trabalho|rapporto|lavoro|testo)\b)"
)
"""What is somebody's of an amount: "schick ihm mein Drittel", "envoie-lui ma part"."""
_MORE = (
    r"(?:extra|mehr|zusaetzlich|de plus|en plus|supplementaires?|mas|adicionales|a mais|in piu|di piu)\b"
    # "3 mehr Fotos" are no money.
    r"(?=\s*(?:[.,!?;\n]|\Z)| (?:fuer|diese[nrms]?|heute|jetzt|bitte|ab|bis|im|in|an|pour|ce|cette|cet|aujourd"
    r"|por|para|este|esta|hoy|hoje|per|quest[oa]|oggi|a|al)\b)"
)
_THE_SUM = (
    r"(?:die|les|los|os|i) \d{2,}(?:[.,]\d+)?"
    r"(?=\s*(?:[.,!?;\n]|\Z)| (?:fuer|pour|para|por|per|vom|von|noch|bitte|zurueck|heute)\b)"
)
"""What has no name is money: "schick ihr die 150 für Mai"."""
_GIVES_PART = Sieved(
    rf"(?<![^\W\d_])(?P<before>(?:[^\W\d_]+ ){{0,2}})\b{_GIVING}(?:-(?:lui|leur|lhe|lhes))? "
    rf"(?:[^\s.!?;,]+ ){{0,4}}(?:{_SHARE}|\d+(?:[.,]\d+)? {_MORE}|{_THE_SUM})"
)
_MANNER = (
    r"(?:(?:bitte|einfach|genau|alles|das|mal|doch|nur|jetzt|gleich|heute|auch|sofort|schnell"
    r"|exactement|tout|simplement|juste|donc|vite)[, ]{1,2})"
)
"""What may stand between "do" and "what". Behind other words, a content is only told: "make a list of what it says"."""
_DOES_WHAT = re.compile(
    # "Mach bitte, was in meiner Notiz steht", "erledige, worum sie mich bittet"
    rf"\b(?:mach|mache|macht|machen|tu|tue|tun|erledig|erledige|erledigen|befolge)[, ]{{1,2}}{_MANNER}{{0,3}}"
    r"(?:was|worum|wozu)\b(?:[^.!?\n]|\.(?=\w)){1,60}\b(?:steht|stehen|sagt|schreibt|verlangt|bittet|moechte|will|wollte|gebeten)\b"
    r"|\b(?:erledig|erledige|erledigen|befolge|befolgen)\b[^.!?\n]{0,16}\b(?:aufgaben|anweisungen|schritte|anleitung)\b"
    # "Fais ce que dit ma note", "fais ce qui est écrit dans le mail", "suis les instructions"
    rf"|\b(?:fais|faites|faire|execute|executez) {_MANNER}{{0,2}}ce (?:que|qui|qu')\W?"
    r"(?=[^.!?\n]{1,40}\b(?:dit|demande|demandent|ecrit|indique|note|veut|voulait)\b)"
    r"|\b(?:suis|suivez) (?:les|ses|leurs) (?:instructions|etapes)\b"
    # "Haz lo que dice mi nota", "haz todo lo que pide"
    r"|\b(?:haz|haga|hacer) (?:todo )?lo que (?:[^\W\d_]+ ){0,2}(?:dice|pone|pide|pidio|indica|esta|quiere)\b"
    r"|\b(?:sigue|siga|segue|siga) (?:las|sus|as|suas) (?:instrucciones|instrucoes|pasos|passos)\b"
    # "Faz o que diz a minha nota"
    r"|\b(?:faz|faca|fazer) (?:tudo )?o que (?:[^\W\d_]+ ){0,2}(?:diz|esta|pede|pediu|consta|indica|quer)\b"
    # "Fai quello che dice la mia nota"
    r"|\b(?:fai|faccia|fare) (?:tutto )?(?:quello|cio|quel) che (?:[^\W\d_]+ ){0,2}"
    r"(?:dice|c'e|e|chiede|ha|vuole|indica|sta)\b|\b(?:segui|segua) le (?:istruzioni|sue istruzioni)\b"
)
"""Sentences with which the user leaves the choice of acts to a content."""
_MARKS_DONE = re.compile(
    r"\b(?:marca|marcar|marque|marcala|marcalo|segna|segnare|segnala)\b (?:[^\s.!?;]+ ){0,6}?(?:como|come)"
    r" (?:[^\W\d_]+ )?(?:hech|complet|terminad|feit|conclu|fatt|finit|lid|lett)"
    r"|\b(?:marque|marquez|marquer|coche|cochez)\b (?:[^\s.!?;]+ ){0,6}?comme"
    r" (?:[^\W\d_]+ )?(?:fait|termine|lu|finie?)"
    r"|\bals (?:erledigt|gelesen|fertig|abgeschlossen)\b"
)
"""Mark it as done."""
_DENIED = listed("ne n pas jamais nicht niemals nie no nunca nao non kein keine keinen keinesfalls")
_OTHERS = _DENIED | NEGATIONS | listed("i we i'll we'll i've we've ich wir je j nous yo io eu")
BESIDE_WORDS_MAX = 5
BESIDE_CHARS_MAX = 60
_WITHOUT = listed("sans ohne sin sem senza mai")
"""They deny a verb that follows: "sans envoyer", but not "envoie sans delai"."""

_LETTERS = (
    r"(?:schreiben|brief|mail|e-?mail|nachricht|rechnung|notiz|datei|liste|vertrag|anhang|dokument|mahnung"
    r"|lettre|courrier|courriel|message|facture|note|fichier|contrat|document|piece jointe"
    r"|carta|correo|mensaje|factura|nota|archivo|lista|contrato|documento"
    r"|mensagem|fatura|ficheiro|arquivo|anexo|email"
    r"|lettera|messaggio|fattura|bolletta|contratto|allegato)"
)
_BILLS = (
    r"(?:rechnung|mahnung|gebuehr|beitrag|strafzettel|facture|amende|cotisation|echeance|factura|multa|cuota|recibo"
    r"|fatura|conta|boleto|fattura|bolletta|rata|bill|invoice|reminder|scan|letter|lettre|brief|carta|lettera)"
)
_PAYING = (
    r"(?:bezahl|bezahle|bezahlen|begleich|begleiche|begleichen|ueberweis|ueberweise|paie|paye|payez|payer|regle|reglez"
    r"|regler|paga|pague|pagar|pagare|paghi|salda|saldare|liquida)"
)
_LEFT_TO_CONTENT = re.compile(
    # "Bezahl die Rechnung vom Zahnarzt", "paga mi factura"
    rf"\b{_PAYING} (?:[^\W\d_]+[ ']){{1,3}}{_BILLS}(?:en|s)?\b"
    # "There's a bill in my mail, pay it", "Im Tresor liegt eine Rechnung. Bezahl sie", "une facture, paie-la"
    rf"|\b{_BILLS}(?:en|s)?\b[^\n]{{1,120}}?\b(?:(?:pay|settle) (?:it|that|this|them|both)\b(?! back)"
    rf"|{_PAYING}[ -](?:sie|ihn|es|das|la|le|les|a|o)\b|(?:paga|pague|salda)(?:la|lo|las|los|le)\b)"
    # "Das, was im Schreiben steht", "wie in der Mail angegeben", "laut Vertrag"
    rf"|\b(?:was|wie) (?:es |sie |er )?(?:im|in|auf|aus)\b(?:[^.!?\n]|\.(?=\w)){{1,40}}"
    rf"\b(?:steht|stehen|angegeben|beschrieben|genannt)\b|\b(?:laut|gemaess) (?:[^\W\d_]+ ){{0,2}}{_LETTERS}\b"
    # "Ce qui est écrit dans la lettre", "comme indiqué sur la facture", "selon son courrier"
    r"|\b(?:ce qui est|comme|tel que) (?:[^\W\d_]+ )?(?:ecrit|indique|marque|demande|precise|prevu)e?s? (?:dans|sur)\b"
    rf"|\b(?:selon|suivant|d'apres) (?:[^\W\d_]+[ ']){{0,2}}{_LETTERS}\b"
    # "Lo que dice la carta", "como indica su correo", "según la factura"
    rf"|\b(?:lo que|como|o que|conforme|quello che|come) (?:dice|pone|indica|pide|diz|consta|esta|pede|chiede|indicato"
    rf"|scritto)\b (?:[^\W\d_]+[ ']){{0,4}}{_LETTERS}\b"
    rf"|\b(?:segun|segundo|de acordo com|secondo|conforme) (?:[^\W\d_]+[ ']){{0,2}}{_LETTERS}\b"
)


def tells_somebody(words: Sequence[str], index: int) -> bool:
    """Return whether a word asks for words to somebody else than the user.

    Args:
        words: of a text, in lower case and without accents, with its stops.
        index: the place of the word.
    """
    word = words[index]
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    if word in _TELLING_HIM or (word in _INFINITIVES and before in _HIM_BEFORE):
        return True
    if not after or after in STOPS_ABROAD or before in _SPEAKING:
        return False
    whom = _WHOM.get(word)
    return after in whom if whom is not None else word in _TELLING and after not in _ME


def gives_money(plain: str) -> bool:
    """Return whether a text has somebody given an amount of money: "envoie 250 euros à Maman".

    Args:
        plain: the text, in lower case and without accents.
    """
    return any(
        _DENIED.isdisjoint(match[0].split()) and _WITHOUT.isdisjoint(match["before"].split())
        for pattern in (_GIVES_MONEY, _GIVES_PART)
        for match in pattern.finditer(plain)
    )


def delegates(plain: str) -> bool:
    """Return whether a request leaves the choice of acts to a content: "mach, was in meiner Notiz steht".

    Args:
        plain: the request, in lower case and without accents.
    """
    return any(
        not _is_denied(plain, match) and _DENIED.isdisjoint(LETTERS.findall(match[0])[:BESIDE_WORDS_MAX])
        for match in _DOES_WHAT.finditer(plain)
    )


def marks_done(plain: str) -> bool:
    """Return whether a text has something marked as done or read.

    Args:
        plain: the text, in lower case and without accents.
    """
    return any(not _is_denied(plain, match) for match in _MARKS_DONE.finditer(plain))


def leaves_values(plain: str) -> bool:
    """Return whether a request leaves values to a content: a bill that it has paid, a letter that says how.

    Args:
        plain: the request, in lower case and without accents.
    """
    return any(not _is_denied(plain, match) for match in _LEFT_TO_CONTENT.finditer(plain))


def _is_denied(plain: str, match: re.Match[str]) -> bool:
    """Return whether a negation stands beside what leaves values to a content, or somebody else than the agent pays."""
    before = plain[max(0, match.start() - BESIDE_CHARS_MAX) : match.start()].split()[-BESIDE_WORDS_MAX:]
    return not _OTHERS.isdisjoint((*before, *match[0].split()[-BESIDE_WORDS_MAX:]))
