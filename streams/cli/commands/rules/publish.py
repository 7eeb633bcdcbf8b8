"""The commands of `stoplog rules` that change which rules are in force."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import (
    BundleOption,
    ByOption,
    Connection,
    Output,
    OwnKeyOption,
    PassphraseOption,
    SignedDraft,
    load_key,
)
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.views.case_results import case_fields, tell_case
from streams.cli.views.findings import counted, refusal_recorded, tell_findings
from streams.cli.views.scenarios import tell_scenarios
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.plurals import many
from streams.operations.operator import Operator
from streams.operations.rules.publication import (
    PublicationError,
    check_draft,
    draft_directory,
    draft_promotion,
    draft_rollback,
    read_draft,
    write_draft,
)
from streams.operations.rules.publication import publish as publish_bundle
from streams.operations.rules.publication import sign as sign_bundle
from streams.operations.rules.readiness import examine
from streams.operations.settings import Deployment
from streams.policy import BundleSource, load_bundle
from streams.wiring.codecs import build_offline_codec
from streams.wiring.operators import open_operator

_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%?\Z")
_BP_PER_PERCENT = 100
_ACTS = {
    BundleAction.UNKNOWN: "written",
    BundleAction.PUBLISH: "published",
    BundleAction.PROMOTE: "promoted",
    BundleAction.ROLLBACK: "rolled back",
    BundleAction.WITHDRAW: "withdrawn",
}


@takes_groups
def publish(
    *,
    what: Annotated[
        Path, typer.Argument(metavar="DIR|DRAFT", help="The folder with `bundle.yaml`, or a signed draft.")
    ],
    canary: Annotated[
        str | None, typer.Option("--canary", metavar="SHARE", help="Only for this share of sessions, such as 10%.")
    ] = None,
    serial: Annotated[
        int | None,
        typer.Option(
            "--serial",
            metavar="N",
            min=1,
            help="The serial, if the topic has lost its records. By default the next one.",
        ),
    ] = None,
    signing: SignedDraft,
    name: BundleOption = None,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Publish rules to the gates, which apply them at once.

    The rules are checked and their test cases are run first, and warnings are shown. Rules with errors, or with cases
    that fail, are not published. `rules check` and `rules test` do more: they look for rules without effect, for gaps
    in the cases, and for attacks that pass.

    The settings of the gates say how many signatures are required. If one is enough, use `--key`. If two are required,
    one person writes a draft (`--key FILE --out DRAFT`), another signs it (`rules sign DRAFT --key FILE`), and either
    publishes it (`rules publish DRAFT`).
    """
    screen = output.screen()
    share_bp = _share(canary)
    if not what.exists():
        raise PublicationError(f"`{what}` is neither a folder of rules nor a draft: there is nothing of this name")
    with refusal_recorded(screen), open_operator(connection.settings(), by) as operator:
        if what.is_dir():
            chosen = name or operator.deployment.bundle_name
            bundle = draft_directory(operator, what, chosen, canary_bp=share_bp, serial=serial)
            own_name = _examine(screen, load_bundle(what), what)
            if name is None and own_name != chosen:
                text = f"its file calls this bundle `{own_name}`; it is published as `{chosen}`, which gates enforce"
                screen.say(f"{text} (setting `gate.bundle_name`; or publish it with --name)", WARN)
        elif canary is not None or serial is not None or name is not None:
            raise typer.BadParameter(
                "a draft already states its name, serial and share; write a new draft to change them"
            )
        else:
            bundle = read_draft(what)
            _examine(screen, check_draft(bundle))
        _finish(screen, operator, bundle, signing)


@takes_groups
def promote(
    *,
    signing: SignedDraft,
    name: BundleOption = None,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Apply the rules of the canary, which a share of sessions has, to all sessions."""
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        bundle = draft_promotion(operator, name or operator.deployment.bundle_name)
        _finish(screen, operator, bundle, signing)


@takes_groups
def rollback(
    *,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="SERIAL", min=1, help="The serial of the rules; `rules status` lists them."),
    ] = None,
    signing: SignedDraft,
    name: BundleOption = None,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Return to earlier rules, at once.

    Without `--to`: a canary ends, so that all sessions have the same rules again; if there is no canary, the rules
    before the current ones are restored.
    """
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        bundle = draft_rollback(operator, name or operator.deployment.bundle_name, to)
        _finish(screen, operator, bundle, signing)


@takes_groups
def sign(
    *,
    draft: Annotated[Path, typer.Argument(metavar="DRAFT", help="A draft that was written with `--out`.")],
    key: OwnKeyOption,
    passphrase_file: PassphraseOption = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Sign only if the draft has the same rules as this folder."),
    ] = None,
    output: Output,
) -> None:
    """Check a draft, and add your signature to it.

    You sign the name, serial, digest and share that are shown. `--dir` compares the rules with your own copy of them,
    which is safer than reading them in the draft.
    """
    screen = output.screen()
    bundle = read_draft(draft)
    with refusal_recorded(screen):
        source = check_draft(bundle)
    if directory is not None and load_bundle(directory).digest != source.digest:
        raise PublicationError(f"the rules of the draft differ from those in `{directory}`; the draft was not signed")
    signed = sign_bundle(bundle, load_key(key, passphrase_file))
    write_draft(signed, draft)
    _tell(screen, Connection().settings().deployment, signed, "signed", f"signed: {draft}")


