"""How often and how much: ceilings, rates, volumes that leave, and steady contacts with one destination."""

from __future__ import annotations

from math import exp, log, log1p, sqrt
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import BATCH_FROM, DAY_MS, Activity, digest_of
from streams.behaviour.breadth import LETTER_BYTES, excused_of, signs_needed, with_batch
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import beside_days, both_learned, has_days
from streams.behaviour.estimators import (
    SETTLED_WINDOWS,
    Mean,
    Peak,
    Since,
    count_surprise,
    decay,
    is_number,
    tethered,
    updated_mean,
    usual_peak,
    within,
)
from streams.behaviour.pages import Place
from streams.behaviour.presence import ALLOWED, DESTINATION
from streams.behaviour.signals import Keyed, Rows, Scored

OVERDISPERSION = 0.35
"""Variance of a rate at least, in squares of its mean: work comes in bursts."""
DAYS_MIN = 5.0
BISECTIONS = 40
PRIOR_DAYS = 5.0
PRIOR_SPREAD = 0.6
"""How much the logarithms of the peaks of days differ before much is known of an agent, and how many days that counts
as: few days that happen to be alike say little about the next."""
COUNT_MIN = 0.1
KNOWN_SHARE = 0.25
"""What data counts for that goes to a place which agents of the type have long sent something to."""
KNOWN_CALLS_MAX = 16.0
"""How many calls within about a half-life count so: a few large ones are a delivery, many are a flood."""
PLACES_FREE = 8.0
SPREAD_SHARE_MIN = 0.25
"""To how many places data goes within about a half-life on usual days. If it goes to more, only the share counts that
so many of them have (`SPREAD_SHARE_MIN` at least): a mailing brings nobody more than a letter. The largest call counts
in full."""
PLACES_MAX = 16
"""How many places are remembered, the newest: those to which letters go again and again."""


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When the next event would be on time (GCRA, ITU-T I.371)."""

    due_ms: float = 0.0


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The running window's counts, all and those that were learned from, and what windows over usually hold.

    `batch` are about the calls of a session that does nothing else and has read nothing by others, and `whose` is that
    session: others are not to blame.
    """

    index: int = -1
    count: int = 0
    good: int = 0
    past: Mean = Mean()
    batch: int = 0
    whose: int = 0


NEVER = Arrival()
EMPTY = Bucket()


