"""The checks that need the log: topics, clock, rights, and what has been published. They write nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from streams.engine.startup import CHECKED_CONFIG, topic_faults
from streams.model.errors import RecordError
from streams.model.plurals import many
from streams.model.reasons import Reason
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.topics import BY_NAME, PER_TENANT, Role, Topic
from streams.model.types import Actor, ToolRef
from streams.operations.doctor.clocks import examine_clocks
from streams.operations.doctor.findings import Finding, Status, failed, fine, warned
from streams.operations.doctor.installation import AccessRights, Installation
from streams.operations.open_transactions import (
    BROKER_HEARTBEAT_MS_RECOMMENDED,
    BROKER_SESSION_MS_RECOMMENDED,
    BROKER_SESSION_SETTING,
    STUCK_MS,
    TRANSACTION_TIMEOUT_MS_MAX,
    TRANSACTION_TIMEOUT_SETTING,
    StableOffsets,
    Stuck,
    is_long,
    writer_texts,
)
from streams.operations.settings import AlertsSection, CatalogSection, ContentSection, Deployment, ReleaseSection
from streams.operations.topics.access import PrincipalsError
from streams.operations.topics.application import ADMINISTRATOR_CHECKS, make_plan, topics_of
from streams.operations.topics.reader import TopicReadError, partitions_of, read_to_end
from streams.policy import compile_bundle
from streams.ports import Admin, Clock, LogError, Received
from streams.ports.open_log import Log
from streams.processors.control.attributes import Attributes
from streams.processors.control.baselines import STALE_MS
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import CALLABLE_STATES, ControlState
from streams.sdk.connection.transport import RecordCodec
from streams.topology import GATE, PROCESSORS

FAULTS_SHOWN_MAX = 5
_STUCK_PAUSE_MS = 500
_MINUTES_SHOWN_MAX = 120

_WATCHED = tuple(dict.fromkeys(topic for spec in PROCESSORS for topic in spec.topics()))
"""The topics that a gate needs to start: its own, and those of the budget allocator and the notary beside it."""

_NO_RIGHTS = (
    "name this principal as `gate` in `topics.principals`, and ask an administrator to run `stoplog topics apply`"
)
_ANY_CALL = Call(tenant_uid="", session_id="", sub="", act=Actor(iss="", sub=""), tool=ToolRef(server_id="", name=""))


def examine_log(installation: Installation, log: Log, codec: RecordCodec | None) -> Iterator[Finding]:
    """Check an open log. If a check shows that later ones can't be made, those are skipped."""
    try:
        with closing(log.admin()) as admin:
            names = [topic.name for topic in topics_of(installation.topics, [installation.deployment.tenant_uid])]
            hidden = admin.hidden(names, configs=True)
            states = admin.describe([name for name in names if name not in hidden], CHECKED_CONFIG)
            known = f"{len(states)} of {len(names)} topics exist"
            known += f"; this client may not see {many(len(hidden), 'other')}" if hidden else ""
            yield fine("log", f"{log.name} answers; {known}")
            lacking = [f"see topic `{topic.name}`" for topic in _WATCHED if topic.name in hidden]
            if lacking:
                yield failed("rights", f"this client may not {_listed(lacking)}", _NO_RIGHTS)
                return
            faults = topic_faults(_WATCHED, states)
            yield from _topics(installation, admin, faults)
    except LogError as error:
        advice = "check that the brokers run and can be reached, and that section `kafka` of the settings fits them"
        yield failed("log", str(error), "" if installation.on_embedded_log else advice)
        return
    if faults:
        return
    # Before what takes longer: a transaction may be aborted meanwhile.
    yield from _open_transactions(installation, log)
    yield from _brokers(log)
    yield from examine_clocks(log, installation.clock, is_embedded=installation.on_embedded_log)
    if installation.open_rights is not None:
        yield from _rights(installation, installation.open_rights)
    if codec is not None:
        yield from _published(installation.deployment, log, codec, installation.clock)


