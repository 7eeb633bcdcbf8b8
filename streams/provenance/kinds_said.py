"""Words by which people say what kind of value a content holds: "you can find her e-mail on her website"."""

from __future__ import annotations

from collections.abc import Mapping

from streams.provenance.found import AtomKind
from streams.provenance.words import listed

WORDS_FOR: Mapping[AtomKind, frozenset[str]] = {
    AtomKind.ADDRESS: listed(
        "e-mail email mail e-mails emails mails address addresses contact contacts e-mail-adresse emailadresse"
        " mailadresse adresse kontakt courriel adresses correo correos direccion contacto endereco contato indirizzo"
        " contatto"
    ),
    AtomKind.PHONE: listed(
        "phone telephone mobile cell number numbers contact telefon telefonnummer handynummer nummer kontakt numero"
        " telefono telefone telemovel contacto contato contatto"
    ),
    AtomKind.ACCOUNT: listed(
        "iban ibans account accounts bank details konto kontonummer bankverbindung compte rib cuenta conta conto"
    ),
}
"""Words in canonical form for kinds of values by which somebody is reached."""
