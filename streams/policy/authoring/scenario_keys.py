"""The keys, patterns and bounds of scenario files, for their readers and their JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.policy.authoring.scenario import Verb

SCENARIOS_SUFFIX = ".scenarios.yaml"
SCENARIOS_MAX = 500
STEPS_MAX = 1_000
REPEAT_MAX = 2_000
TOOLS_MAX = 200
SESSIONS_MAX = 100
ENTITIES_MAX = 1_000
NAMES_MAX = 100
LINES_MAX = 100_000
VALUE_CHARS_MAX = 100_000
PAUSE_MS_MAX = 31 * 86_400_000
DEFAULT_AFTER_MS = 1_000
DEFAULT_SESSION = "session"

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z")
TOOL_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_./-]{1,64}\Z")
AFTER_PATTERN = re.compile(r"\+(0|[1-9][0-9]{0,8})(ms|s|m|h|d)\Z")
ENTITY_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}/.{1,256}\Z")
LABEL_PATTERN = re.compile(r"(trusted|untrusted) (public|private|user_identity)\Z")

FILE_KEYS = ("start", "catalog", "tools", "entities", "sessions", "scenarios!")
SCENARIO_KEYS = ("name!", "start", "catalog", "sessions", "steps", "history", "expect")
EXPECTATION_KEYS = ("history", "expect!")
TOOL_KEYS = (
    "read_only", "destructive", "idempotent", "open_world", "reversible", "compensating_tool", "output", "input_schema",
    "state", "sink_args", "kind", "kind_arg", "arg_roles", "owner_args", "output_owners", "content_type",
    "compensating_args", "identifying_args",
)  # fmt: skip
TOOL_BOOLS = ("read_only", "destructive", "idempotent", "open_world", "reversible")
TOOL_PATHS = ("sink_args", "owner_args", "output_owners")
TOOL_PATH_SETS = ("identifying_args",)
TOOL_TEXTS = ("compensating_tool", "kind", "kind_arg", "content_type")
TOOL_BY_PATH = ("arg_roles", "compensating_args")
TOOL_STATES = ("APPROVED", "DEPRECATED", "PROPOSED", "BLOCKED", "REJECTED")
SESSION_KEYS = (
    "user", "agent", "tenant", "scopes", "attended", "expires", "purpose", "parent", "model", "label", "prompt",
    "toolset", "delegation", "risk",
)  # fmt: skip
MODEL_KEYS = ("provider!", "name!", "version")
VERB_KEYS: Mapping[Verb, tuple[str, ...]] = {
    Verb.CALL: ("args", "as", "session", "user", "agent", "sources", "model", "prompt", "toolset", "repeat"),
    Verb.RESULT: ("error", "label"),
    Verb.NOT_RUN: (),
    Verb.APPROVE: ("by", "groups"),
    Verb.REFUSE: ("by", "groups"),
    Verb.OPEN: (),
    Verb.EVENT: ("session", "tool", "label", "risk", "purpose", "scopes"),
    Verb.STOP: ("reason",),
    Verb.RELEASE: ("reason",),
    Verb.ENTITY: ("attributes!",),
    Verb.RECORD: (),
    Verb.WAIT: (),
}
"""The keys of each kind of step, besides `at` and `expect`."""
RECORD_KEYS = ("record!", "key", "value!")
STEP_EXPECT_KEYS = ("calls", "alerts", "dead_letters")
CALL_EXPECT_KEYS = ("reason", "rules", "errors", "memories", "budgets")
JUDGED_VERBS = frozenset({Verb.CALL, Verb.APPROVE, Verb.REFUSE})
"""Steps that must expect a verdict, or that none is given."""
NAMING_VERBS = frozenset({Verb.RESULT, Verb.NOT_RUN, Verb.APPROVE, Verb.REFUSE})
"""Steps that name a call of an earlier step."""