def _topics(installation: Installation, admin: Admin, faults: Sequence[str]) -> Iterator[Finding]:
    if faults:
        yield failed("topics", _listed(faults), "run `stoplog topics apply`")
        return
    try:
        plan = make_plan(installation.topics, installation.group, admin, [installation.deployment.tenant_uid])
    except PrincipalsError as error:
        yield failed("topics", str(error))
        return
    yield from _instance(installation)
    unseen = f"; not checked, as this client may not see them: {_listed(plan.unseen)}" if plan.unseen else ""
    if plan.is_clean:
        text = "all that can be seen are as declared" if unseen else "all as declared"
        yield Finding("topics", Status.OK, f"{text}{unseen}", ADMINISTRATOR_CHECKS if unseen else "")
        return
    differs = [*map(str, plan.steps), *(trouble.text for trouble in plan.troubles)]
    yield warned(
        "topics",
        f"a gate can start, but topics differ from the declaration: {_listed(differs)}{unseen}",
        "run `stoplog topics check`",
    )


def _instance(installation: Installation) -> Iterator[Finding]:
    """Tell if `topics apply` lets no gate of this name write: a client can't ask for rights on transactional ids."""
    section, name = installation.topics, installation.instance
    gates = section.principals.get(Role.GATE.value, ())
    named = {each: sorted(section.instances.get(each, ())) for each in gates}
    if named and not any(name in names for names in named.values()):
        told = "; ".join(f"`{each}`: {', '.join(names)}" for each, names in sorted(named.items()))
        yield warned(
            "instances",
            f"setting `topics.instances` names no gate `{name}` ({told}): with access control, it could not write",
            f"if a gate runs here, add `{name}` there, and ask an administrator to run `stoplog topics apply`",
        )


def _brokers(log: Log) -> Iterator[Finding]:
    """Check the settings of the brokers that decide how long others hold up a gate."""
    names = (TRANSACTION_TIMEOUT_SETTING, BROKER_SESSION_SETTING)
    try:
        with closing(log.admin()) as admin:
            brokers = admin.broker_settings(names)
    except LogError as error:
        advice = "ask an administrator, who may read them, to run `stoplog doctor`"
        yield warned("brokers", f"their settings can't be read: {error}", advice)
        return
    if not brokers:
        return
    faults: list[str] = []
    remedies: list[str] = []
    for name, ms_max in zip(names, (TRANSACTION_TIMEOUT_MS_MAX, BROKER_SESSION_MS_RECOMMENDED), strict=True):
        long = [f"{broker}: {of[name]} ms" for broker, of in sorted(brokers.items()) if is_long(of, name, ms_max)]
        if long:
            faults.append(f"`{name}` is above {ms_max} (broker {', '.join(long)})")
            remedies.append(f"`{name}={ms_max}`")
            if name == BROKER_SESSION_SETTING:
                remedies.append(f"`broker.heartbeat.interval.ms={BROKER_HEARTBEAT_MS_RECOMMENDED}`")
    if faults:
        text = f"put {' and '.join(remedies)} into server.properties of brokers and controllers, and restart them"
        yield warned("brokers", _listed(faults), text)
    else:
        yield fine("brokers", "their timeouts are as short as recommended")


def _open_transactions(installation: Installation, log: Log) -> Iterator[Finding]:
    """Look for transactions that hold up the gate's input, for some seconds if any is open."""
    if installation.on_embedded_log:
        return
    clock, offsets = installation.clock, StableOffsets()
    found: list[Stuck] = []
    try:
        partitions = partitions_of(log, [topic.name for topic in (*GATE.inputs, *GATE.broadcast)])
        with closing(log.reader()) as reader:
            began_ms = clock.monotonic_ms()
            while True:
                ends = reader.end_offsets(partitions)
                stable = reader.stable_offsets(partitions)
                now_ms = clock.monotonic_ms()
                found += offsets.observe(ends, stable, now_ms)
                if not offsets.is_waiting or now_ms - began_ms > STUCK_MS + _STUCK_PAUSE_MS:
                    break
                clock.sleep_ms(_STUCK_PAUSE_MS)
            found = found[:FAULTS_SHOWN_MAX]
            writers = writer_texts(reader, found)
    except (LogError, TopicReadError) as error:
        yield warned("transactions", f"can't be looked for: {error}")
        return
    if not found:
        yield fine("transactions", "none holds up a reader")
    for stuck, writer in zip(found, writers, strict=True):
        yield failed("transactions", f"{stuck.text(now_ms)}; {writer}", stuck.advice(installation.topics.prefix))


