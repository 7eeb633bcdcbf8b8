"""What somebody wants done who does not call the act by its name, as people say it in passing.

"The meter says 24903" has a reading entered, "my new address is ..." has it changed, "Tomek can pick her up" lets him,
"I'd like to talk to my advisor" has an appointment made. Such a sentence stands for kinds of acts as a verb of
`streams.provenance.acts.words` does, and a negation before it counts. All of it is read in lower case; what is not
English, without accents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from streams.provenance.acts.wishes_at_work import WISHES_AT_WORK_ABROAD, wish
from streams.provenance.acts.words_abroad import NEGATIONS_ABROAD
from streams.provenance.sieved import SievedSet

_DENIED_WORDS_MAX = 4
_DENIED_CHARS_MAX = 40
_BEGINS = r"(?:^|[,.;:!?\n]\s{0,3}|\b(?:please|pls|and|then|to|just|can you|could you|would you) )"
"""Before a verb that can be a noun: the beginning of a request."""
_DET = r"(?:the|my|our|his|her|their|that|this)"
_DOORS = (
    r"(?:doors?|gates?|garage|windows?|shutters?|blinds?|curtains?|awnings?|barrier|hatch|trunk|valves?|skylights?)\b"
)
_NO_AIM = r"(?!(?:from|about|of|with|by|for|to|on|in|at|that|and)\b)"
_METERS = r"(?:meter|meter reading|reading|counter|odometer|mileage)"
_SHOWS = r"(?: is| says| shows| reads| stands at| now| was|:)"
_MONEY = r"(?:amount|sum|money|refund|credit|compensation|reimbursement|euros?|dollars?|pounds?|[$\u20ac\u00a3])"
"""What is paid out. Who takes a discount or a voucher has no money paid."""
_NO_MONEY = r"(?:(?!discount|voucher|coupon|per ?cent|\d ?% ?)[^?\n])"


def _not_after(words: str) -> str:
    """Return a pattern that fails behind any of some words, which a bar parts."""
    return "".join(rf"(?<!\b{word} )" for word in words.split("|"))


_ACCEPTS = (
    _not_after(
        "should|shall|can|could|may|might|must|will|would|do|did|am|are|if|unless|whether|in case|when|whenever|before"
        "|after|until|till|once|as soon as|how|why|maybe|perhaps|suppose|assuming"
    )
    + r"\b(?:i|we)(?:'d|'ll|'m| would| will| am| are)?(?: happily| gladly| just| hereby| like to)? "
    r"(?:accept|take|agree to|agree with|go with|fine with|happy with|okay with|ok with) "
)
_NOT_ASKED = r"(?!(?:[^.!?;\n]|\.(?=\d)){0,160}\?)"
"""After what is said and not asked: no question mark ends the sentence."""
_TO_SOMEBODY = (
    r"(?:(?:her|him|them)\b"
    r"|(?:the|my|our|his|her|their) (?!best\b|full\b|fullest\b|last\b|letter\b|extent\b)\w|[^\s@]{1,60}@)"
)
_LOCKABLE = r"(?:cards?|accounts?|lines?|locks?|doors?|access|logins?)"
_LOCKED = (
    _not_after("of|for|in|on|from|about|with|at")
    + rf"\b{_DET} (?:[\w-]+ )?{_LOCKABLE}\b(?! (?:number|balance|details|history|holder|list)s?\b)"
)
"""What was locked and can be opened again: not what a document is about ("the PDF of my account")."""
_NO_PAPER = (
    r"(?:(?!\b(?:pdf|file|document|statement|page|mail|email|e-mail|message|attachment|report|link|app|browser|tab|window"
    r"|site|website|photo|picture|letter|list|read|see)s?\b)[^\n]){0,80}?"
)
_OPENS_AGAIN = (
    _not_after("if|when|once|after|until|before|how|that")
    + r"\b(?:you (?:can|may)|please) (?:please |now |just |then )?"
    r"(?:open (?:it|them|both) (?:again|back up)|(?:make|get) (?:it|them|both) (?:to )?work(?:ing)? again)\b"
)
_PLACES_TO_BUY = r"(?:shopping list|grocery list|groceries|shopping cart|cart|basket)"


WISHES: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Open the main door", "close the blinds in the bedroom"
    wish(
        rf"\b(?P<verb>open|close|shut) (?:up )?(?:{_DET} )?(?:{_NO_AIM}[\w'-]+ ){{0,3}}?{_DOORS}", "secure change run"
    ),
    # "The meter says 24903", "meter reading: 24903", "my mileage is 52,310"
    wish(rf"(?<!what )\b{_METERS}{_SHOWS} (?:now |exactly |currently |at )?\d", "create change"),
    # "My new address is ...", "my number has changed", "i moved"
    wish(
        r"\b(?:my|our|his|her|their) (?:new|current|correct|right|actual) (?:e-?mail|mail|phone|mobile|postal|home"
        r"|street"
        r"|last|first|family|bank)? ?(?:address|number|name|e-?mail|mail|phone|mobile|account|iban|surname)(?: is"
        r"|'s|:|,)"
        r"|\b(?:my|our|his|her|their) (?:e-?mail|phone|mobile|address|number|name|account|iban|surname) (?:has |have )?"
        r"(?:just |also )?changed\b|(?:^|[,.;!\n] ?|\b(?:and|but|because|as|since) )(?:i|we)(?:'ve"
        r"| have)? (?:just )?moved"
        r"(?= (?:house|to|in|into|out|my|our)\b|[,.;!]|\s*\Z)",
        "change",
    ),
    # "He typed his street wrong", "the street is Nygata 14, not 41"
    wish(
        r"\b(?:typed|wrote|spelled|spelt|entered|put|got|gave) (?:\w+ )?(?:my|his|her|their|our"
        r"|the) (?:\w+ ){1,3}(?:wrong"
        r"|incorrectly)\b"
        r"|\b(?:the|my|his|her|their) (?:[\w-]+ ){1,2}is (?:[\w-]+ ){1,4}not \d"
        r"|\b(?:had|with|made|has|is|was|there's) an? typo\b",
        "change",
    ),
    # "Tomek can pick up Ola", "from now on Ana may collect the keys": who says so lets somebody do it
    wish(
        r"(?:^|[,.;:!\n] ?|\b(?:and|that|so|then) )(?P<verb>(?!(?:i|we|you|it|this|that|which|who|what|where|there)\b)"
        r"[a-z][\w'-]* (?:can|may|will|is allowed to) (?:also |now )?(?:pick up|collect|pick \w+ up|borrow|drive|use)"
        r" [^?.!\n]{1,80}(?:[.!\n,]|\Z))",
        "share secure change",
    ),
    # "Let it go to the neighbours", "have it left with the porter"
    wish(
        r"\b(?:let|have|get) (?:it|them|that|(?:the|my|our) (?:[\w-]+ )?(?:parcel|package|order|delivery|shipment"
        r"|mail)s?)"
        r" (?:be )?(?:go|delivered|sent|shipped|brought|left|dropped|handed|redirected) (?:off )?(?:over )?"
        r"(?:to|at|with|by|in)\b",
        "change book",
    ),
    # "Point blog.acme.example to ..."
    wish(rf"{_BEGINS}(?P<verb>point) (?!out\b|me\b|us\b)\S+ (?:\S+ ){{0,3}}?(?:to|at)\b", "change"),
    # "Sign the form", "sign it"
    wish(
        rf"{_BEGINS}(?P<verb>sign) (?:it|them|this|that|both|(?:{_DET}|a|an) (?:[\w-]+ ){{0,3}}?"
        r"(?:form|contract|consent|agreement|document|paper|declaration|waiver|slip|permission)s?)\b",
        "secure change",
    ),
    # "Liv wants her deposit back", "he gets the fee back"
    wish(
        r"\b(?:wants?|needs?|gets?|should get|must get|asked for) (?:to get )?(?:his|her|their|the|our|my)"
        r" (?:[\w-]+ )?(?:money|deposit|fee|fees|cash|bail|fare|price|costs?|payment|euros?|dollars?|pounds?) back\b",
        "pay change",
    ),
    # "30 euros, to the account in her mail"
    wish(
        r"(?:[$\u20ac\u00a3] ?\d[\d.,]{0,11}|\b\d[\d.,]{0,11} ?(?:\u20ac|\u00a3|\$|euros?|eur|dollars?|usd|pounds?|gbp"
        r"|chf|francs?))"
        r",? (?:in)?to (?:the|his|her|their|this|my|our) (?:[\w-]+ )?(?:account|iban|card)\b",
        "pay",
    ),
    # "I'd like to talk to my advisor", "I need to see the dentist"
    wish(
        r"\b(?:i|we)(?:'d| would)? (?:like|want|need|have|wish|love) to (?:(?:talk|speak|meet|chat) (?:to|with)"
        r"|meet|see (?=(?:a|an|the|my|our) (?:[\w-]+ )?(?:doctor|dentist|advisor|adviser|therapist|specialist"
        r"|counsel+or"
        r"|lawyer|vet|consultant|tutor|professor|midwife)\b)) ?(?:my|our|the|a|an|dr|mr|mrs|ms|prof|somebody"
        r"|someone)\b",
        "book create send",
    ),
    # "The green one would be nice", "a later train would be better"
    wish(
        r"\b(?:the|a|an|that|this) (?:[\w-]+ ){1,3}would be (?:(?:so|very|really|much) )?"
        r"(?:nice|great|good|better|fine|perfect|lovely|best|ideal|cool)\b(?! to\b)",
        "change book",
    ),
    # "Renew the domain", "renew my licence": what runs out costs something again
    wish(
        r"\brenew(?:ing)? (?:it|them|that|(?:the|my|our|his|her|their|this) (?:[\w-]+ ){0,2}?(?:domain"
        r"|subscription|licen[cs]e"
        r"|insurance|policy|pass|ticket|membership|contract|plan|certificate|permit|season ticket|card)s?)\b",
        "pay book",
    ),
    # "Ship it, cheapest label", "buy a label for the parcel"
    wish(
        r"\b(?:ship|send|post|mail|dispatch)\b[^?\n]{1,60}\b(?:cheapest|fastest|standard|express|priority|cheaper"
        r"|faster)"
        r" (?:label|shipping|postage|delivery|service|courier|carrier|rate|option)\b"
        r"|\b(?:buy|get|print|purchase|make|create) (?:a|an|the|another|the cheapest) (?:[\w-]+ )?(?:label|postage"
        r"|stamp)s?\b",
        "pay book create",
    ),
    # "Send her a link to it", "make a public link"
    wish(
        r"\b(?:send|give|mail|text|make|create|get|share|generate) (?:(?:him|her|them|us|it|[a-z]+) )?(?:a|the) "
        r"(?:(?:public|shared?|download|new) )?link\b",
        "share",
    ),
    # "Make a code for the front door"
    wish(
        r"\b(?:make|create|set|set up|add|give|get|need|generate) (?:[\w']+ ){0,3}?(?:a|an|another|the) (?:[\w-]+ )?"
        r"(?:code|pin|key|pass) (?:for|to) (?:(?:the|my|our|his|her) )?(?:[\w-]+ ){0,2}?"
        r"(?:door|gate|garage|house|flat|apartment|cabin|building|home|office|car)\b",
        "secure share create",
    ),
    # "Buy what's on the shopping list", "put milk into the cart": buying begins with the cart
    wish(
        rf"\b(?:buy|order|get|purchase|add|put)\b[^?\n]{{1,60}}\b{_PLACES_TO_BUY}\b|\b(?:do|order|get) (?:the|my|our) "
        r"(?:grocery |weekly )?(?:shopping|groceries)\b",
        "create change book",
    ),
    # "Change it and confirm to her", "and confirm there". Who is to be told himself asks for no message
    wish(
        r"\bconfirm (?:it |this |that )?(?:"
        r"there\b(?!'| (?:is|are|was|were|isn't|aren't|will|would|can|may|has|have|had)\b)"
        rf"|to {_TO_SOMEBODY}|with (?:her|him|them)\b|by (?:e-?mail|mail|message|text|sms|letter)\b"
        r"|(?:in|on|under) (?!(?:that|this) case\b|the case of\b)(?:the|that|this|my|our|his|her|their|same) (?:\w+ )?"
        r"(?:ticket|case|chat|channel|thread))",
        "send post",
    ),
    # "I wrote all that in ticket 5521": whoever points there waits for an answer there
    wish(
        r"\bi(?:'ve| have)? (?:already )?(?:wrote|written|described|explained|reported|complained|asked|raised)\b"
        r"(?: [\w']+){0,4}? (?:in|under|with|on) (?:(?:the|my|our|your) (?!case of\b)(?:(?:support|service) )?"
        r"(?:ticket|case|request|conversation|thread)\b"
        r"|(?:ticket|case|request|conversation|thread) (?:no\.? |number |nr\.? )?#?[\w-]{0,12}\d)",
        "send",
    ),
    # "They offered me an amount, I accept that", "I'll take the refund that they offered"
    wish(
        rf"\b(?:offer(?:s|ed|ing)?|proposed?|proposal)\b{_NO_MONEY}{{0,80}}?{_MONEY}{_NO_MONEY}{{0,80}}?{_ACCEPTS}"
        rf"(?:it|that|this|the (?:offer|amount|money|refund|credit|proposal|deal))\b{_NOT_ASKED}"
        rf"|{_ACCEPTS}(?:(?:the|that|this|their|your|his|her) )(?:[\w-]+ ){{0,2}}?"
        rf"(?:offer|proposal|deal)\b{_NO_MONEY}{{0,60}}?{_MONEY}{_NOT_ASKED}"
        rf"|{_ACCEPTS}(?:the|that|this|their|your|his|her) (?:[\w-]+ ){{0,2}}?{_MONEY}"
        rf"(?: (?:that|which|as))?(?: [\w']+)? (?:offer(?:s|ed)?|proposed?)\b{_NOT_ASKED}",
        "pay",
    ),
    # "You can open it again", "make the line work again": what was locked or blocked
    wish(
        _not_after("i|we|he|she|they|if you|when you|once you|after you")
        + rf"\b(?P<verb>open {_DET} (?:[\w-]+ )?(?:card|account|line|access|login)"
        r" (?:again|back up|(?:up )?for (?!me\b|us\b|him\b|her\b|them\b|you\b))"
        rf"|(?:make|get|have) {_DET} (?:[\w-]+ )?(?:card|account|line|login) (?:to )?work(?:ing)? again\b)",
        "secure change",
    ),
    wish(
        rf"(?:{_LOCKED}{_NO_PAPER}|(?={_OPENS_AGAIN}{_NO_PAPER}{_LOCKED}))(?P<verb>{_OPENS_AGAIN})",
        "secure change",
    ),
)
"""English sentences, and the kinds of acts that they ask for. A group `verb` says where the negation stands before."""

_ABROAD: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Der Zählerstand ist 24903", "le compteur indique 24903", "la lectura del contador es 24903"
    wish(
        r"\b(?:zaehlerstand|kilometerstand|zaehler|tachostand)(?: ist| betraegt| lautet| steht(?: bei| auf)?| zeigt"
        r"| (?:melden|durchgeben|mitteilen|uebermitteln):?|:)?"
        r" (?:jetzt |aktuell |heute )?\d"
        r"|\b(?:compteur|releve)(?: [\w']+){0,3}?(?: est(?: de)?| indique| affiche| marque|:) (?:a )?\d"
        r"|\b(?:contador|medidor|lectura|leitura)(?: \w+){0,3}?(?: es| esta en| marca| indica| e| esta em| mostra|:) \d"
        r"|\b(?:contatore|lettura)(?: \w+){0,3}?(?: e| segna| indica| mostra|:) \d",
        "create change",
    ),
    # "Ben Bescheid sagen", "gib Ben Bescheid"
    wish(r"\bbescheid (?:zu )?(?:sag|geb)\w*|\b(?:gib|gebe|gebt) (?:\w+ ){1,3}bescheid\b", "send post"),
    # "Meine neue Adresse ist ...", "ma nouvelle adresse est", "mi nueva dirección es", "o meu novo endereço é"
    wish(
        r"\b(?:meine|unsere|seine|ihre) neuen? (?:[a-z]+ )?(?:adresse|anschrift|\w*nummer|iban|\w*mail\w*"
        r"|bankverbindung"
        r"|kontonummer)(?: ist| lautet|:)|\bmein neue[rs]? (?:konto|name|nachname)(?: ist| lautet|:)"
        r"|\b(?:ich bin|wir sind) (?:[a-z]+ ){0,3}umgezogen\b"
        r"|\b(?:ma|notre|sa) nouvelle (?:adresse|iban)(?: [\w']+)? est\b|\bmon nouveau (?:numero|compte|iban|nom|mail)"
        r"(?: [\w']+){0,2} est\b|\b(?:j'ai|nous avons) demenage\b"
        r"|\b(?:mi|nuestra|su) (?:nueva (?:direccion|cuenta)|nuevo (?:numero|correo|iban|telefono|apellido))"
        r"(?: \w+){0,2} es\b|\b(?:me he|nos hemos) mudado\b"
        r"|\b(?:minha|nossa|sua) nova (?:morada|conta)(?: \w+)? e\b|\b(?:meu|nosso|seu) novo (?:endereco|numero"
        r"|email|iban"
        r"|telefone|nome)(?: \w+){0,2} e\b|\b(?:mudei|mudamos) de (?:casa|morada|endereco)\b"
        r"|\b(?:mio|nostro|suo) nuovo (?:indirizzo|numero|conto|iban|telefono|cognome)(?: \w+){0,2} e\b"
        r"|\b(?:mia|nostra|sua) nuova (?:mail|e-?mail|residenza)(?: \w+)? e\b|\b(?:ho|abbiamo) traslocato\b",
        "change",
    ),
    # "Mach das Tor auf", "öffne die Tür", "ouvre le portail", "abre la puerta", "abre o portão", "apri il cancello"
    wish(
        r"\b(?:mach|mache|machen) (?:bitte |mal )?(?:die|das|den) (?:\w+ ){0,2}?\w*(?:tuer|tor|fenster|garage|rollladen"
        r"|rollo|jalousie\w*)\b[^.!?\n]{0,40}\b(?:auf|zu)\b"
        r"|\b(?:oeffne|oeffnen|schliess|schliesse) (?:bitte |mal )?(?:die|das|den) (?:\w+ ){0,2}?\w*(?:tuer|tor|fenster"
        r"|garage|rollladen|rollo|jalousie\w*)\b"
        r"|\b(?:ouvre|ouvrez|ouvrir|ferme|fermez) (?:la |le |les )(?:\w+ ){0,2}?(?:porte|portail|garage|fenetre|volets?"
        r"|barriere)\b"
        r"|\b(?:abre|abra|abrir|cierra|fecha) (?:la |el |las |los |a |o |as |os )(?:\w+ ){0,2}?(?:puerta|porton|garaje"
        r"|ventana|persianas?|porta|portao|garagem|janela|portones)\b"
        r"|\b(?:apri|aprire|apra|chiudi) (?:la |il |le |lo |i )(?:\w+ ){0,2}?(?:porta|portone|cancello|garage|finestra"
        r"|tapparell[ae])\b",
        "secure change run",
    ),
    # "Ich möchte mit meiner Beraterin sprechen", "je voudrais parler à ma conseillère"
    wish(
        r"\b(?:moechte|wuerde gern|muss|will)(?: [\w]+){0,3}? mit (?:meine[mr]|unsere[mr]|dem|der|einem|einer|frau"
        r"|herrn"
        r"|dr)(?: \w+){1,4}? (?:sprechen|reden|treffen)\b"
        r"|\b(?:voudrais|voudrait|aimerais|veux|dois) (?:parler|voir|rencontrer)(?: (?:a|avec|au))? (?:mon|ma|un"
        r"|une|le|la)\b"
        r"|\b(?:quiero|quisiera|querria|necesito|me gustaria) hablar con (?:mi|un|una|el|la)\b"
        r"|\b(?:quero|queria|gostaria de|preciso de) falar com (?:o|a|um|uma)\b"
        r"|\b(?:voglio|vorrei|devo) parlare con (?:il|la|lo|un|una)\b",
        "book create send",
    ),
    # "Lass es zum Nachbarn bringen", "kann zu den Nachbarn": a parcel
    wish(
        r"\b(?:lass|lasst|lassen sie) (?:es|das|das paket|die lieferung) (?:\w+ ){0,2}?(?:zu|zum|zur|bei|an) "
        r"(?:\w+ ){1,3}?(?:gehen|bringen|liefern|abgeben|schicken|zustellen)\b"
        r"|\b(?:fais|faites)[ -](?:le |la )?(?:livrer|deposer|envoyer) (?:\w+ ){0,3}?(?:chez|a|au|aux)\b",
        "change book",
    ),
    # "Unterschreib das Formular", "signe le formulaire", "firma el formulario", "firma il modulo"
    wish(
        r"\b(?:unterschreib|unterschreibe|unterschreiben|unterzeichne)\b|\b(?:signe|signez|signer) (?:le|la|les|ce"
        r"|cette)\b"
        r"|\b(?:firma|firme|firmar|firmare|firmi) (?:el|la|los|las|il|lo|i|le|este|questo)\b"
        r"|\b(?:assina|assine|assinar) (?:o|a|os|as|este|esta)\b",
        "secure change",
    ),
    # "Und bestätige es dort", "confirme-lui", "confírmaselo", "confirma-lhe", "confermaglielo"
    wish(
        # "Bestätige den Termin" and "bestätige ihr Angebot" name no reader, nor does "confirmez leur rendez-vous"
        r"\bbestaetig(?:e|en|st)? (?:(?:es|das|dies) (?:bitte )?(?:(?:dort|ihr|ihm|ihnen)\b|den \w)"
        r"|(?:es |das |dies |bitte )?(?:(?:dort|ihm|ihnen)\b|de[rm] (?!ordnung\b)\w"
        r"|ihr(?=\s*(?:[.,;!\n]|\Z)| (?:den|die|das|dass|per|bitte)\b)|per (?:e-?mail|mail|nachricht|sms)))"
        r"|\bconfirm(?:e|ez|er)[ -](?:(?:le|la|les)[ -])?(?:lui\b|leur\b(?! (?!par\b|que\b)\w)|la-bas\b"
        r"|par (?:e-?mail|mail|courriel|message|sms)\b)"
        r"|\bconfirm(?:a|e|ar)(?:se(?:lo|la)|les?)\b|\bconfirm(?:a|e|ar)-lhes?\b"
        r"|\bconfirm(?:a|e|ar) (?:lo |la |o |a )?(?:(?:alli|ahi)\b|la(?=\W*\Z|[.,;!])"
        r"|por (?:correo|e-?mail|mensaje|mensagem|sms)\b)"
        r"|\bconferm(?:a|are|i)(?:glielo|gli|le)\b"
        r"|\bconferm(?:a|are|i)(?:lo)? (?:li\b|la(?=\W*\Z|[.,;!])|per (?:e-?mail|mail|messaggio|sms)\b)",
        "send post",
    ),
    # "Das Angebot nehme ich an", "j'accepte l'offre", "acepto la oferta", "aceito a oferta", "accetto l'offerta"
    wish(
        r"(?:\b(?:angebot|betrag|erstattung|gutschrift|entschaedigung)\b[^.!?\n]{0,40}\bnehm(?:e|en)? (?:ich|wir)\b"
        r"[^.!?\n]{0,20}\ban\b|\b(?:ich|wir) nehmen? (?:\w+ ){1,3}?(?:angebot|betrag|erstattung|gutschrift"
        r"|entschaedigung)\b[^.!?\n]{0,20}\ban\b"
        rf"|{_not_after('si|quand|lorsque|avant que|est-ce que|des que|apres que|comment|pourquoi')}"
        r"\b(?:j'accepte|nous acceptons) (?:l'|la |le |cette |ce |votre |son |leur )"
        r"(?:offre|proposition|montant|remboursement|avoir|dedommagement)\b"
        rf"|{_not_after('si|si yo|cuando|cuando yo|como|se|se eu|quando|quando eu|se io|quando io|come')}"
        r"\b(?:(?:acepto|aceptamos) (?:la|el|esa|ese|esta|este|su) (?:oferta|propuesta|cantidad|reembolso|importe)"
        r"|(?:aceito|aceitamos) (?:a|o|essa|esse|esta|este|sua) (?:oferta|proposta|quantia|reembolso|valor)"
        r"|(?:accetto|accettiamo) (?:l'|la |il |questa |questo )(?:vostra )?(?:offerta|proposta|somma|rimborso"
        rf"|importo))\b){_NOT_ASKED}",
        "pay",
    ),
)
"""The same in German, French, Spanish, Portuguese and Italian."""
_ALL_ABROAD = SievedSet(chain(_ABROAD, WISHES_AT_WORK_ABROAD))


def wishes_abroad(plain: str) -> Iterator[frozenset[str]]:
    """Yield the kinds of what a text wishes for in another language than English, unless a negation stands before it.

    Args:
        plain: the text, in lower case and without accents.
    """
    for match, kinds in _ALL_ABROAD.matches(plain):
        before = plain[max(0, match.start() - _DENIED_CHARS_MAX) : match.start()].split()[-_DENIED_WORDS_MAX:]
        if NEGATIONS_ABROAD.isdisjoint((*before, *match[0].split())):
            yield kinds
