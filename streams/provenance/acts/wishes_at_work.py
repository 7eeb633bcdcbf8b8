"""What people ask for at work without the verb for it: who gets which customer, what can go, who needs which mail.

"Akira is taking over Reese" has a customer reassigned, "I can't make my Friday meetings" has them called off or
moved, "Santiago needs the latest mail about it" has it forwarded, and "half an hour with Kofi" is put into a calendar.
They are read as those of `streams.provenance.acts.wishes`.
"""

from __future__ import annotations

import re

_BEGINS = r"(?:^|[,.;:!?\n]\s{0,3}|\b(?:please|pls|and|then|so|to|just|can you|could you|would you) )"
NOBODY = r"(?!(?:i|we|you|it|this|that|there|he|she|they|who|what|which|nobody|everything|nothing|one)\b)"
HIS = r"(?:all|any|both|every|the|my|our|his|her|their|this|that|these|those|[\w-]{1,30}'s)"
WORK = (
    r"(?:tasks?|tickets?|cases?|customers?|clients?|leads?|accounts|contacts?|deals?|issues?|projects?|shifts?|chores?"
    r"|patients?|appointments|stories|bugs|jobs|students)"
)
"""What one person does instead of another."""
_PAPERS = (
    r"(?:e?mails?|messages?|threads?|letters?|invoices?|reports?|slides|decks?|files?|documents?|minutes|notes|agenda"
    r"|contracts?|photos?|pictures|scans?|pdfs?|figures|links?|drafts?|offers?|quotes?|spreadsheets?)"
)
_PLACES = r"(?:inbox|mailbox|calendar|diary|schedule|feed|crm|list|team|group|system|database|address book)"
_MEETINGS = (
    r"(?:meetings?|calls?|appointments?|reminders?|newsletters?|notifications?|lessons?|sessions?|deliver(?:y|ies)"
    r"|visits?)"
)
_SOME = r"(?:[^\s.!?;,]{1,40}|(?:dr|mr|mrs|ms|prof|st)\.) "
_ENDS = r"(?=\s*(?:[.,;!\n]|\Z)|\s+(?:now|then|please|too|as well)\b)"
HOW_LONG = (
    r"(?:\d{1,3}|half an?|an|one|two|three|a couple of|a quarter of an?)[ -](?:minutes?|mins?|hours?|hrs?)"
    r"(?: and a half)?"
)
A_TIME = (
    r"(?:(?:on |next |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|tonight|next week|next month"
    r"|this (?:week|afternoon|morning|evening)|at \d|\d{1,3} ?min)"
)


def wish(pattern: str, kinds: str) -> tuple[re.Pattern[str], frozenset[str]]:
    """Return a pattern, compiled, and the kinds of acts (separated by spaces) that are asked for where it matches."""
    return re.compile(pattern), frozenset(kinds.split())