def _rights(installation: Installation, open_rights: Callable[[], AccessRights]) -> Iterator[Finding]:
    wanted: dict[str, set[str]] = {}
    prefix = installation.topics.prefix
    for spec in PROCESSORS:
        for topic in (*spec.read, spec.changelog):
            wanted.setdefault(f"{prefix}{topic.name}", set()).add("READ")
        letters = tuple(BY_NAME[topic.dlq] for topic in spec.read if topic.dead_letters)
        tenants = topics_of(installation.topics, [installation.deployment.tenant_uid])
        written = [topic for topic in spec.outputs if topic not in PER_TENANT]
        if len(written) < len(spec.outputs):
            written += [topic for topic in tenants if topic.family]
        for topic in (*written, spec.changelog, *letters):
            wanted.setdefault(f"{prefix}{topic.name}", set()).add("WRITE")
    try:
        with closing(open_rights()) as rights:
            on_topics = rights.on_topics(list(wanted))
            on_group = rights.on_group(installation.group)
    except LogError as error:
        yield warned("rights", f"can't be found out: {error}")
        return
    lacking = [
        f"{operation.lower()} `{name}`"
        for name, operations in wanted.items()
        for operation in sorted(operations - (_all_if_unsaid(on_topics[name])))
    ]
    if "READ" not in _all_if_unsaid(on_group):
        lacking.append(f"read group `{installation.group}`")
    if lacking:
        yield failed("rights", f"this client may not {_listed(lacking)}", _NO_RIGHTS)
    elif None in (*on_topics.values(), on_group):
        yield fine("rights", "the broker does not report them")
    else:
        yield fine(
            "rights", "sufficient to read and write as a gate does; rights on transactional ids can't be checked"
        )


def _all_if_unsaid(operations: frozenset[str] | None) -> frozenset[str]:
    return frozenset({"READ", "WRITE"}) if operations is None else operations


def _published(deployment: Deployment, log: Log, codec: RecordCodec, clock: Clock) -> Iterator[Finding]:
    """Check what a gate would read from the broadcast topics."""
    rules = Publications(deployment.bundle_name, deployment.rules.trusted(), InlineCompiler(compile_bundle))
    control = ControlState(
        rules,
        Catalog(deployment.catalog.trusted()),
        RevocationSet(deployment.release.trusted()),
        Attributes(deployment.attributes.trusted(), deployment.attributes.room()),
    )
    refused: list[str] = []
    try:
        for received, error in _unusable(control, GATE.broadcast, log, codec, clock):
            control.block_unreadable(received.topic, received.key)
            refused.append(f"`{received.topic}` offset {received.offset}: {error}")
    except (LogError, TopicReadError) as error:
        yield failed("published", str(error))
        return
    refused += [
        f"`{event.topic}` offset {event.offset}: {event.error}" for event in control.settle() if event.error is not None
    ]
    if refused:
        yield warned(
            "published", f"gates reject {many(len(refused), 'record')}: {_listed(refused[::-1])}", "publish them again"
        )
    yield from _rules(deployment, control)
    yield from _stopped_rules(deployment, control, clock.now_ms())
    yield _reviewers(deployment.catalog)
    yield _tools(control, clock.now_ms())
    yield _releasers(deployment.release)
    yield from _handlers(deployment.alerts)
    yield from _officers(deployment.content)
    yield _kill_switch(control, clock.now_ms())
    yield _baselines(control, log, codec, clock)


def _unusable(
    control: ControlState, topics: Sequence[Topic], log: Log, codec: RecordCodec, clock: Clock
) -> Iterator[tuple[Received, RecordError]]:
    """Apply the records of topics as a gate does. Yield each that can't be used, with the reason, before the next one.

    Raises:
        TopicReadError, LogError: a topic can't be read.
    """
    for received in read_to_end(log, [topic.name for topic in topics], clock):
        try:
            value = received.value
            record = None if value is None else codec.decode(received.topic, value, received.headers)
            control.apply(received.topic, received.key, record, received.offset + 1, received.timestamp_ms)
        except RecordError as error:
            yield received, error


