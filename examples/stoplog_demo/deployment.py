"""The demonstration with everything that it needs: a log, its topics, and a gate in a thread."""

from __future__ import annotations

import json
import secrets
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from stoplog_demo.host import ISSUER
from stoplog_demo.publication import OPERATOR
from stoplog_demo.run import DemoEnvironment, DemoReport, NextCommands, run_demo
from stoplog_demo.view import View
from streams.audit.seal_key_list import ListedKey, SealKeyList
from streams.audit.signatures import SigningKey
from streams.delegation.anchors import HMAC
from streams.model.proof import ROOT_KEY_BYTES_MIN
from streams.operations.settings import CatalogSection, ReleaseSection, RulesSection
from streams.operations.topics.application import carry_out, make_plan
from streams.operations.topics.plan import CreateTopic
from streams.operations.trial import DEVELOPMENT_ROOT_KEY
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.gate.runner import GateRunner, allocator, notary
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate, build_notary
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings
from streams.wiring.shipped import rules_directory

TOPIC_PREFIX = "stoplog-demo."
"""On a cluster the demonstration has topics of its own. Otherwise other gates could judge its sessions, and its gate
those of others, and they would write verdicts that contradict each other."""

GROUP = "stoplog-demo"
UNSIGNED = {
    "rules": RulesSection(allow_unsigned=True),
    "catalog": CatalogSection(allow_unsigned=True),
    "release": ReleaseSection(allow_unsigned=True),
}
"""Sections of the settings. The topics belong to the demonstration, and there is no key for their rules. For its tools,
one on an embedded log makes a key of its own."""

NAMED = {"rules": "publishers", "catalog": "reviewers", "release": "releasers"}
"""Who is named in each of these sections. Where somebody is, it is an error to accept what nobody has signed."""

READY_MS = 60_000
_UNIQUE_CHARS = 8


def state_dir(folder: Path) -> Path:
    """Return where the embedded log of a demonstration is, in its folder."""
    return folder / "state"


def settings_file(folder: Path) -> Path:
    """Return where the settings for commands that read the log of a demonstration are, in its folder."""
    return folder / "stoplog.toml"


def write_settings(folder: Path, settings: Settings) -> None:
    """Write settings with which commands see what the gate of the demonstration saw.

    With settings of their own, they would say that gates reject its tools, because they trust nobody who signed them.

    Args:
        settings: the gate's.
    """
    reviewers = "".join(f"{_text(name)} = {_text(key)}\n" for name, key in settings.catalog.reviewers.items())
    sections = (
        f"# The log of this demonstration.\nstate_dir = {_text(str(state_dir(folder)))}\n"
        f"tenant = {_text(settings.tenant)}\n",
        *(f"[{name}]\nallow_unsigned = true\n" for name in UNSIGNED if getattr(settings, name).allow_unsigned),
        f"[catalog.reviewers]\n{reviewers}",
        # Whoever follows an alert of this log to its end has no key of a handler.
        "[alerts]\nallow_unsigned = true\n",
    )
    settings_file(folder).write_text("\n".join(sections), "utf-8")


def write_seal_keys(folder: Path, settings: Settings, root_key: bytes) -> None:
    """Write the list of the gate's public key, with which anybody can prove that the log is whole.

    Args:
        root_key: of the gate, which nobody gets.
    """
    key = ListedKey(name="gate", key=str(settings.seal.signer(root_key).public))
    listed = SealKeyList(deployment=settings.gate.deployment, serial=1, keys=(key,))
    (folder / "seal-keys.json").write_bytes(listed.format())


def _text(text: str) -> str:
    # A JSON text is a TOML text, too.
    return json.dumps(text, ensure_ascii=False)


def demo_settings(folder: Path, bootstrap: str | None) -> Settings:
    """Return the settings of one demonstration.

    It takes from the settings of this machine only how to reach the cluster, and which content is captured. With the
    others, such as the key of the gates' seals, its gate would do what its executor and its story do not expect.

    Args:
        folder: for all files on this machine.
        bootstrap: the brokers of a cluster; None: the embedded log.

    Raises:
        SettingsError: the settings can't be understood.
    """
    unique = SYSTEM.uuid()[-_UNIQUE_CHARS:]
    base = load_settings()
    own: dict[str, Any] = {
        "state_dir": state_dir(folder),
        "group": GROUP,
        "instance": f"demo-{unique}",
        "tenant": f"demo-{unique}",
        "log": "embedded",
        "content": base.content,
        # The probe that looks for a running gate opens a session without a grant.
        "gate": {"trust_anchors": {ISSUER: HMAC}, "require_delegation": False},
    }
    if bootstrap is not None:
        own |= {"log": "kafka", "bootstrap": bootstrap, "kafka": base.kafka, "engine": base.engine}
        own["topics"] = {**base.topics.model_dump(), "prefix": TOPIC_PREFIX, "principals": {}}
    return Settings(**own).model_copy(update=UNSIGNED)


def demonstrate(settings: Settings, folder: Path, view: View, next_commands: NextCommands) -> DemoReport:
    """Create the topics, run a gate, run the demonstration, stop the gate. Blocking, under a minute.

    Args:
        settings: made by `demo_settings`.
        folder: for this demonstration only; must not contain an earlier one. One on an embedded log writes settings
            for commands there.
        view: shows the demonstration; closed when this returns.
        next_commands: see `NextCommands`.

    Raises:
        StoplogError, LogError: something that it needs is missing, or fails.
    """
    key, root_key = None, DEVELOPMENT_ROOT_KEY
    if settings.log == "embedded":
        # On a cluster, all demonstrations share the topics, and each would refuse the others' tools and sessions.
        key, root_key = SigningKey.made(), secrets.token_bytes(ROOT_KEY_BYTES_MIN)
        settings = settings.model_copy(update={"catalog": CatalogSection(reviewers={OPERATOR: str(key.public)})})
        write_settings(folder, settings)
        write_seal_keys(folder, settings, root_key)
    codec = build_codec(settings)
    clock = SystemClock()
    with ExitStack() as stack:
        stack.callback(view.close)
        log = stack.enter_context(open_log(settings))
        with closing(log.admin()) as admin:
            plan = make_plan(settings.topics, settings.group, admin, [settings.tenant])
            carry_out(plan, admin, settings.topics.replication, lambda _: None)
        made = sum(isinstance(step, CreateTopic) for step in plan.steps)
        view.note(f"{log.name}: {f'{made} topics created' if made else 'all topics exist'}")
        runner = GateRunner(
            lambda: build_gate(settings, log, codec, root_key),
            clock,
            beside=[
                allocator(lambda: build_budgets(settings, log, codec)),
                notary(lambda: build_notary(settings, log, codec, root_key)),
            ],
        )
        runner.start()
        stack.callback(runner.stop)
        view.note(f"gate `{settings.instance}` serves {len(runner.wait_ready(READY_MS))} partitions")
        transport = stack.enter_context(Transport(log, codec, clock))
        environment = DemoEnvironment(
            transport=transport,
            root_key=root_key,
            workdir=folder / "work",
            rules_dir=rules_directory(),
            bundle_name=settings.gate.bundle_name,
            tenant_uid=settings.tenant,
            reviewer_key=key,
        )
        return run_demo(environment, view, next_commands)
