"""What an operator publishes before any tool can run: the reviewed tools and the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from streams.audit.report_keys import ReportKey
from streams.audit.signatures import SigningKey
from streams.model.bundle_signature import publication_key
from streams.model.catalog import EntryState
from streams.model.catalog_signature import entry_key
from streams.model.control import RulesetBundle
from streams.model.errors import InvariantError
from streams.model.topics import CATALOG, RULESET
from streams.model.types import Header
from streams.operations.catalog.decision import sign_entry
from streams.operations.rules.publication import make_bundle
from streams.policy import BundleSource, bundle_from_files, compile_bundle, load_bundle
from streams.ports import Outgoing
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.sdk.mcp.catalog import ToolFacts, catalog_entries, report_keys_entry

OPERATOR = "operator@example.com"
IMPORTER = "importer@example.com"
_CATALOG_SOURCE = "demo/catalog"
_RULES_SOURCE = "demo/rules"
_GIT_RULES = "git/git.rules.yaml"
_GIT_ROOTS = re.compile(r"^  roots: \[.*\]$", re.MULTILINE)


def publish_catalog(
    transport: Transport,
    listings: Mapping[str, Sequence[Mapping[str, object]]],
    facts: Mapping[str, Mapping[str, ToolFacts]],
    *,
    tenant_uid: str,
    report_keys: Mapping[str, ReportKey],
    key: SigningKey | None = None,
) -> int:
    """Publish the tools that the servers list, approved if the operator has stated facts; return the number of entries.

    Args:
        report_keys: the key with which the executor of each server signs its reports; approved, too.
        key: what the operator signs approvals with.

    Raises:
        McpServerError: a listed tool can't be cataloged.
        PublishError: it is not known whether they are stored.
        LogError: the log is lost.
    """
    records: list[Outgoing] = []
    for server_id, tools in listings.items():
        entries = catalog_entries(
            server_id,
            tools,
            facts.get(server_id, {}),
            now_ms=transport.now_ms(),
            source=_CATALOG_SOURCE,
            tenant_uid=tenant_uid,
            proposed_by=IMPORTER,
            reviewed_by=OPERATOR,
        )
        entries.append(
            report_keys_entry(
                server_id,
                [str(report_keys[server_id].public)],
                header=msgspec.structs.replace(entries[0].header, id=SYSTEM.uuid()),
                proposed_by=IMPORTER,
                reviewed_by=OPERATOR,
            )
        )
        if key is not None:
            entries = [sign_entry(entry, key) if entry.state is EntryState.APPROVED else entry for entry in entries]
        records += [outgoing(transport, CATALOG, entry_key(entry), entry, entry.header) for entry in entries]
    publish(transport, records)
    return len(records)


def publish_rules(
    transport: Transport, rules_dir: Path, *, repository: Path, bundle_name: str, tenant_uid: str
) -> RulesetBundle:
    """Publish the starter rules, for one repository, as a bundle that replaces the one before.

    Args:
        transport: what publishes them.
        rules_dir: the folder of the starter rules.
        repository: the repository that git tools may use.
        bundle_name: the name under which gates look for the bundle.
        tenant_uid: the tenant.

    Raises:
        BundleReadError: the files can't be read.
        BundleError: the rules are invalid; every gate would refuse them, too.
        PublishError: it is not known whether it is stored.
        LogError: the log is lost.
    """
    source = _for_repository(load_bundle(rules_dir), repository)
    compiled = compile_bundle(source)
    now_ms = transport.now_ms()
    bundle = make_bundle(
        source,
        header=Header(id=SYSTEM.uuid(now_ms), source=_RULES_SOURCE, time=now_ms, tenant_uid=tenant_uid),
        name=bundle_name,
        version=compiled.version,
        serial=now_ms,
        published_by=OPERATOR,
    )
    publish(transport, [outgoing(transport, RULESET, publication_key(bundle), bundle, bundle.header)])
    return bundle


def _for_repository(source: BundleSource, repository: Path) -> BundleSource:
    """Fill the list of the git pack that says which repositories may be used, as an operator would."""
    filled, count = _GIT_ROOTS.subn(lambda _: f"  roots: {json.dumps([str(repository)])}", source.files[_GIT_RULES])
    if count != 1:
        raise InvariantError(f"`{_GIT_RULES}` has no list `roots`")
    return bundle_from_files({**source.files, _GIT_RULES: filled})