def _baselines(control: ControlState, log: Log, codec: RecordCodec, clock: Clock) -> Finding:
    """Return how old what gates know of agents is, and whether rules ask for it."""
    baselines = control.baselines
    try:
        for _ in _unusable(control, GATE.advisory, log, codec, clock):
            pass  # What can't be used leaves gates as they are, and has an audit record.
    except (LogError, TopicReadError) as error:
        return warned("baselines", f"can't be read, so nothing is unusual for rules: {error}", _NO_RIGHTS)
    stable = control.rules.stable
    asking = [] if stable is None or stable.ruleset is None else stable.ruleset.rules_that_read_baselines
    age_ms = clock.now_ms() - baselines.newest_ms
    if asking and (not baselines.count or age_ms > STALE_MS):
        text = f"none that counts, so rules never find a call unusual for its agent: {_listed(asking)}"
        return warned("baselines", text, "run `stoplog watch`")
    if not baselines.count:
        return fine("baselines", "none; no rule reads them")
    read_by = f"rules that read them: {_listed(asking)}" if asking else "no rule reads them"
    agents = "one agent" if baselines.count == 1 else f"{baselines.count} agents"
    return fine("baselines", f"of {agents}, the newest {_age(age_ms)} old; {read_by}")


def _age(age_ms: int) -> str:
    minutes = max(0, age_ms) // 60_000
    return f"{minutes} min" if minutes < _MINUTES_SHOWN_MAX else f"{minutes // 60} h"


def _rules(deployment: Deployment, control: ControlState) -> Iterator[Finding]:
    if deployment.rules.allow_unsigned:
        advice = "name publishers in `rules.publishers`, and remove `rules.allow_unsigned`"
        yield warned("publishers", "not checked: anybody who may write the topic can publish rules", advice)
    elif not deployment.rules.publishers:
        advice = "create a key with `stoplog keys publisher new --out FILE`, and add it to `rules.publishers`"
        yield failed("publishers", "no publisher is configured, so every rule bundle is rejected", advice)
    else:
        names, wanted = ", ".join(sorted(deployment.rules.publishers)), deployment.rules.required_signatures
        yield fine("publishers", f"{names}; {wanted} of them must sign")
    name, stable, canary = deployment.bundle_name, control.rules.stable, control.rules.canary
    if stable is None or stable.ruleset is None:
        what = "no bundle" if stable is None else f"serial {stable.serial} has withdrawn the rules of bundle"
        yield failed("rules", f"{what} `{name}`: every intent is denied", "run `stoplog rules publish DIR`")
        return
    ruleset = stable.ruleset
    text = f"bundle `{name}` version {ruleset.version}, serial {stable.serial}, "
    yield fine("rules", text + f"{many(len(ruleset.rules), 'rule')}, mode {ruleset.mode.value}")
    if canary is not None and canary.ruleset is not None:
        share = f"{canary.canary_bp / 100:g}% of sessions have version {canary.ruleset.version}, serial {canary.serial}"
        yield fine("canary", f"{share}; `stoplog rules promote` or `stoplog rules rollback` ends it")


def _stopped_rules(deployment: Deployment, control: ControlState, now_ms: int) -> Iterator[Finding]:
    """Yield the rules in force that somebody has stopped: they decide nothing."""
    rules, signed = control.rules, deployment.release.key_option
    for each, whose in ((rules.stable, "every session without a canary"), (rules.canary, "the sessions of the canary")):
        if each is None or each.ruleset is None or not control.revocations.stops_rules(each.digest, now_ms):
            continue
        text = f"version {each.ruleset.version}, serial {each.serial}, is stopped: every intent of {whose} is denied"
        release = f"stoplog release --rules {each.digest.hex()}{signed} --why TEXT"
        yield warned("stopped rules", text, f"publish other rules (`stoplog rules publish DIR`), or run `{release}`")


