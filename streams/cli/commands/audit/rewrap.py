"""`stoplog audit rewrap`: wrap the keys of captured content with another key of their tenant."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import (
    ByOption,
    Connection,
    Output,
    PassphraseOption,
    VaultTokenOption,
    WhyOption,
    read_passphrase,
)
from streams.cli.terminal.screen import FAIL, OK, STRONG, WARN, Screen
from streams.cli.terminal.text import printable
from streams.model.plurals import many
from streams.operations.contents.rewrapping import Rewrapped, RewrapPlan, plan_rewrap, rewrap
from streams.operations.settings import ContentSection
from streams.wiring.contents import open_rewrapper, stated_key
from streams.wiring.logs import drop_replaced
from streams.wiring.operators import open_operator

_TENANTS_SHOWN_MAX = 5


@takes_groups
def rewrap_keys(
    *,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="ID", help="Whose keys. By default the setting `tenant`."),
    ] = None,
    why: WhyOption,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The private key that they are wrapped with now, if it is a file."),
    ] = None,
    passphrase_file: PassphraseOption = None,
    token_file: VaultTokenOption = None,
    former: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="aws:ARN",
            help="A key of AWS KMS that they are wrapped with now, as `--dry-run` shows it. Can be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and change nothing. Needs no key.")
    ] = False,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Wrap the keys of captured content with the present key of their tenant, so that the one before can be destroyed.

    The present key is that of the setting `content.keys`. No content is read. Repeat the command if it was interrupted:
    it goes on where it has ended. What was erased stays erased, and legal holds stay.
    """
    screen, settings = output.screen(), connection.settings()
    passphrase = None if key is None or dry_run else read_passphrase(key, passphrase_file)
    tenant_uid = tenant or settings.tenant
    opened = open_rewrapper(settings.content, tenant_uid, key, passphrase, token_file, former or (), is_dry_run=dry_run)
    with (
        opened as rewrapper,
        open_operator(settings, name) as operator,
    ):
        plan = plan_rewrap(operator, tenant_uid, rewrapper.kek)
        _show_plan(screen, plan)
        _show_others(screen, plan, settings.content)
        if dry_run:
            screen.say("nothing was changed: this is a dry run", WARN)
            return
        try:
            done = rewrap(operator, plan, rewrapper, why)
        finally:
            # Also if it has ended half way: what is replaced is to be gone from the file of the embedded log.
            drop_replaced(operator.log)
    _show_done(screen, plan, done)
    if done.faults:
        raise typer.Exit(FAILED)


def _show_plan(screen: Screen, plan: RewrapPlan) -> None:
    for kek, count in plan.keks.items():
        screen.record({"record": "to_wrap", "kek": kek, "keys": count})
    for found in plan.erased:
        screen.record(
            {"record": "erased_and_there_again", "session_id": found.key.session_id, "key": found.key.key.kid}
        )
    if screen.as_json:
        return
    if plan.keys:
        screen.say(
            f"{many(len(plan.keys), 'key')} of tenant {printable(plan.tenant_uid)}, to be wrapped with {plan.kek}:",
            STRONG,
        )
        screen.table(("wrapped with", "keys"), [(printable(kek), str(count)) for kek, count in plan.keks.most_common()])
    if not (plan.keys or plan.done_count or plan.erased):
        screen.say(f"tenant {printable(plan.tenant_uid)} has no keys on the log; name another one with --tenant", WARN)
    elif plan.done_count or not plan.keys:
        screen.say(
            f"{many(plan.done_count, 'key')} of tenant {printable(plan.tenant_uid)} already wrapped with {plan.kek}"
        )
    if plan.erased:
        screen.say(f"{many(len(plan.erased), 'erased key')} there again: destroyed with this run", WARN)


def _show_others(screen: Screen, plan: RewrapPlan, section: ContentSection) -> None:
    """Name the tenants whose content the key that is to be destroyed may still open."""
    stated = stated_key(section, plan.tenant_uid)
    others = {tenant: count for tenant, count in plan.others.items() if stated_key(section, tenant) == stated}
    for tenant, count in sorted(others.items()):
        screen.record({"record": "other_tenant", "tenant_uid": tenant, "keys": count})
    for tenant, count in sorted(others.items())[:_TENANTS_SHOWN_MAX]:
        screen.say(
            f"tenant {printable(tenant)} has the same key in `content.keys`, and {many(count, 'key')} to be wrapped "
            f"with it: repeat this with --tenant {shlex.quote(printable(tenant))}",
            WARN,
        )
    if len(others) > _TENANTS_SHOWN_MAX:
        screen.say(f"and {many(len(others) - _TENANTS_SHOWN_MAX, 'tenant')} more (--json has all)", WARN)


def _show_done(screen: Screen, plan: RewrapPlan, done: Rewrapped) -> None:
    screen.record(
        {
            "record": "rewrapped",
            "tenant_uid": plan.tenant_uid,
            "kek": plan.kek,
            "keys": done.keys_count,
            "destroyed": done.destroyed_count,
            "left": dict(done.faults),
        }
    )
    for fault, count in done.faults.most_common():
        screen.say(f"{many(count, 'key')} left as before: {printable(fault)}", FAIL)
    if plan.keys:
        screen.say(f"wrapped {many(done.keys_count, 'key')} with {plan.kek}", OK)
    if done.destroyed_count:
        screen.say(f"destroyed {many(done.destroyed_count, 'key')} that had been erased", OK)
    if not done.faults and (plan.keys or plan.done_count):
        screen.say(
            f"no key of tenant {printable(plan.tenant_uid)} needs another one. Before you destroy the old one:", WARN
        )
        screen.say("  read something with the new one (`stoplog audit read`), and", WARN)
        screen.say("  look again with --dry-run once all gates, executors and agents have the new one", WARN)
