"""Words by which people say what kind of value a content holds: "you can find her e-mail on her website"."""

from __future__ import annotations

from collections.abc import Mapping

from streams.provenance.atoms.found import AtomKind
from streams.provenance.words import listed

WORDS_FOR: Mapping[AtomKind, frozenset[str]] = {
    AtomKind.ADDRESS: listed(
        "e-mail email e-mails emails e-mail-address e-mail-adresse emailadresse mailadresse contact contacts kontakt"
        " courriel contacto contato contatto"
    ),
    AtomKind.PHONE: listed(
        "phone telephone mobile cell contact telefon telefonnummer handynummer kontakt telefono telefone telemovel"
        " contacto contato contatto"
    ),
    AtomKind.ACCOUNT: listed(
        "iban ibans account accounts konto kontonummer bankverbindung compte rib cuenta conta conto"
    ),
}
"""Words in canonical form for kinds of values by which somebody is reached. An "address" can be that of a house, a
"mail" is a message more often, and a "number" can be that of anything."""