WISHES_AT_WORK: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Give Raj all of Nadia's customers", "let Carlos have Nia's tasks", "pass Raj's leads on to Akira"
    wish(
        rf"\b(?:give|hand|pass|let) (?!me\b|us\b)(?:{_SOME}){{0,3}}?(?!my\b){HIS} (?:{_SOME}){{0,5}}?{WORK}\b",
        "change",
    ),
    # "Hand Dakota over to Raj", "pass the last mail on to Anaya"
    wish(rf"\b(?:hand|pass|turn|sign)(?:ing)? (?:{_SOME}){{1,8}}?(?:over|on|along) to (?!me\b|us\b)", "change send"),
    # "Akira is taking over Reese", "Lena looks after Parker from now on"
    wish(
        rf"(?:^|[,.;:!\n] ?|\b(?:and|that|so|then|because) )(?P<verb>{NOBODY}[\w'-]{{1,30}} (?:\w{{1,12}} )?"
        r"(?:takes?|taking|take) over\b(?=\s+\S))"
        rf"|\b(?:looks?|cares?|is responsible|is in charge)\b (?:after|for|of) (?:{_SOME}){{1,6}}?"
        r"(?:from now on|from today|as of now|as of today|starting)\b",
        "change",
    ),
    # "Cameron is qualified now", "the tasks are now done", "what isn't done goes back to the backlog"
    wish(
        r"\b(?:is|are) (?!it\b|not\b|this\b|that\b|he\b|she\b|they\b|the\b|my\b)[\w-]{2,30} now(?=\s*(?:[.,;!\n]|\Z))"
        r"|\b(?:is|are) now (?!here\b|there\b|being\b)[a-z]"
        r"|\b(?:goes?|back|return) (?:back )?(?:in)?to the (?:[\w-]+ )?(?:backlog|board|list|queue|pool|inbox)\b",
        "change",
    ),
    # "Casey is no longer a customer"
    wish(r"\b(?:is|are|am|'s|'m|'re) no longer (?:an?|our|one of|with|in|on|at|part of)\b", "delete change"),
    # "Throw out Raj's mails", "strike Casey from the list", "bin it", "ditch them all"
    wish(
        rf"\b(?:throw|chuck|toss|cross|kick)(?: |s |ing )(?:{_SOME}){{0,8}}?(?:out|away)\b"
        r"|\b(?:thrown|tossed|chucked|crossed) (?:out|away)\b"
        rf"|{_BEGINS}(?P<verb>strike (?:{_SOME}){{1,5}}?(?:from|off|out)\b"
        rf"|(?:bin|ditch|chuck|trash|scrub|nuke|junk) (?:it|them|{HIS}|everything|whatever)\b)",
        "delete change",
    ),
    # "Take Peyton off the list", but not "take 10 off the bill"
    wish(
        rf"\b(?:take|get|pull|leave) (?!\S{{0,6}}\d|half\b|some\b|money\b)(?:{_SOME}){{1,4}}?off (?:of )?"
        r"(?:the|my|our|your|this|that) (?!price\b|bill\b|total\b|rent\b)[\w-]+",
        "delete change",
    ),
    # "Out with them", "out of the CRM with him", "all of it can go"
    wish(
        rf"\b(?:out|off|away)(?: of (?:the|my|our) [\w-]{{1,20}})? with (?:it|them|him|her|that|those)\b"
        rf"|(?<=\w )can (?:all |both )?go{_ENDS}",
        "delete change",
    ),
    # "So no more meetings with him", "no meeting on Friday then"
    wish(
        rf"(?:^|[,.;:!\n] ?|\b(?:so|then|and|please) )(?P<verb>no (?:more )?{_MEETINGS} "
        r"(?:with|from|for|on|this|next|then|today|tomorrow|please|any)\b)",
        "delete change",
    ),
    # "Free up my Friday morning", "I need my Friday free"
    wish(
        r"\bfree up (?:my|the|our|some|his|her|\w{3,9}day)\b"
        rf"|\b(?:need|want|get|make|keep) (?:my|the|our) (?:{_SOME}){{1,7}}?free\b(?! of\b| from\b| to\b)",
        "delete change create book",
    ),
    # "I can't make my first meeting", "the training isn't happening"
    wish(
        r"\b(?:can't|cannot|can not|won't be able to|am unable to|not able to) (?:make|attend|come to|join)"
        r" (?:it\b|(?:my|the|our|that|this|next|any)\b)"
        # "We're not doing the workshop", "they have to be called off"
        r"|\b(?:we|i)(?:'re|'m| are| am) not (?:doing|having|going to have) (?:the|that|this|our|my|any)\b"
        r"|\bbe (?:called off|taken (?:off|out|down)|thrown (?:out|away)|crossed out)\b"
        r"|\b(?:isn't|is not|aren't|are not) happening\b|\bwon't (?:happen|take place)\b",
        "delete change",
    ),
    # "To the trash", "get them out of my inbox", "out of the calendar", "I don't want it in my feed"
    wish(
        r"(?:\b(?:to|into) (?:the|my) |[:,] ?)(?:trash|bin|junk|recycle bin|wastebasket)\b"
        rf"|\b(?:get|keep|have|want) (?:{_SOME}){{1,8}}?out of (?:my|the|our) {_PLACES}\b"
        rf"|(?:^|[,.;:!\n] ?|\b(?:so|and|then|them) )(?:them |it |all )?out of (?:my|the|our) {_PLACES}\b"
        rf"|\b(?:don't|dont|do not) (?:\w{{1,12}} )?want (?:to see )?(?:{_SOME}){{1,6}}?(?:in|on) (?:my|the"
        rf"|our) {_PLACES}\b",
        "delete change",
    ),
    # "There is no need to keep it", "their record isn't needed", "she wants to be forgotten"
    wish(
        r"\bno (?:reason|need|point) (?:to keep|in keeping)\b|\b(?:isn't|aren't|is not|are not|not) needed\b"
        r"|\bto be forgotten\b|\b(?:we|you|i) can forget (?:about )?(?:it|them|him|her|that|those|the|this)\b",
        "delete change",
    ),
    # "The class falls through", "the meeting has to go", "Friday won't work for me"
    wish(
        r"\bfalls? through\b|\b(?:has|have|needs?) to go(?=\s*(?:[.,;!\n]|\Z))"
        rf"|\b(?:won't|doesn't|don't|didn't) work (?:out\b|for (?:me|us|him|her)\b|on\b|{A_TIME})"
        r"|\b(?:won't|doesn't) work(?: out)?(?=\s*(?:[.,;!\n]|\Z))",
        "delete change",
    ),
    # "The class begins an hour later"
    wish(
        r"\b(?:starts?|begins?|ends?) (?:[^.!?\n]{0,40} )?(?:later|earlier)\b"
        r"|\b(?:is|are) (?:an?|one|two|three|half an?|\d{1,3}) (?:minutes?|hours?|days?|weeks?|months?) (?:later"
        r"|earlier)\b"
        # "It should be 12.50", "her shift becomes a late one", "that's Peter's job from today"
        r"|\bshould (?:now )?be \d|\b(?:becomes?|become) (?:an?|the|\d)"
        r"|(?<=\w) (?:from (?:now on|today(?: on)?)|as of (?:now|today|tomorrow|monday))\b",
        "change",
    ),
    # "Cc Amir on it", "loop Kim in", "keep them in the loop"
    wish(
        rf"{_BEGINS}(?P<verb>(?:b?cc|loop) (?!me\b|us\b)(?:{_SOME}){{1,3}}?(?:in|on|into)\b"
        rf"|keep (?!me\b|us\b)(?:{_SOME}){{1,3}}?(?:in the loop|posted|informed)\b)"
        # "Ida has to know that it moves", "the printer still doesn't have the file", "Kim can have the notes"
        rf"|(?:^|[,.;:!\n] ?|\b(?:and|but|so|that) ){NOBODY}(?:(?:my|our"
        rf"|the) )?[\w.@'-]{{2,40}}(?: and [\w.@'-]{{2,40}})?"
        rf" (?:(?:has|have|needs?) to|must|should) know\b"
        rf"|\b(?:still |yet )?(?:doesn't|don't|does not|hasn't got) (?:yet "
        rf"|still )?have {HIS} (?:{_SOME}){{0,4}}?{_PAPERS}\b"
        rf"|(?:^|[,.;:!\n] ?){NOBODY}[\w.@'-]{{2,40}} can have {HIS} (?:{_SOME}){{0,4}}?{_PAPERS}\b"
        r"|\bin (?:b?cc|copy)\b|\boff (?:it|they) goe?s? to (?!me\b|us\b)",
        "send share",
    ),
    # "Santiago needs the latest mail about it", "Amir should get Sofia's mails"
    wish(
        rf"(?:^|[,.;:!\n] ?|\b(?:and|but|because|that|so"
        rf"|then) )(?P<verb>{NOBODY}(?:(?:my|our|the|his|her|their) )?[\w.@'-]{{2,40}}(?: and [\w.@'-]{{2,40}})?"
        r" (?:also |still |really )?(?:needs?|wants?|should (?:also )?(?:get|have|see|read|receive)"
        r"|must (?:get|have|see|read)|has to (?:get|have|see|read)|is waiting for|waits for|ask(?:s|ed) (?:me |us )?for"
        r"|missed|(?:hasn't|haven't|has not|have not) (?:got|seen|received)|didn't (?:get|see|receive))"
        rf"(?: to (?:get|have|see|read))? (?:a copy of |a look at )?{HIS}\b[^.!?;,\n]{{0,60}}?\b{_PAPERS}\b)",
        "send share",
    ),
    # "Kim's mails of last week to Amir, please", "'Thank you!' to his last mail"
    wish(
        rf"(?:^|[.;:!\n] ?)(?P<verb>{HIS} (?:{_SOME}){{0,4}}?{_PAPERS}\b[^.!?\n]{{0,80}}?[, ]to (?!me\b|us\b|my\b"
        rf"|the\b)"
        r"[\w.@'-]{2,40} (?:please|too|as well|now)\b)"
        rf"|(?:^|[.;:\n] ?)['\"][^'\"\n]{{1,200}}['\"] (?:to|for|as (?:an? )?(?:answer|reply) to) {HIS}\b",
        "send post share",
    ),
    # "Drop Sofia a quick 'thanks'", "shoot him a mail"
    wish(
        rf"\b(?:drop|shoot|fire|write|give|send) (?!me\b|us\b)(?:{_SOME}){{1,2}}?an? (?:(?:quick|short|brief"
        rf"|friendly) )?"
        r"(?:line\b|note\b|e?mail\b|message\b|text\b|word\b|heads[- ]up\b|reply\b|answer\b|nudge\b|['\"])",
        "send post",
    ),
    # "Half an hour with Kofi on Tuesday", "grab 30 minutes with her", but not "I spent an hour with her"
    wish(
        rf"(?<!spent )(?<!spend )(?<!for )(?<!took )(?<!had )\b{HOW_LONG}(?: slot| meeting| call)?"
        r"(?: \w+ (?:me|us))? with\b"
        rf"|\b(?:grab|find|get|take|block) (?:{_SOME}){{1,4}}?(?:slot|gap) (?:with|for)\b",
        "create book",
    ),
    # "Friday at ten, half an hour", "an hour and a half in my first gap tomorrow", "we should meet on Monday"
    wish(
        rf"(?<!spent )(?<!took )\b{HOW_LONG}\b(?![^.!?\n]{{0,60}} (?:later|earlier|ago|late|(?<!as )early)\b)"
        rf"[^.!?\n]{{0,60}}?\b(?:{A_TIME}|slot|gap|first free)\b(?![^.!\n]{{0,80}}\?)"
        rf"|\b(?:{A_TIME}|\d:\d\d)\b[^.!?\n]{{0,40}}?\b(?:for )?{HOW_LONG}\b"
        r"(?! (?:later|earlier|ago|late|(?<!as )early)\b)(?![^.!\n]{0,80}\?)"
        r"|\b(?:should|must|have to|need to) (?:meet|sit down together|have a (?:chat|call|talk))\b"
        r"|\b(?:sit|set|put|book) me (?:down|in) with\b|\bmy first free (?:slot|gap|hour|half hour|time)\b",
        "create book",
    ),
    # "I want to see Carlos on Friday"
    wish(
        r"\b(?:want|need|like|wanna|love|have) (?:to )?(?:meet|see|catch up with|sit down with)"
        r" (?!my\b|our\b|the\b|all\b|what\b|how\b|if\b|an?\b|every|which\b|where\b|it\b|that\b|this\b|these\b|those\b"
        rf"|some|any|me\b|us\b)[^.!?\n]{{2,80}}?\b{A_TIME}",
        "create book send",
    ),
    # "New task for Fatima", "Jordan is a new lead", "add her as a client", "she needs a task on the board"
    wish(
        r"(?:^|[,.;:!\n] ?|\bplease )(?:an? )?new (?:task|lead|customer|client|contact|ticket|event|issue|project"
        r"|deal|card"
        r"|reminder|meeting|appointment)\b"
        r"|\bis (?:an?|our) new (?:lead|customer|client|contact|member|supplier|patient|student|tenant|employee)\b"
        r"|\b(?:assign|add|enter|register|put|get)\b[^.!?\n]{1,80}?\bas an? (?:new )?"
        r"(?:lead|customer|client|contact|member|supplier|patient|student|tenant)\b"
        r"|\bneeds an? (?:new )?(?:task|ticket|meeting|appointment|reminder|slot)\b",
        "create book",
    ),
    # "A reminder for me on Monday", "a room for twelve on Friday"
    wish(
        r"(?:^|[,.;:!\n] ?|\bplease )(?:an? |and an? )(?:reminder|note|memo) (?:for|to) (?:me|us|myself)\b"
        r"|(?:^|[,.;:!\n] ?|\bplease )an? (?:\w{1,12} )?(?:room|hall|car|van|desk|court) for\b"
        r"|\b(?:put|get) (?:it|that|this|them) on(?:to)? (?:my|our|the) (?:\w{1,12} )?list\b",
        "create book",
    ),
    # "Plot total visits", "I need a histogram", "draw me a chart"
    wish(
        rf"{_BEGINS}(?P<verb>(?:plot|graph|chart|visuali[sz]e) (?!thickens\b)\S)"
        r"|\b(?:draw|show me|need|want|like|make|give me) (?:me )?an? (?:[\w-]+ ){0,2}?(?:chart|graph|plot|histogram"
        r"|diagram)\b",
        "create",
    ),
)
"""English sentences, and the kinds of acts that they ask for. A group `verb` says where the negation stands before."""

