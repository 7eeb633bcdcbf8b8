"""Tell whether a user writes in a language in which requests are not read.

Requests are read in English, German, French, Spanish, Portuguese and Italian (`streams.provenance.acts.asked_kinds`).
One in any other language implies no kind of act, whatever it asks for; of Polish, no more than some verbs are read. So
that nothing of a call is asked for says nothing then, and rules can ask a person where they deny an act that nobody
seems to want.

**Idea.** Letters of another script, or small words that none of the six languages has, and more of them than of those
that are theirs. In doubt the language is one of the six.
"""

from __future__ import annotations

import unicodedata

from streams.provenance.words import LETTERS, listed

FOREIGN = "foreign"
"""In the scope of a request: it is in a language in which requests are not read."""

CHARS_MAX = 2_000
MARKS_MIN = 2
LETTERS_MIN = 4
_LATIN = "LATIN"
_OF_OTHERS = listed(
    # Swedish, Danish, Norwegian
    "och att på är inte jag för från som vill ska skulle vänligen snälla tack hej kunna också jeg ikke og af hvad hvor "
    "gerne være venligst vennligst kanskje til hos kan du den det med i skal mig meg dig deg fra svar"
    # Dutch
    " de in is het een niet zijn voor met ook naar dat die van kun kunt wil alstublieft graag mijn wordt ik je bij"
    # Polish, Czech, Slovak
    " się nie jest proszę czy mi moje mój dla przy oraz żeby prosím že jsem jako jeho můj mám když aby ze pod"
    # Finnish, Estonian, Hungarian
    " että olen minun ja voisitko voitko kiitos myös palun kas minu és hogy egy nem kérlek kérem az"
    # Turkish, Romanian, Croatian, Lithuanian, Latvian, Indonesian, Vietnamese
    " ve bir için lütfen bana benim și să nu pentru este molim kako svoje kad prašau ir kad lūdzu tolong "
    "saya untuk yang dan dengan vui lòng cho tôi"
)
"""Small words of other languages; what is also one of the six is taken out below."""
_OF_OURS = listed(
    "the a an and to of is are my me you your please with for from that this it in on at by if be i we can could would "
    "der das dem und ist ich mir mich du sie wir bitte mit von zu auf ein eine nicht kannst dass wie was an "
    "le la les un une et est je moi vous tu nous pour avec des du de que qui plait dans sur pas au "
    "el los las una y es yo por favor con del lo se su mi para como o os as uma um e é eu meu minha não no na nos do "
    "da il gli i di che per sono ho mio mia alla al dei nel non si ti ci puoi ja oder wenn nem ou vi ve til"
)
_MARKS, _OURS = _OF_OTHERS - _OF_OURS, _OF_OURS - _OF_OTHERS
_LETTERS = frozenset("åøæłşğżźśćńęąěřůďťňőűășțīūēļķņģėųįšžđ")
"""Letters that none of the six languages writes its own words with."""


def is_foreign(text: str) -> bool:
    """Return whether a message is in a language in which requests are not read.

    Args:
        text: the message; what is beyond `CHARS_MAX` is not read.
    """
    words = LETTERS.findall(text[:CHARS_MAX])
    letters = "".join(words)
    others = sum(map(_is_of_another_script, letters))
    if others >= LETTERS_MIN and 2 * others > len(letters):
        return True
    # A name can be of any language.
    marks = {word for word in words if word.lower() in _MARKS or (word.islower() and not _LETTERS.isdisjoint(word))}
    return len(marks) >= MARKS_MIN and len(marks) > len(_OURS.intersection(map(str.lower, words)))


def is_known(text: str) -> bool:
    """Return whether a message has a word that only the six languages have, and is not in another one."""
    return not _OURS.isdisjoint(map(str.lower, LETTERS.findall(text[:CHARS_MAX]))) and not is_foreign(text)


def _is_of_another_script(letter: str) -> bool:
    return not letter.isascii() and not unicodedata.name(letter, _LATIN).startswith(_LATIN)
