"""Ask a model which kinds of acts a user's message asks for, beside what its words say.

**Idea.** The deterministic deriver reads six languages and knows the usual words. A model tells what a message asks for
from what it quotes or mentions, and reads other languages. It is shown the user's message, never what a tool has
returned, and may only name kinds of acts that there are. But a letter that the user has pasted into the message speaks
to the model, too. So in a language whose words are read, it can only narrow: a kind counts if both name it. In any
other, where the words imply nothing, the kinds that it names are asked for, unless the words refuse something. That is
the one place where a model that is misled makes an allow of what was denied or asked about because nobody has asked for
it. A long letter in such a language makes the message one of that language.

All else that the words say (amounts, counts, what is left out, a yes, that the language is not read) stays as the
deterministic deriver has it, and no value becomes the user's: what is denied or asked about for where its values come
from stays so.

It runs where the text is at hand, which is never the gate: a replay reads what it has said from the log. If it fails,
or says anything else than it was asked for, the words count alone.

**Rejected.** To add what the model names in every language: "Do not pay anything" was then a request to pay, once a
model had said so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from streams.model.session import TaskScope
from streams.provenance.acts.kinds import ActKind
from streams.provenance.requests.agreed import REFUSE
from streams.provenance.requests.languages import FOREIGN
from streams.provenance.requests.scope import Deriver, derive_scopes

MESSAGE_CHARS_MAX = 8_192
"""How much of a message a model is shown. Of a longer one, the words count alone."""
_KINDS = {
    ActKind.SEND: "give a message to persons who are named",
    ActKind.POST: "publish to readers who are not named one by one",
    ActKind.CREATE: "make something new, such as a document or an event",
    ActKind.BOOK: "reserve, order or buy",
    ActKind.CHANGE: "change something that there is",
    ActKind.DELETE: "delete, cancel or end",
    ActKind.PAY: "move money: pay, refund, transfer",
    ActKind.SHARE: "give others access, or make them members",
    ActKind.SECURE: "change who may do what: passwords, keys, permissions",
    ActKind.RUN: "run code, jobs or machines",
}
_PROMPT = """A user has written a message to an agent. Which kinds of acts does the user ask the agent to do?

{kinds}

Answer with a JSON list of these words alone, such as ["pay"]. Name only what the user asks for now, not what the
message quotes or mentions; to look something up is none of these. The message is a JSON string:

{message}
"""
_log = logging.getLogger(__name__)


def model_deriver(complete: Callable[[str], str], words: Deriver = derive_scopes) -> Deriver:
    """Return a deriver that asks a model as well; pass it as `derive` where a user's message is reported.

    Args:
        complete: sends a prompt to a model and returns its answer. Blocking; whatever it raises is logged.
        words: what the words of a message say; the deterministic deriver by default.
    """

    def derive(text: str) -> tuple[TaskScope, ...]:
        scopes = words(text)
        kinds = _kinds_by(complete, text)
        if kinds is None:
            return scopes
        stated = {scope.kind for scope in scopes}
        if FOREIGN not in stated:
            return _narrowed(scopes, kinds)
        more = set() if REFUSE in stated else kinds - stated
        return (*[TaskScope(kind=kind) for kind in sorted(more)], *scopes)

    return derive


def _narrowed(scopes: tuple[TaskScope, ...], kinds: set[str]) -> tuple[TaskScope, ...]:
    """Return what the words say without the kinds of acts that a model has not named."""
    kept = tuple(scope for scope in scopes if scope.kind not in _KINDS or scope.kind in kinds)
    if len(kept) == len(scopes) or any(scope.kind in _KINDS for scope in kept):
        return kept
    # The words end what the user has let stand before, as each request does. That must not come back.
    return kept if any(scope.kind == REFUSE for scope in kept) else (TaskScope(kind=REFUSE), *kept)


def _kinds_by(complete: Callable[[str], str], text: str) -> set[str] | None:
    if len(text) > MESSAGE_CHARS_MAX:
        return None
    listed = "\n".join(f"- {kind}: {meaning}" for kind, meaning in _KINDS.items())
    try:
        answer = json.loads(complete(_PROMPT.format(kinds=listed, message=json.dumps(text))))
    except Exception:
        # A model that is away must not keep a message from being reported.
        _log.warning("a model could not say what a message asks for; its words count alone", exc_info=True)
        return None
    if not isinstance(answer, list) or not all(isinstance(each, str) and each in _KINDS for each in answer):
        _log.warning("a model has not answered with kinds of acts; the words of the message count alone")
        return None
    return set(answer)