def _examine(screen: Screen, source: BundleSource, directory: Path | None = None) -> str:
    """Check rules and run their cases, and show what is found. Return how their own file calls the bundle.

    Raises:
        Exit: there are errors, or cases that fail.
    """
    readiness = examine(source, build_offline_codec(), directory)
    tell_findings(screen, readiness.findings, directory or Path(), source.files)
    for result in readiness.failures:
        screen.record({"record": "case", **case_fields(result)})
        tell_case(screen, result, directory or Path())
    scenarios = readiness.scenarios
    failed_scenarios = () if scenarios is None else scenarios.failures
    if scenarios is not None and failed_scenarios:
        tell_scenarios(screen, scenarios, directory or Path())
    if not readiness.is_ready:
        found = counted(readiness.findings)
        cases = _failed(len(readiness.failures), readiness.cases_count, "case")
        stories = _failed(len(failed_scenarios), 0 if scenarios is None else len(scenarios.results), "scenario")
        why = ", ".join(each for each in (found, cases, stories) if each)
        screen.say(f"not published: {why}; gates keep the rules that they have", FAIL)
        raise typer.Exit(FAILED)
    return readiness.name


def _failed(failed: int, count: int, noun: str) -> str:
    return f"{failed:,} of {many(count, noun)} failed" if failed else ""


def _share(text: str | None) -> int:
    """Return a share such as `10%` in hundredths of a percent; 0 for None."""
    if text is None:
        return 0
    match = _SHARE.match(text)
    share_bp = round(float(match[1]) * _BP_PER_PERCENT) if match else 0
    if share_bp <= 0:
        raise typer.BadParameter(f"`{text}` is not a share; write a percentage below 100%, such as 10% or 0.5%")
    return share_bp


def _finish(
    screen: Screen,
    operator: Operator,
    bundle: RulesetBundle,
    signing: SignedDraft,
) -> None:
    """Sign the bundle, then write a draft or publish it."""
    key = signing.signing_key()
    if key is not None:
        bundle = sign_bundle(bundle, key)
    if signing.out is not None:
        write_draft(bundle, signing.out)
        _tell(screen, operator.deployment, bundle, "draft", f"draft written: {signing.out}")
        return
    bundle, is_new = publish_bundle(operator, bundle)
    _tell(
        screen,
        operator.deployment,
        bundle,
        "published",
        "published" if is_new else "not published: these rules are in force already",
        done=is_new,
    )


def _tell(
    screen: Screen, deployment: Deployment, bundle: RulesetBundle, act: str, text: str, *, done: bool = True
) -> None:
    try:
        signers = deployment.rules.trusted().signers(bundle)
        lacking = None
    except RecordError as error:
        signers, lacking = (), str(error)
    screen.record(
        {
            "bundle": bundle.name,
            "serial": bundle.serial,
            "version": bundle.version,
            "ruleset_digest": bundle.digest.hex(),
            "action": bundle.action.value,
            "canary_percent": bundle.canary_bp / _BP_PER_PERCENT,
            "signed_by": list(signers),
            "signatures": len(bundle.signatures),
            act: done,
        }
    )
    share = f", for {bundle.canary_bp / _BP_PER_PERCENT:g}% of sessions" if bundle.canary_bp else ""
    screen.say(f"bundle `{bundle.name}` version {bundle.version}, serial {bundle.serial}{share}", STRONG)
    screen.say(f"digest {bundle.digest.hex()}, {_ACTS[bundle.action]} by {bundle.published_by}", FAINT)
    screen.say(text, OK)
    if lacking is not None:
        screen.say(lacking, WARN)
    if bundle.name != deployment.bundle_name:
        screen.say(f"gates with these settings enforce bundle `{deployment.bundle_name}`, not this one", WARN)