class Volume(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sum that fades: of everything, and of what was learned from.

    `known` and `known_good` are what of these went to known places in a few `known_calls`, which fade as well. So do
    `largest`, the largest call, and `places_count`, how many places it went to, of which `places` are the newest.
    """

    total: float = 0.0
    good: float = 0.0
    at_ms: int = 0
    known: float = 0.0
    known_good: float = 0.0
    known_calls: float = 0.0
    largest: float = 0.0
    places_count: float = 0.0
    places: tuple[int, ...] = ()

    def spread_out(self, counted: float) -> float:
        """Return what counts of a sum that went to more places than data usually does."""
        share = max(PLACES_FREE / self.places_count, SPREAD_SHARE_MIN)
        return self.largest + share * max(counted - self.largest, 0.0)


class Ceiling(Keyed):
    """A hard limit: more events than `limit` in `window_ms`, however many there usually are."""

    row_types = (Arrival,)

    def make_places(self) -> tuple[Place, ...]:
        """Return the place of the arrival."""
        return (self.own(),)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the used part of the allowance."""
        limit, window_ms = self.declaration.limit, self.declaration.window_ms
        now_ms, before = float(activity.time_ms), NEVER if rows[0] is None else rows[0]
        due_ms = (before.due_ms if before.due_ms > now_ms else now_ms) + window_ms / limit
        used = (due_ms - now_ms) / window_ms
        # An event beyond the limit adds nothing, so that the allowance is back after one window.
        latest_ms = now_ms + 2.0 * window_ms
        kept = (Arrival(due_ms if due_ms < latest_ms else latest_ms),)
        return (
            Scored(kept, used, {"count": round(used * limit), "limit": limit}) if used >= self.faint else Scored(kept)
        )


def rolled(bucket: Bucket | None, index: int, window_ms: int, history_ms: int) -> Bucket:
    """Return the bucket of the window `index`; a window that is over becomes one observation of the past."""
    if bucket is None:
        bucket = EMPTY
    if index <= bucket.index:
        return bucket
    past = bucket.past
    if bucket.good:
        over_ms = bucket.index * window_ms
        sd_min = past.mean**0.5 if past.mean > 1.0 else 1.0
        past = updated_mean(past, float(bucket.good), over_ms, history_ms, sd_min)
        if past.weight > SETTLED_WINDOWS:
            level, spread = log(past.mean if past.mean > COUNT_MIN else COUNT_MIN), past.var**0.5
            spread = spread if spread > COUNT_MIN else COUNT_MIN
            past = Mean(past.mean, past.var, past.weight, past.at_ms, tethered(past.tether, level, spread, over_ms))
    return Bucket(index, 0, 0, past)


def times_below(score: float) -> float:
    """Return how many times its mean a count may at least be before it is surprising by `score`, as -log10 p.

    With a variance of at least `OVERDISPERSION` squares of the mean, Chernoff's exponent for x times the mean grows
    with the mean, and stays below (x - 1 - log x) / `OVERDISPERSION`.
    """
    low, high = 1.0, 1.0 + OVERDISPERSION * score * 10.0
    while (high - 1.0 - log(high)) / OVERDISPERSION < score * log(10):
        high *= 2.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        if (middle - 1.0 - log(middle)) / OVERDISPERSION < score * log(10):
            low = middle
        else:
            high = middle
    return low


def surprise_of(count: int, past: Mean) -> float:
    """Return how surprising a count is beside what windows usually hold, as -log10 p."""
    if count <= past.mean and past.tether is None:
        # As in most windows, which need no logarithm.
        return 0.0
    mean, spread = usual_rate(past)
    return count_surprise(float(count), mean, max(spread * spread, mean + OVERDISPERSION * mean**2))


def usual_rate(past: Mean) -> tuple[float, float]:
    """Return mean and standard deviation of the counts of windows, as far as they count as usual."""
    level, spread = within(past.tether, log(max(past.mean, COUNT_MIN)), max(past.var**0.5, COUNT_MIN))
    return exp(level), spread


class RateNb(Keyed):
    """A spike: more events in a window than the windows before explain, and than the fullest windows of usual days.

    Some agents do all their work of a day in one window, and little in the others. The windows before don't explain it,
    and the days before do. Until some days of the agent or of its peers are known, nothing is a spike: ceilings hold.
    """

    row_types = (Bucket, Bucket, Peak, Peak)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        # Most counts are far from surprising: to see that takes no logarithm.
        self._times = 0.999 * times_below(self.faint)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the windows, and of the fullest ones of days, each of the agent and of its peers."""
        return (self.own(), self.peers(), self.own(part="peak"), self.peers(part="peak"))

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return -log10 of the probability of the count so far, below the threshold within what usual days have."""
        it = self.declaration
        own, index = rows[0], activity.time_ms // it.window_ms
        if own is None or index > own.index:
            own = rolled(own, index, it.window_ms, it.history_ms)
        past, count, batch, whose = own.past, own.count + 1, own.batch, own.whose
        peer = EMPTY if rows[1] is None else rows[1]
        if activity.is_batch and activity.is_trusted:
            batch, whose = with_batch(batch, whose, activity, BATCH_FROM)
        kept = (Bucket(own.index, count, own.good, past, batch, whose), peer, rows[2], rows[3])
        if batch:
            count -= excused_of(batch, whose, activity)
        if past.weight < it.min_support:
            past = peer.past
            if past.weight < it.min_support:
                return Scored(kept)
        times, tether = self._times, past.tether
        if count < times * past.mean and (tether is None or count < times * exp(tether.level)):
            return Scored(kept)
        score = beside_days(surprise_of(count, past), count, rows[2:], it)
        if score < self.faint:
            return Scored(kept)
        usual = max(past.mean, 1e-3)
        return Scored(kept, score, {"count": count, "usual": usual, "times": count / usual})

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more event that may be learned from."""
        del noted
        it, (own, peer, peak, peer_peak) = self.declaration, rows
        own = Bucket(own.index, own.count, own.good + 1, own.past, own.batch, own.whose)
        if own.good == 1 and own.past.weight:
            # The peers learn what their members usually do, once in each window of each member.
            past = updated_mean(peer.past, own.past.mean, activity.time_ms, it.history_ms, 1.0)
            peer = Bucket(peer.index, peer.count, peer.good, past)
        peak, peer_peak = both_learned(peak, peer_peak, float(own.good), activity.time_ms, it)
        return (own, peer, peak, peer_peak)


def with_prior(spread: float, days: float) -> float:
    """Return how much the peaks of days differ, from the peaks of some days and from what is usual of any agent."""
    return sqrt((days * spread**2 + PRIOR_DAYS * PRIOR_SPREAD**2) / (days + PRIOR_DAYS))


def with_letter(mean: float, largest: float) -> float:
    """Return the logarithm of what is usual, of data that leaves: its largest call is, if that is a short letter."""
    return max(mean, log1p(min(largest, LETTER_BYTES)))


class Egress(Keyed):
    """Volume that leaves: a fading sum beside the highest sums of earlier days.

    If places are distinguished (`term`), a few calls to those that agents of the type have sent something to for
    `settle_ms` count for `KNOWN_SHARE`. What is usual is learned in full, so that what goes elsewhere weighs no more.
    """

    row_types = (Volume, Peak, Peak, Since)
    needs = DESTINATION | ALLOWED

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the sum, of the peaks of the agent and of its peers, and of the destination."""
        term = self.declaration.term
        return (
            self.own(),
            self.own(part="peak"),
            self.peers(),
            self.peers(term, part="known") if term else self.peers(part="known"),
        )

    def _is_known(self, known: Since | None, now_ms: int) -> bool:
        settle_ms = self.declaration.settle_ms
        return known is not None and settle_ms > 0 and 0 < known.at_ms <= now_ms - settle_ms

    def _amount(self, activity: Activity) -> float:
        value = self._value(activity) if self._value is not None else None
        return max(value, 0.0) if is_number(value) else 0.0

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations the sum lies above the usual peak of a day, and above a short letter."""
        it, now_ms = self.declaration, activity.time_ms
        volume = rows[0] or Volume()
        left, amount = decay(now_ms - volume.at_ms, it.half_life_ms), self._amount(activity)
        known_calls, known = volume.known_calls * left, 0.0
        if self._is_known(rows[3], now_ms):
            known = amount if known_calls < KNOWN_CALLS_MAX else 0.0
            known_calls += 1.0
        place, places, largest = digest_of(activity.destination or ""), volume.places, volume.largest * left
        is_other = place not in places
        volume = Volume(
            volume.total * left + amount,
            volume.good * left,
            max(volume.at_ms, now_ms),
            volume.known * left + known,
            volume.known_good * left,
            known_calls,
            largest if largest > amount else amount,
            volume.places_count * left + is_other,
            (*places, place)[-PLACES_MAX:] if is_other else places,
        )
        kept = (volume, *rows[1:])
        for peak in (rows[1], rows[2]):
            if peak is not None and has_days(peak, it):
                mean, spread = usual_peak(peak)
                counted = volume.total - (1.0 - KNOWN_SHARE) * volume.known
                if volume.places_count > PLACES_FREE:
                    counted = volume.spread_out(counted)
                counted_log, deviation = log1p(counted), with_prior(spread, peak.past.weight)
                z = (counted_log - mean) / deviation
                if z >= self.faint:
                    mean = with_letter(mean, volume.largest)
                    z = (counted_log - mean) / deviation
                words = {"sum": volume.total, "usual": exp(min(mean, 80.0)), "z": z}
                if z >= it.threshold and signs_needed(it, z / it.threshold, activity) is None:
                    # What was reported is not counted again, or the honest calls that follow would be blamed for it.
                    good, known_good = volume.good, volume.known_good
                    kept = (replace(volume, total=good, known=known_good), *rows[1:])
                return Scored(kept, z, words, (amount, known))
        return Scored(kept, noted=(amount, known))

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with the peaks of the day."""
        volume, own, peer, known = rows
        good = volume.good + noted[0]
        own, peer = both_learned(own, peer, good, activity.time_ms, self.declaration)
        known_good = volume.known_good + noted[1]
        volume = replace(volume, good=good, known_good=known_good)
        if known is None and self.declaration.term:
            known = Since(activity.time_ms)
        return (volume, own, peer, known)


class Contact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an agent does with one destination: the running day, and the active days before."""

    bucket: Bucket = Bucket()
    days: int = 0


class DestDaily(Keyed):
    """Low and slow: more contacts in a day with one destination than is usual for it, or for any."""

    row_types = (Contact, Mean)
    keys_have_term = True
    needs = ALLOWED

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the contact with the destination, and of contacts with any."""
        return (self.own(self.declaration.term or ""), self.peers())

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return -log10 of the probability of the contacts of the day."""
        it, usual = self.declaration, rows[1] or Mean()
        before = rows[0] or Contact()
        bucket = rolled(before.bucket, activity.time_ms // DAY_MS, DAY_MS, it.history_ms)
        is_new_day = bucket.index != before.bucket.index
        bucket = Bucket(bucket.index, bucket.count + 1, bucket.good, bucket.past)
        contact = Contact(bucket, before.days + is_new_day)
        if bucket.past.weight >= DAYS_MIN:
            past = bucket.past
        elif usual.weight >= max(it.min_support, DAYS_MIN):
            past = usual
        else:
            return Scored((contact, usual))
        score = surprise_of(bucket.count, past)
        if score < self.faint:
            return Scored((contact, usual))
        return Scored((contact, usual), score, {"count": bucket.count, "usual": past.mean, "days": contact.days})

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more contact."""
        del noted
        contact, usual = rows
        bucket = contact.bucket
        if not bucket.good and bucket.past.weight:
            usual = updated_mean(usual, bucket.past.mean, activity.time_ms, self.declaration.history_ms, 1.0)
        bucket = Bucket(bucket.index, bucket.count, bucket.good + 1, bucket.past)
        return (Contact(bucket, contact.days), usual)
