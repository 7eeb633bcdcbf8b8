"""The rows of provenance that are records. Values themselves are packed (`streams.provenance.sources.memory`).

The order of the fields is the format: fields are only ever added at the end, with defaults.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.model.budget import CarriedSource
from streams.processors.provenance.flow import UNSTATED, Audience
from streams.provenance.requests.scope import Scope
from streams.provenance.sources.memory import OTHER_PATH

AGREED_ACTS_MAX = 4
"""Acts that one message can agree to. "Yes, cancel both and refund them" is four."""
SELECTED_MAX = 32
"""Calls whose result is awaited and whose selectors the user named. Those after them count as not selected by him."""
DERIVED_MAX = 32
"""Calls whose result is awaited and is made of others' text. With as many, all results count as that."""


class ProvenanceRow(msgspec.Struct, frozen=True, array_like=True):
    """What a session has read as a whole, and what it may do for the request.

    Attributes:
        atoms_count: values that are kept.
        events_count: events that explanations can name.
        is_complete: whether all values of everything that was read are kept, but perhaps for words.
        has_untrusted: whether something was read that others may write.
        has_text: whether some of that was free text.
        is_instructed: whether any of that text reads like an instruction.
        knows_subject: whether a record of the session's subject was read.
        scopes: what the session may do for the request.
        selected: intents of reads whose selectors the user named, and whose results have not been reported.
        acts: allowed calls by kind of act, and by the full name of a tool whose calls a scope limits (`SERVER/NAME`,
            which no kind looks like).
        conversation: the conversation that the session belongs to, as its proven intents state; empty if to none.
        stores: the servers whose contents were read, with the instant of the last one.
        answered: when what outlives sessions was known last, by its budget key.
        has_message: whether the user has said something to the session itself.
        drifts: acting calls that nothing in the request or its results has called for.
        calls_for: what instructions of others that were read call for together, a set of bits of
            `streams.provenance.acts.calls`.
        agreed_acts: to how many more acts the user's last message may have agreed. Nothing that others may write was
            read since.
        amounts: who has stated amounts of money, a set of `Amounts`.
        asked_s: when the user has asked for something last, in seconds of Unix time: in this session, or in the one
            that this session works for.
        has_pointed_text: whether free text was read in a content that the user has pointed at.
        tied: the values that the user's last message names only beside some acts, by their digests, with these acts as
            bits of `streams.provenance.acts.calls`.
        reached: of each kind of value by which somebody is reached, the digest of the only one in contents with text
            that the user has pointed at since he last asked for something; empty if there are several.
        lacks_words: whether words without a shape were read that are not kept.
        proposing: what the agent has said since the user's last message, as for `proposed`.
        proposed: what the agent has said that the user has let stand, by sorts, as digests in a row
            (`streams.processors.provenance.proposals`); empty if he has answered nothing, or if that is not known.
        derived: of intents of reads whose results have not been reported, what is made of others' text in these
            (`streams.processors.provenance.derived`).
        is_tainted: whether the session knows, from its conversation or from what was written into a store, something of
            a session that has read what is untrusted as a whole.
        carried: where it knows that from: what other sessions have read or written.
        shown: of each server in `stores`, the digests of what its contents have shown since its store was last known,
            and of what they have shown before that is quoted there (`streams.processors.provenance.reached`).
        asked_own: intents of reads that have asked for the subject alone, and whose results have not been reported.
        identifying: of intents of reads by whose arguments the user has identified himself, and whose results have not
            been reported, the digest of what is asked (`streams.processors.provenance.identifying`).
        identified: the first other names of the subject that a result has shown, as digests.
        identified_by: the intent of the read that has returned it, if the user has identified himself by its arguments.
        unidentified: how many results of identifying calls have identified nobody.
        others_events: how many events there were when the last of what others may write was read, that one among them;
            zero if that is not known (`streams.processors.provenance.introduced`).
        elsewhere: the digests of what the user has said to other sessions of the conversation only
            (`streams.processors.provenance.elsewhere`).
    """

    atoms_count: int = 0
    events_count: int = 0
    is_complete: bool = True
    has_untrusted: bool = False
    has_text: bool = False
    is_instructed: bool = False
    knows_subject: bool = False
    scopes: tuple[Scope, ...] = ()
    selected: tuple[str, ...] = ()
    acts: dict[str, int] = {}
    conversation: str = ""
    stores: dict[str, int] = {}
    answered: dict[str, int] = {}
    has_message: bool = False
    drifts: int = 0
    calls_for: int = 0
    agreed_acts: int = 0
    amounts: int = 0
    asked_s: int = 0
    has_pointed_text: bool = False
    tied: dict[bytes, int] = {}
    reached: dict[str, bytes] = {}
    lacks_words: bool = False
    proposing: dict[str, bytes] = {}
    proposed: dict[str, bytes] = {}
    derived: dict[str, bytes] = {}
    is_tainted: bool = False
    carried: tuple[CarriedSource, ...] = ()
    shown: dict[str, bytes] = {}
    asked_own: tuple[str, ...] = ()
    identifying: dict[str, bytes] = {}
    identified: tuple[bytes, ...] = ()
    identified_by: str = ""
    unidentified: int = 0
    others_events: int = 0
    elsewhere: bytes = b""


class Amounts:
    """Who has stated amounts of money: bits of a set."""

    SHOWN: Final = 1
    """A record that the user has pointed at, as one of its fields."""
    NAMED: Final = 2
    """The user himself, or at least a number without a unit."""


class ContentRow(msgspec.Struct, frozen=True, array_like=True):
    """An event that values were seen in, and the paths of the fields that held them.

    Attributes:
        event_id: its id.
        paths: of fields, by their numbers.
        audiences: who may see its fields, each audience once.
        audience_numbers: the number of the audience of each path; empty if there is only one audience.
    """

    event_id: str
    paths: tuple[str, ...] = ()
    audiences: tuple[Audience, ...] = ()
    audience_numbers: bytes = b""

    def paths_at(self, path_number: int) -> tuple[str, ...]:
        """Return the path with a number, alone; none for a field without one, which has the number `OTHER_PATH`."""
        return self.paths[path_number : path_number + 1]

    def audience_at(self, path_number: int) -> Audience:
        """Return who may see the field with the number of a path: of one without a number, as of unlabelled data."""
        if len(self.audiences) == 1 and not self.audience_numbers:
            return self.audiences[0]
        number = self.audience_numbers[path_number] if path_number < len(self.audience_numbers) else OTHER_PATH
        return self.audiences[number] if number < len(self.audiences) else UNSTATED


decode_provenance = msgspec.msgpack.Decoder(ProvenanceRow).decode
decode_content = msgspec.msgpack.Decoder(ContentRow).decode
