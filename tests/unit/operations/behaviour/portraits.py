"""Baselines as a watch has published them about an agent whose model has changed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from streams.behaviour.watcher import Declared
from streams.history.driver import Read
from streams.model.topics import BASELINE
from streams.operations.behaviour.histories import batches_of, watch_of
from streams.operations.behaviour.history_file import read_histories
from streams.policy.errors import Findings
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.wiring.codecs import build_offline_codec

RULES = Path(__file__).parents[4] / "rules"
AGENT = "support-refunds"
HOUR_MS = 3_600_000
CHANGED = """\
apiVersion: histories/v1
pack: core
calls:
  crm.search: {query: "order {1..90000}"}
  crm.read: {id: "case-{1..400}", owner: "customer-{1..900 per session}"}
  docs.read: {id: "page-{1..90}"}
  mail.send: {to: "desk@{shop|post|bank}.example", text: {length: 400}}
  pay.refund: {account: "{1..400}", amount: {between: [15, 60]}}
histories:
  - name: a new model refunds far more
    then:
      - {agents: [support-refunds, other-bot], days: [0, 11], at: "08:00", until: "17:30", sessions: 5, drawn: true,
         tools: [crm.search, crm.search, crm.search, crm.read, crm.read, crm.read, docs.read, docs.read, mail.send,
                 mail.send, mail.send, pay.refund], count: 10, every: 40s}
      - {agents: [support-refunds], days: [14, 16], at: "08:00", until: "21:30", sessions: 9, drawn: true,
         model: model-2,
         tools: [crm.search, crm.read, mail.send, pay.refund, pay.refund, pay.refund, crm.read, crm.search], count: 11,
         every: 40s, args: {pay.refund: {amount: {between: [40, 160]}},
                            mail.send: {to: "desk@{shop|post|x<b>parcel</b>}.example"}}}
    alerts: {}
"""


def published(folder: Path) -> list[Read]:
    """Return the records that the watch has published; the files are written to `folder`."""
    (folder / "changed.histories.yaml").write_text(CHANGED)
    files, findings = parse_behaviour(load_detector_files(RULES)), Findings()
    (history,) = read_histories(folder, files.packs, findings)
    assert not findings.has_errors
    # Learning stops at an alert, and this is about what is learned: the detectors judge nothing.
    blind, codec = files._replace(declared=Declared()), build_offline_codec()
    with closing(watch_of(history, blind, codec, HOUR_MS)) as run:
        for batch in batches_of(history, codec):
            run.write(batch)
        run.settle(2 * HOUR_MS)
        return run.read(BASELINE.name)