WORK_ABROAD = (
    r"(?:\w*(?:kunden?|aufgaben?|projekte?|termine|auftraege|schichten?)|faelle|tickets?|leads?"
    r"|taches?|clients?|dossiers?|prospects?|projets?"
    r"|tareas?|clientes?|casos?|contactos?|proyectos?|tarefas?|contatos?|projetos?"
    r"|compiti|compito|clienti|pratiche|contatti|progetti|zadani[ae]|zadan|klient\w{1,3})"
)
_PAPERS_ABROAD = (
    r"(?:\w*(?:mails?|nachrichten?|dateien?|rechnung(?:en)?|unterlagen|bericht|dokumente?|protokoll|folien|vertrag)"
    r"|fotos?|links?|messages?|courriels?|fichiers?|documents?|factures?|rapports?|contrat|devis"
    r"|correos?|mensajes?|archivos?|documentos?|facturas?|informes?|enlaces?|contrato"
    r"|mensagens?|ficheiros?|arquivos?|faturas?|relatorios?"
    r"|messaggi|messaggio|documenti|documento|fattur[ae]|relazione|contratto"
    r"|maila|wiadomosc\w{0,3}|plik\w{0,2}|dokument\w{0,2}|faktur\w{1,2}|raport\w{0,2})"
)
NOBODY_ABROAD = (
    r"(?!(?:ich|wir|wer|man|es|was|das|je|j|nous|on|qui|il|ce|yo|nosotros|quien|que|eu|nos|quem|io|noi|chi|ja|my"
    r"|kto)\b)"
)
WISHES_AT_WORK_ABROAD: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Wirf alle Mails weg", "nimm Casey aus dem CRM", "das kann alles weg"
    wish(
        r"\b(?:wirf|werft|werfen|schmeiss|schmeisse|schmeissen)\b[^.!?\n]{1,100}?\b(?:weg|raus|wegwerfen)\b"
        r"|\b(?:nimm|nehmt|nehmen)\b[^.!?\n]{1,60}?\b(?:aus (?:dem|der|unserem|unserer|meinem|meiner)|raus|heraus"
        r"|von der)\b"
        r"|\b(?:kann|koennen) (?:\w+ ){0,4}?(?:weg|raus)\b"
        # "Jette ces mails", "butta via", "wyrzuć"
        r"|\b(?:jette|jetez|jeter)(?:-\w+)? (?:\w|$)|\bbutta(?:re)?(?:l[aei]|lo)?\b|\b(?:wyrzuc|wyrzucic|wywal)\b",
        "delete change",
    ),
    # "In den Papierkorb", "a la papelera", "à la corbeille", "nel cestino", "do kosza", "die fliegen raus"
    wish(
        r"\b(?:in den|in die|ab in den|a la|al|nella|nel|para o|para a|no|na|do|dans la) (?:papierkorb|muell|tonne"
        r"|papelera"
        r"|basura|corbeille|poubelle|cestino|spazzatura|lixo|lixeira|kosza)\b"
        r"|\b(?:fliegt|fliegen|muss|muessen) (?:\w+ ){0,3}?raus\b|\b(?:raus|weg) damit\b",
        "delete change",
    ),
    # "Der Termin fällt aus", "la reunión se cancela", "l'incontro salta", "le cours tombe à l'eau"
    wish(
        r"\b(?:faellt|fallen) (?:\w+ ){0,4}?(?:aus|flach|weg)\b|\btombent? a l'eau\b|\bse (?:cancela|suspende|cae)n?\b"
        r"|\b(?:salta|saltano)(?=\s*(?:[.,;!\n]|\Z))|\b(?:ist|sind|wurde|wurden) abgesagt\b|\best annulee?\b",
        "delete change",
    ),
    # "Raum 4 ab heute", "desde hoy", "da oggi", "à partir d'aujourd'hui"; "ist eine Woche später", "diventa 12,50"
    wish(
        r"(?<=\w) (?:ab (?:heute|sofort|jetzt|morgen)|des (?:aujourd'hui|maintenant)|a partir d'aujourd'hui"
        r"|(?:desde|a partir de) (?:hoy|ahora|hoje|agora)|da oggi|d'ora in poi|a partire da oggi|od (?:dzis|dzisiaj"
        r"|teraz))\b"
        r"|\b(?:ist|sind) (?:eine?|zwei|drei|\d{1,3}) (?:minuten?|stunden?|tage?|wochen?|monate?) (?:spaeter|frueher)\b"
        r"|\b(?:passe|passent) a \d|\b(?:pasa|pasan|passa|passam) a(?:l)? (?:\d|la|el)|\b(?:diventa|vira) \w"
        r"|\b(?:muda|mudam) para\b|\b(?:przenosimy|zmieniamy)\b",
        "change",
    ),
    # "Erinnerung an mich", "un rappel lundi", "un recordatorio", "un promemoria", "um lembrete", "przypomnienie"
    wish(
        r"(?:^|[,.;:!\n] ?)(?:eine )?(?:erinnerung|notiz) (?:an|fuer) (?:mich|uns)\b"
        r"|(?:^|[,.;:!\n] ?)(?:un|uma?) (?:rappel|recordatorio|promemoria|lembrete)\b|(?:^|[,.;:!\n] ?)przypomnienie\b",
        "create",
    ),
    # "Der Kurs beginnt eine Stunde später", "le cours commence plus tard", "empieza más tarde", "inizia più tardi"
    wish(
        r"\b(?:beginnt|beginnen|faengt|startet|endet)\b[^.!?\n]{0,60}?\b(?:spaeter|frueher)\b"
        r"|\b(?:commence|commencent|finit)\b[^.!?\n]{0,60}?\bplus (?:tard|tot)\b"
        r"|\b(?:empieza|empiezan|comeca|comecam)\b[^.!?\n]{0,60}?\b(?:mas|mais) (?:tarde|temprano|cedo)\b"
        r"|\b(?:inizia|iniziano|comincia)\b[^.!?\n]{0,60}?\bpiu (?:tardi|presto)\b",
        "change",
    ),
    # "Halt mir den Freitag frei", "libère mon vendredi", "libera la mia mattina", "libérame el viernes"
    wish(
        r"\b(?:halt|halte|mach|mache|brauche|raeum|raeume)\b[^.!?\n]{1,60}?\bfrei\b|\blibere[rz]? (?:mon|ma|mes"
        r"|notre)\b"
        r"|\bliber[ae](?:me)? (?:mi|mis|el|la|mia|il|minha|meu|o|a)\b",
        "delete change create book",
    ),
    # "Gib Raj alle Kunden von Nadia", "donne à Carlos les tâches de Nia", "dale a Carlos las tareas", "passa a Raj i
    # clienti"
    wish(
        r"\b(?:gib|gebt|uebergib|uebergebt|uebertrag|uebertrage|uebertragen|ueberlass) (?!mir\b|uns\b|acht\b)"
        rf"[^.!?\n]{{1,80}}?\b{WORK_ABROAD}\b"
        r"|\b(?:donne|donnez|donner|passe|passez|laisse|laissez|dale|dales|pasa|pasale|entrega|entregale|dejale|deja"
        r"|passa"
        r"|repassa|repasse|entregue|deixa|deixe|dai|dalle|dagli|lascia|oddaj|przekaz)(?!-moi|-nous) (?!moi\b|mi\b|ci\b)"
        rf"[^.!?\n]{{1,80}}?\b{WORK_ABROAD}\b",
        "change",
    ),
    # "Raj übernimmt Dakota", "Akira reprend les clients", "Raj se encarga de", "przejmuje"
    wish(
        r"\b(?:uebernimmt|uebernehmen)\b|\b(?:reprend|reprennent) (?:l|d|s|m|n|t|[a-z]{2,})"
        r"|\bse (?:encarga|encargara|hace cargo|ocupa)\b|\b(?:assume|fica com) (?:o|a|os|as)\b"
        r"|\b(?:prende|prendono) in carico\b|\bsubentra\b|\bprzejmuje\b",
        "change",
    ),
    # "Fatima braucht Leilas letzte Mail", "Anaya a besoin du fichier", "Ana necesita el informe", "Ana ha bisogno
    # del file"
    wish(
        rf"\b{NOBODY_ABROAD}[\w.@-]{{2,40}} (?:braucht|soll|sollte|bekommt|wollte|wartet auf|a besoin|aurait besoin"
        rf"|doit (?:avoir"
        rf"|recevoir"
        r"|voir|lire)|necesita|debe (?:tener|recibir|ver|leer)|deberia (?:tener|recibir|ver|leer)|precisa"
        r"|deve (?:receber"
        r"|ver|ter|ler|avere|ricevere|vedere|leggere)|ha bisogno|potrzebuje|powin(?:ien|na) (?:dostac|zobaczyc"
        rf"|przeczytac))\b[^.!?\n]{{1,60}}?\b{_PAPERS_ABROAD}\b",
        "send share",
    ),
    # "Ida muss wissen, dass ...", "Ida doit savoir", "die Druckerei hat die Datei noch nicht", "n'a pas encore le
    # fichier"
    wish(
        rf"\b{NOBODY_ABROAD}[\w.@-]{{2,40}} (?:muss|muessen|soll|sollen|sollte) (?:noch |auch )?wissen\b"
        rf"|\b{NOBODY_ABROAD}[\w.@-]{{2,40}} (?:doit|doivent) savoir\b|\b(?:tiene|tienen) que saber\b"
        r"|\b(?:deve|devono|devem) (?:sapere|saber)\b|\b(?:musi|musza) wiedziec\b"
        rf"|\b(?:hat|haben) [^.!?\n]{{0,40}}?\b{_PAPERS_ABROAD} (?:noch |immer noch )",
        "send share",
    ),
    # "Mach mit Kim einen Termin", "plan ein Treffen", "agenda una reunión"
    wish(
        r"\b(?:mach|mache|machen|leg|lege|setz|setze|plan|plane|planen)\b[^.!?\n]{1,120}?\b(?:einen|eine|ein|ne|nen)"
        r" (?:[\w-]+ ){0,2}?(?:termin|meeting|treffen|besprechung|\w*diagramm|grafik|aufgabe|notiz|eintrag|erinnerung"
        r"|ticket|kontakt)\b"
        r"|\b(?:agenda|programa|convoca|organiza|programma|organizza|pianifica)(?:me|mi|r|re)? (?:una|un|uma|um"
        r"|otra)\b",
        "create book",
    ),
    # "Eine halbe Stunde mit Kofi", "30 minutes avec elle", "media hora con Ana", "mezz'ora con Rui"
    wish(
        r"\b(?:\d{1,3}|eine halbe|anderthalb|eine|zwei) (?:minuten|min|stunden?)\b(?: [^\s.!?,;]{1,30}){0,2}? (?:mit"
        r"|in|am|um)\b"
        r"|\b(?:am|um|ab) [^.!?\n]{1,40}?\b(?:\d{1,3} minuten|anderthalb stunden|eine (?:halbe )?stunde)\b"
        r"|\b(?:\d{1,3} minutes|une demi-heure|une heure|\d heures)\b(?: [^\s.!?,;]{1,30}){0,2}? avec\b"
        r"|\b(?:\d{1,3} minutos|media hora|meia hora|una hora|uma hora)\b(?: [^\s.!?,;]{1,30}){0,2}? (?:con|com)\b"
        r"|\b(?:\d{1,3} minuti|mezz'ora|mezzora|un'ora)\b(?: [^\s.!?,;]{1,30}){0,2}? con\b"
        r"|\b(?:\d{1,3} minut|pol godziny|godzine)\b(?: [^\s.!?,;]{1,30}){0,2}? z\b",
        "create book",
    ),
    # "Neue Aufgabe für Fatima", "nouvelle tâche pour", "nueva tarea", "nuovo cliente"
    wish(
        r"(?:^|[,.;:!\n] ?)(?:neue[rs]?|nouveau|nouvelle|nuev[oa]|nov[oa]|nuov[oa]|nowy|nowe|nowa) (?:aufgabe|termin"
        r"|kunde"
        r"|kundin|kontakt|lead|ticket|tache|client|rendez-vous|tarea|cliente|cita|contacto|tarefa|contato|compito"
        r"|contatto|zadanie|klient)\b",
        "create book",
    ),
)
"""The same in German, French, Spanish, Portuguese, Italian and Polish, without accents."""
