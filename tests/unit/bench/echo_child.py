"""A child of a measurement that repeats a text, or goes wrong: before it is ready, or when it has begun."""

from __future__ import annotations

from bench.harness.child import await_begin, ending, read_order, say


def main() -> None:
    order = read_order()
    if order["wrong"] == "early":
        raise ValueError(order["text"])
    await_begin()
    if order["wrong"] == "late":
        raise ValueError(order["text"])
    ending().wait()
    say({"heard": order["text"]})


if __name__ == "__main__":
    main()
