"""Leave out the system prompts of an agent whose prompt is a new one all the time.

**Idea.** A prompt is part of an agent's epoch, so that a changed prompt is compared with the one before it. But many
programs write the date, the user's name or a summary into the prompt, and state the digest of all of it. Such an agent
would have an epoch for each session: nothing would ever be usual for it, and each epoch would be published. So the new
prompts of an agent are counted by day. Beyond `PROMPTS_PER_DAY_MAX`, its prompts say nothing about its behaviour, and
its epochs go without them for `VARIES_MS`.

**Rejected.** To learn what is fixed in a prompt: the watch only sees fingerprints. To leave it to operators: they would
find out by detectors that have gone quiet.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS, Activity, row_key
from streams.behaviour.epochs import epoch_parts, without_prompt
from streams.behaviour.pages import OpenRows

PROMPTS_PER_DAY_MAX = 8
"""New prompts of an agent on a day that are still releases, trials and canaries."""
PROMPTS_KEPT_MAX = 32
VARIES_MS = 14 * DAY_MS
"""How long after a day with too many prompts an agent's epochs go without them."""


class Prompts(msgspec.Struct, frozen=True, array_like=True):
    """The system prompts of an agent.

    Attributes:
        known: the newest prompts, the oldest first.
        day: the newest day with a new one, and `count` how many there were on it.
        varies_until_ms: until when they are no part of its epochs.
    """

    known: tuple[str, ...] = ()
    day: int = -1
    count: int = 0
    varies_until_ms: int = 0


def with_steady_prompt(activity: Activity, rows: OpenRows) -> Activity:
    """Return the activity, without the prompt in its epoch if the agent has too many of them.

    Args:
        activity: what the agent does.
        rows: the open rows of the partition; changed if the prompt is new.
    """
    prompt = epoch_parts(activity.epoch).prompt
    if not prompt:
        return activity
    key = row_key("@prompts", (activity.tenant, activity.agent))
    before = rows.load(key, Prompts) or Prompts()
    after = before
    if prompt not in before.known:
        after = _one_more(before, prompt, activity.time_ms)
        rows.store(key, after)
    if activity.time_ms >= after.varies_until_ms:
        return activity
    return msgspec.structs.replace(activity, epoch=without_prompt(activity.epoch))


def _one_more(before: Prompts, prompt: str, time_ms: int) -> Prompts:
    day = max(before.day, time_ms // DAY_MS)
    count = before.count + 1 if day == before.day else 1
    varies_until_ms = before.varies_until_ms
    if count > PROMPTS_PER_DAY_MAX:
        varies_until_ms = max(varies_until_ms, time_ms + VARIES_MS)
    return Prompts((*before.known, prompt)[-PROMPTS_KEPT_MAX:], day, count, varies_until_ms)