def _reviewers(section: CatalogSection) -> Finding:
    if section.allow_unsigned:
        advice = "name reviewers in `catalog.reviewers`, and remove `catalog.allow_unsigned`"
        return warned("reviewers", "not checked: anybody who may write the topic can approve tools", advice)
    if not section.reviewers:
        advice = "create a key with `stoplog keys reviewer new --out FILE`, and add it to `catalog.reviewers`"
        return failed("reviewers", "no reviewer is configured, so no tool can be called", advice)
    names, wanted = ", ".join(sorted(section.reviewers)), section.required_signatures
    return fine("reviewers", f"{names}; {wanted} of them must sign")


def _releasers(section: ReleaseSection) -> Finding:
    if section.allow_unsigned:
        advice = "name releasers in `release.releasers`, and remove `release.allow_unsigned`"
        return warned("releasers", "not checked: anybody who may write the topic can release stops", advice)
    if not section.releasers:
        advice = "create a key with `stoplog keys releaser new --out FILE`, and add it to `release.releasers`"
        return warned("releasers", "no releaser is configured, so no stop can be released", advice)
    limited = (f"{name} only {', '.join(kinds)}" for name, kinds in sorted(section.kinds.items()))
    return fine("releasers", "; ".join((", ".join(sorted(section.releasers)), *limited)))


def _handlers(section: AlertsSection) -> Iterator[Finding]:
    """Yield who may close alerts; nothing where nobody handles alerts here."""
    if section.allow_unsigned:
        advice = "name handlers in `alerts.handlers`, and remove `alerts.allow_unsigned`"
        yield warned("alert handlers", "not checked: anybody who may write the topic can close alerts", advice)
    elif section.handlers:
        yield fine("alert handlers", ", ".join(sorted(section.handlers)))


def _officers(section: ContentSection) -> Iterator[Finding]:
    """Yield who may have captured content erased; nothing where none is captured here."""
    if section.officers:
        yield fine("officers", ", ".join(sorted(section.officers)))
    elif section.capture and section.allow_unsigned:
        advice = "name officers in `content.officers`, and remove `content.allow_unsigned`"
        yield warned("officers", "not checked: anybody who may write the topic can end legal holds", advice)
    elif section.capture:
        advice = "create a key with `stoplog keys officer new --out FILE`, and add it to `content.officers`"
        yield warned("officers", "none is named here: with these settings, captured content can't be erased", advice)


def _tools(control: ControlState, now_ms: int) -> Finding:
    standing = [tool.entry for tool in control.tools.values() if tool.entry.state in CALLABLE_STATES]
    expired = [each for each in standing if each.review_expires is not None and each.review_expires <= now_ms]
    text = f"{len(standing) - len(expired)} of {len(control.tools)} cataloged tools may be called"
    if len(standing) == len(expired):
        return failed("catalog", text, "run `stoplog catalog import`, then `catalog review` and `catalog approve`")
    if expired:
        names = _listed(sorted(f"`{each.server_id}/{each.name}`" for each in expired))
        return warned("catalog", f"{text}; the review of {names} has expired", "review them again")
    return fine("catalog", text)


def _kill_switch(control: ControlState, now_ms: int) -> Finding:
    counts = {kind: count for kind, count in control.revocations.counts(now_ms).items() if count}
    kinds = ", ".join(f"{count} of kind {kind.value}" for kind, count in counts.items())
    text = f"{sum(counts.values())} in force: {kinds}" if counts else "none in force"
    if control.revocations.reason_against(_ANY_CALL, now_ms) is Reason.REVOKED_ALL:
        advice = "to end this, run `stoplog release --all --key FILE --why TEXT`"
        return warned("revocations", f"{text}; one of them stops everything, so every intent is denied", advice)
    return fine("revocations", text)


def _listed(texts: Sequence[str]) -> str:
    shown = "; ".join(texts[:FAULTS_SHOWN_MAX])
    return shown if len(texts) <= FAULTS_SHOWN_MAX else f"{shown}; and {len(texts) - FAULTS_SHOWN_MAX} more"
