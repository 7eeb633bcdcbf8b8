"""What a simulation is made of here: the real codec, the real rules, and three bundles that follow each other."""

from __future__ import annotations

from simulation.simulator import Ingredients
from tests.kit import BUNDLE, RULES, compile_published, wire

# Waiting is shorter than in the table of the gate's tests, so that a simulation comes to its end.
_QUICK = RULES.replace("ttl: 10m", "ttl: 8s").replace("defer: 30s", "defer: 3s")
_STRICT = _QUICK.replace("tools: [files.read, web.fetch, mail.send]", "tools: [files.read, mail.send]")
_BROKEN = _QUICK.replace('when: "true"', "when: nonsense(")

BUNDLES = tuple(
    {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": rules} for rules in (_QUICK, _STRICT, _QUICK, _BROKEN, _QUICK)
)


def ingredients() -> Ingredients:
    return Ingredients(wire=wire(), compile_bundle=compile_published, bundles=BUNDLES)
