"""Phrases with which a tool's text gives the model instructions instead of describing the tool.

They are written for English, in lower case, after what hides in a text was taken out (`streams.operations.review.hidden_characters`).
Gaps are bounded, so that no text takes long.
"""

# ruff: noqa: E501 - a pattern in one line is easier to read than one in pieces

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


class Concern(StrEnum):
    """The severity of a finding. A HIGH one has no place in an honest description."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Phrase(NamedTuple):
    """A kind of phrase."""

    kind: str
    concern: Concern
    pattern: re.Pattern[str]
    meaning: str


_HIGH, _MEDIUM, _LOW = Concern.HIGH, Concern.MEDIUM, Concern.LOW

_WHO = r"(?:the )?(?:users?|humans?|persons?|people|anyone|anybody|customers?|operators?|owners?|them)"
_MODEL = r"(?:assistants?|language model|llms?|ai|a\.i\.|ai agents?|chatbot|model|claude|gpt(?:-?\d\w*)?|chatgpt|copilot|gemini|cursor)"
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|messages?|polic(?:y|ies)|directives?|guard ?rails?|restrictions?"
    r"|constraints?|safety|safeguards?|training|directions)"
)
_TAKE = (
    r"(?:read|include|pass|provide|send|attach|copy|paste|supply|append|put|insert|add|embed|fill(?: in)?|encode|write|"
    r"forward|upload|post|transmit|share|submit|give|open|load|fetch|cat|dump|contents? of|return|report|repeat|quote)"
)
_FILES = (
    r"(?:~/\.?\w|\.ssh\b|id_rsa|id_ed25519|(?<![\w*])\.env\b|/etc/(?:passwd|shadow)|\.aws\b|\.netrc|\.npmrc|\.kube\b|"
    r"credentials\.json|mcp\.json|\.cursor\b|\.git-credentials|\.bash_history|keychain|wallet\.dat|login data|\betc passwd\b)"
)
_TALK = (
    r"(?:conversations?|chat (?:history|log)s?|(?:previous|earlier|prior|recent|last \w+) (?:user )?messages?|system prompts?|"
    r"message history|chain[- ]of[- ]thought|your (?:reasoning|thoughts|context|memory|instructions|system message)|"
    r"context window|entire context|full context|user'?s? (?:last |original |full )?(?:messages?|prompts?))"
)
_SECRETS = (
    r"(?:api[ _-]?keys?|private keys?|(?:access|auth|session|bearer|refresh) tokens?|passwords?|passphrases?|cookies?|"
    r"credentials?|environment variables?|secrets?|seed phrases?)"
)
_PLACE = r"(?:https?://|ftp://|wss?://|[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]{2,}|\b\d{1,3}(?:\.\d{1,3}){3}\b|webhook)"


def _phrase(kind: str, concern: Concern, meaning: str, *patterns: str) -> Phrase:
    return Phrase(kind, concern, re.compile("|".join(patterns), re.DOTALL), meaning)


PHRASES: tuple[Phrase, ...] = (
    _phrase(
        "overrides_instructions",
        _HIGH,
        "tells the model to ignore its instructions",
        rf"\b(?:ignor\w*|disregard\w*|forget\w*|override\w*|bypass\w*|set aside|do(?: no|n')t (?:follow|obey|apply))\b.{{0,40}}"
        rf"\b(?:previous|prior|above|earlier|all|any|other|system|your|these|those|existing|every)\b.{{0,30}}\b{_RULES}\b",
        rf"\b(?:new|updated|real|actual|true|following) {_RULES} (?:are|is|take|replace|supersede|override)",
        r"\btakes? (?:precedence|priority) over (?:all|any|every|your|the|other|previous|system)",
        r"\b(?:whatever|everything|anything|all) (?:you|that you) (?:were|have been|was) (?:told|taught|instructed|asked)\b",
        r"\b(?:from now on|henceforth|for all (?:future|later|further|subsequent) (?:calls|requests|sessions|messages|conversations))\b",
        # German, French, Spanish, Italian, Portuguese, Dutch
        r"\b(?:ignoriere|missachte|vergiss|ignorez?|oubliez?|ignora|olvida|dimentica|ignore|esque[cç]a|negeer|vergeet)\b.{0,30}"
        r"\b(?:anweisungen|anleitungen|regeln|instructions|consignes|r[eè]gles|instrucciones|reglas|istruzioni|regole|instru[cç][oõ]es|instructies|regels)\b",
    ),
    _phrase(
        "demands_secrecy",
        _HIGH,
        "tells the model to hide something from people",
        rf"\b(?:do(?: no|n')t|never|without|must not|should not|mustn't|shouldn't|avoid|refrain from)\b.{{0,30}}"
        rf"\b(?:tell|telling|mention|inform|reveal|show|notif|disclos|alert|expos|explain|let|warn|report)\w*\b.{{0,40}}\b{_WHO}\b",
        r"\b(?:do(?: no|n')t|never|without|must not|should not|avoid) (?:ever )?(?:mention|reveal|disclos|display|acknowledg)\w*\b.{0,40}"
        r"\b(?:this|these|it|that|step|parameter|note|instruction)",
        rf"\b{_WHO}\b.{{0,20}}\b(?:must|should|does|do|need|needs|may|can|will)(?: no|n')t (?:\w+ ){{0,2}}"
        r"(?:know|see|notice|aware|learn|realise|realize|be told|find out)\b",
        r"\bkeep (?:this|it|these|that)\b.{0,30}\b(?:secret|hidden|confidential|between us|to yourself|private|quiet)\b",
        r"\b(?:silently|secretly|quietly|covertly|discreetly|invisibly)\b.{0,40}"
        r"\b(?:send|read|call|add|include|append|run|execute|copy|forward|upload|use|pass|bcc|invoke|attach)\b",
        r"\b(?:gloss over|hide) (?:this|it|these|the (?:fact|call|step|details?|parameter))\b",
        r"\bno need to (?:\w+ ){0,2}(?:tell|bother|inform|mention|notify|alert|show|report|involve|trouble|disturb)\b",
        # German, French, Spanish, Italian, Portuguese
        r"\b(?:sage?|verrate?|erz[aä]hle?)\b.{0,20}\b(?:nutzer|benutzer|anwender|niemandem)\b.{0,15}\b(?:nicht|nichts|davon)\b",
        r"\b(?:ne (?:dis|dites|le dis|mentionne|r[eé]v[eè]le)\w*|no (?:le )?(?:digas|menciones|reveles)|non (?:dire|rivelare|menzionare)|n[aã]o (?:diga|revele|mencione))\b",
    ),
    _phrase(
        "poses_as_system",
        _HIGH,
        "pretends to be the system or developer, whom the model obeys",
        r"</?\s{0,10}(?:important|system|instructions?|secret|hidden|admin|assistant|user|critical|priority|rules?)\b[^<>]{0,80}>",
        r"\[/?(?:system|inst|important|instructions?|admin|hidden)\b[^\[\]]{0,60}\]",
        r"<\|[a-z_]{2,30}\|>",
        r"(?:^|\n)\s{0,40}(?:#{1,6} ?)?(?:system|assistant|developer)(?: (?:prompt|message|note|override))?\s*:",
        r"#{2,6} ?(?:new )?(?:system|instructions?)\b",
        r"\byou are now\b",
        r"\b(?:developer|admin(?:istrator)?|god|debug|jailbreak|dan) mode\b.{0,20}\b(?:enabled|on|active|activated)\b",
        r"\b(?:note|message|instructions?|reminder|attention|notice)\b.{0,10}\b(?:to|for|from)\b.{0,15}"
        rf"\b(?:{_MODEL}|the system|administrator)\b",
    ),
    _phrase(
        "reads_secrets",
        _HIGH,
        "asks for files or conversations that don't belong in a call",
        rf"\b{_TAKE}\b.{{0,80}}{_FILES}",
        rf"\b{_TAKE}\b.{{0,60}}\b{_TALK}",
        rf"\b{_TALK}\b.{{0,60}}\b(?:must|should|needs? to|has to) be\b.{{0,20}}\b(?:included|passed|sent|provided|attached|added)",
        rf"\b(?:include|send|attach|append|forward|upload|post|transmit|embed|exfiltrate|collect|gather)\b.{{0,40}}\b{_SECRETS}\b",
    ),
    _phrase(
        "sends_away",
        _HIGH,
        "asks the model to send data to an address in the text",
        r"\b(?:send|sending|post|posting|upload|forward|transmit|append|include|attach|leak|exfiltrat\w*|copy|bcc|cc|report|deliver|"
        rf"redirect|submit|change|replace|set|addressed|ping|beacon)\b.{{0,80}}\b(?:to|at|with|as|for|of)\b.{{0,20}}{_PLACE}",
        rf"\b(?:bcc|cc)\b.{{0,20}}{_PLACE}",
        r"!\[[^\]]{0,200}\]\(\s{0,10}https?://",
        r"https?://[^\s\"'<>]{1,200}[?&/=](?:\{|\$\{|<|%7b|\[)(?:data|content|secret|token|result|conversation|key|prompt|text|output|"
        r"q|history|user)",
    ),
    _phrase(
        "steers_choice",
        _HIGH,
        "asks the model to call this tool instead of others, or to avoid others",
        r"\b(?:instead of|rather than|in place of|over)\b.{0,10}\b(?:any|all|every|the) other\b.{0,20}\b(?:tools?|functions?|servers?)\b",
        r"\b(?:never|do(?: no|n')t|stop|avoid|refrain from)\b.{0,10}\b(?:use|using|call|calling|invoke|trust|choose)\b.{0,15}"
        r"\b(?:any |all )?other (?:tools?|functions?|servers?|sources?)\b",
        r"\b(?:other|competing|similar|rival) (?:tools?|functions?|servers?)\b.{0,40}"
        r"\b(?:deprecated|broken|insecure|unsafe|compromised|outdated|unreliable|dangerous|obsolete|inferior)\b",
        r"\bmust (?:no longer|never|not) be (?:used|called|chosen|invoked|selected|trusted)\b",
        r"\balways (?:use|call|prefer|choose|pick|select|invoke) this (?:tool|function|one)\b",
        r"\b(?:before|after|prior to|whenever|every time|each time|when)\b.{0,15}\b(?:using|calling|invoking|running|any|every|each)\b"
        r".{0,15}\b(?:any|every|each|all|other|another)\b.{0,15}\b(?:tools?|functions?|actions?|requests?|operations?|response)\b",
        r"\bthis tool (?:must|has to|needs to|should) (?:always )?be (?:called|used|invoked|run)\b.{0,30}"
        r"\b(?:first|before|every|each|any|regardless|always)\b",
    ),
    _phrase(
        "skips_consent",
        _HIGH,
        "claims the user's consent, or tells the model not to ask for it",
        rf"\b{_WHO} (?:has|have|already)\b.{{0,20}}\b(?:already )?(?:approved|authori[sz]ed|consented|agreed|confirmed|granted|"
        r"given (?:permission|consent))\b",
        r"\bpre-?(?:authori[sz]ed|approved|confirmed|consented)\b",
        r"\bno (?:dialog|confirmation|approval|permission|consent|prompt) (?:is|needs? to be|has to be|will be)?\b.{0,10}\b(?:shown|needed|required|asked|necessary)\b",
        r"\b(?:do(?: no|n')t|never|no need to|without|skip\w*|bypass\w*)\b.{0,15}\b(?:ask|asking|request\w*|wait\w*|seek\w*|prompt\w*)\b.{0,25}"
        r"\b(?:confirm\w*|permission|approval|consent|users?|human)\b",
        r"\b(?:skip|bypass|suppress|disable|auto[- ]?(?:approve|accept|confirm))\w*\b.{0,25}"
        r"\b(?:confirmation|approval|permission|consent|safety|review|dialog|checks?|prompts?)\b",
    ),
    _phrase(
        "commands",
        _HIGH,
        "contains a command that downloads or destroys something",
        r"\b(?:curl|wget|invoke-webrequest|iwr)\b.{0,120}(?:https?://|\|\s*(?:ba|z)?sh\b)",
        r"\brm\s+-[a-z]{0,4}[rf]",
        r"\b(?:bash|sh|powershell|python3?|node|perl)\s+-(?:c|e|enc\w*)\b",
        r"\bbase64\s+(?:-d|--decode)\b",
        r"\bnc\s+-\w{0,4}e\b|/dev/tcp/",
    ),
    _phrase(
        "speaks_to_model",
        _MEDIUM,
        "gives the model instructions",
        rf"\b(?:as|you are|you're|dear|hey|attention) (?:an? |the )?(?:helpful )?{_MODEL}\b",
        rf"\b{_MODEL} (?:must|should|needs? to|has to|have to|shall|will|is required|are required|may not|can(?:no|')t)\b",
        r"\b(?:you (?:must|should|have to|need to|are required to|will)|make sure (?:to|that you)|be sure to)\b.{0,15}"
        r"\b(?:also|first|always|never|then|additionally|secretly)\b.{0,20}"
        r"\b(?:read|call|send|use|include|run|execute|fetch|invoke|pass|add|append|open|check|forward|repeat|output|say|reply|respond)\b",
        r"\b(?:in|with|to) (?:your|every|all|each) (?:final |next |subsequent )?(?:answers?|responses?|repl(?:y|ies)|outputs?)\b",
    ),
    _phrase(
        "wants_secrets",
        _MEDIUM,
        "asks for a secret, or private data, as an argument",
        rf"\b(?:pass(?:es|ed|ing)?|provid(?:e|ing)|supply|enter|giv(?:e|ing)|wants?|expects?|asks? for)\b.{{0,40}}\b{_SECRETS}\b",
        rf"\b{_TAKE}\b.{{0,60}}\b(?:private|personal|confidential|payroll|medical|unpublished|internal) (?:\w+ )?(?:notes?|files?|data|mails?|messages?|details|records?|documents?|information)\b",
        r"\b(?:as|in) the (?:first|second|third|last|next|extra|additional) (?:argument|parameter)\b",
    ),
    _phrase(
        "moves_data",
        _MEDIUM,
        "asks the model to copy data into an argument",
        r"\b(?:was|were|is|are|be|been|get|gets) (?:copied|pasted|written|put|placed|quoted|repeated|dumped)\b.{0,30}\b(?:in|into|to)\b.{0,20}"
        r"\b(?:arguments?|parameters?|fields?|remarks?|notes?|body|comments?|call|query|request)\b",
        r"\bcall (?:this tool|it) again\b",
    ),
    _phrase(
        "holds_address",
        _MEDIUM,
        "contains a mail address",
        r"[\w.+-]{1,64}@(?!example\.(?:com|org|net)\b)[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[a-z]{2,24}\b",
    ),
    _phrase(
        "disguises",
        _MEDIUM,
        "asks the model to decode a text, or to read it backwards",
        r"\b(?:rot-?13|backwards?|in reverse|unscramble|decipher)\b",
    ),
    _phrase(
        "sets_conditions",
        _MEDIUM,
        "says what the model must do before or after a call",
        r"\bbefore (?:you )?(?:answer|respond|reply|answering|responding|replying)\b",
        r"\b(?:failing|failure) to\b.{0,80}\b(?:corrupt|break|lose|delet|crash|terminat|destroy)\w*",
        r"\b(?:critical|mandatory)\s{0,2}[:!]",
        r"\b(?:before|prior to|after) (?:using|calling|invoking|running|you (?:use|call|run)) (?:this|the|it|any)\b",
        r"\b(?:otherwise|or else|if you (?:do not|don't|fail))\b.{0,40}\b(?:will not work|won't work|will fail|not work|crash|be lost|delet|"
        r"terminat|penal|shut ?down|suspend)\w*",
        r"\brequired (?:by|for) (?:security|compliance|legal|company|gdpr|hipaa|soc ?2|audit)\b",
    ),
    _phrase(
        "wants_thoughts",
        _MEDIUM,
        "asks for the model's reasoning, or for whom it works, as an argument",
        r"\b(?:your|the model'?s?|the assistant'?s?) (?:reasoning|thoughts?|thinking|plan|intent|full context|scratchpad)\b",
        r"\b(?:summary|transcript|copy|record) of (?:the|this|your|our) (?:\w+ )?(?:conversation|chat|session|dialog(?:ue)?)\b",
        r"\b(?:raw|current|original|entire|exact) prompt\b|\bprompt that you\b",
        r"\b(?:what|everything) the user (?:has )?(?:said|asked|told|typed|wrote)\b",
    ),
    _phrase(
        "names_secrets",
        _LOW,
        "mentions secrets",
        rf"\b{_SECRETS}\b",
        _FILES,
    ),
    _phrase("links", _LOW, "contains a link", r"\bhttps?://", r"\bdata:[a-z]+/[a-z0-9.+-]+[;,]"),
)
"""The phrases to look for, and the severity of each kind."""
