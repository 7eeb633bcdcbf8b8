"""Check the arguments of the call, and establish their only reading."""

from __future__ import annotations

from streams.model.canonical import CanonicalError, canonical_args, sha256
from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Arguments, Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings

_DETAIL_CHARS_MAX = 200


def check_arguments(case: Case, _control: ControlState, settings: GateSettings) -> Decision | None:
    """Deny arguments that are too large, have no canonical form, or do not have the digest that the intent states.

    Sets `case.arguments`. The proof covers no other arguments than those of the stated digest: an intent with others is
    not proven, whoever made it.
    """
    denial = _fault(case, settings)
    if denial is not None:
        case.is_proven = False
    return denial


def _fault(case: Case, settings: GateSettings) -> Decision | None:
    intent = case.asked.intent
    text = intent.args_json
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > settings.args_bytes_max:
        return _too_large(size, settings)
    try:
        values, canonical = canonical_args(text)
        if len(canonical) > settings.args_bytes_max:  # the canonical form of `1e20` is longer
            return _too_large(len(canonical), settings)
        canonical_json = canonical.decode()
        if canonical_json != text:
            # What is judged must be what runs: `7.0` becomes `7`, and a rule can tell the two apart.
            values = canonical_args(canonical_json)[0]
    except CanonicalError as error:
        return deny(Reason.ARGS_NOT_CANONICALIZABLE, str(error)[:_DETAIL_CHARS_MAX])
    if sha256(canonical) != intent.args_digest:
        return deny(Reason.ARGS_DIGEST_MISMATCH)
    case.arguments = Arguments(values, canonical_json)
    return None


def _too_large(size: int, settings: GateSettings) -> Decision:
    return deny(Reason.ARGS_TOO_LARGE, f"{size} bytes, at most {settings.args_bytes_max} are accepted")
