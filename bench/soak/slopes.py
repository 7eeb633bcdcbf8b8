"""How fast a series grows."""

from __future__ import annotations

from collections.abc import Sequence

S_PER_MINUTE = 60.0


def slope_per_minute(samples: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through samples.

    Args:
        samples: when each was taken, in s, and its value; at least two of different times.

    Returns:
        The growth of the value in a minute.

    Raises:
        ValueError: there are no two samples of different times.
    """
    count = len(samples)
    mean_s = sum(time_s for time_s, _ in samples) / max(1, count)
    mean = sum(value for _, value in samples) / max(1, count)
    spread = sum((time_s - mean_s) ** 2 for time_s, _ in samples)
    if not spread:
        msg = f"{count} samples of one instant have no slope"
        raise ValueError(msg)
    return sum((time_s - mean_s) * (value - mean) for time_s, value in samples) / spread * S_PER_MINUTE


def second_half(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the samples of the second half of the time that they cover."""
    first_s, last_s = samples[0][0], samples[-1][0]
    return [sample for sample in samples if sample[0] >= (first_s + last_s) / 2]
