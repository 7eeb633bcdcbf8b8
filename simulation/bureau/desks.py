"""What the agents of a bureau do: procedures of steps, each a tool with what its calls are about."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class About(Enum):
    """What a call is about."""

    CASE = "case"
    """The record of the case at hand, whose owner is the customer."""
    PAPER = "paper"
    """One of the documents of the desk."""
    TABLE = "table"
    KEY = "key"
    NOTHING = "nothing"


class Step(NamedTuple):
    """A step of a procedure.

    Attributes:
        tool: the tool.
        about: what its calls are about.
        chance: how likely the step is, and `most` how often it is repeated at most.
        goes_to: `customer`, `partner` or a fixed place, where data goes; empty if none does.
        size_bytes: the usual size of its arguments.
        pays: the usual amount; 0 if it pays nothing.
        is_outside: whether it reads what strangers may have written.
    """

    tool: str
    about: About = About.NOTHING
    chance: float = 1.0
    most: int = 1
    goes_to: str = ""
    size_bytes: int = 150
    pays: float = 0.0
    is_outside: bool = False


class Desk(NamedTuple):
    """A kind of agent.

    Attributes:
        name: of the desk.
        procedures: what it does, each with how often, as a weight.
        cases_per_day: how many procedures an agent works through on a weekday.
        opens, closes: the hours of its day; it works around the clock if they are equal.
        weekend: how much it does on weekends, beside weekdays.
        renewal: how likely a case is one of a customer who has not written before.
    """

    name: str
    procedures: tuple[tuple[float, tuple[Step, ...]], ...]
    cases_per_day: float
    opens: int
    closes: int
    weekend: float
    renewal: float


_TICKET = (
    Step("zendesk.get_ticket", About.CASE, is_outside=True),
    Step("shopify.find_orders", About.CASE, 0.7, 3),
    Step("wiki.open_page", About.PAPER, 0.4, 2),
    Step("zendesk.reply", About.CASE, 0.95, 1, "customer", 1_100),
)
_REFUND = (
    Step("zendesk.get_ticket", About.CASE, is_outside=True),
    Step("shopify.find_orders", About.CASE, 1.0, 2),
    Step("stripe.create_refund", About.CASE, 0.8, 1, pays=60.0),
    Step("zendesk.reply", About.CASE, 1.0, 1, "customer", 700),
)
_PROSPECT = (
    Step("hubspot.get_contact", About.CASE),
    Step("browser.open", About.NOTHING, 0.8, 4, "partner", 90, is_outside=True),
    Step("hubspot.update_contact", About.CASE, 0.6),
    Step("gmail.send_email", About.CASE, 0.8, 1, "customer", 1_800),
    Step("memo.save_note", About.NOTHING, 0.2),
)
_FOLLOW_UP = (
    Step("memo.load_note", About.NOTHING, 0.3),
    Step("gmail.list_messages", About.NOTHING, 1.0, 3, is_outside=True),
    Step("gmail.send_email", About.CASE, 0.9, 2, "customer", 900),
)
_INVOICE = (
    Step("sap.open_invoice", About.CASE),
    Step("drive.read_file", About.PAPER, 0.8, 3),
    Step("sap.post_payment", About.CASE, 0.75, 1, pays=1_900.0),
    Step("gmail.send_email", About.CASE, 0.5, 1, "partner", 1_300),
)
_CLOSE_BOOKS = (
    Step("snowflake.run_query", About.TABLE, 1.0, 6),
    Step("drive.write_file", About.PAPER, 1.0, 2, size_bytes=9_000),
    Step("slack.post_message", About.NOTHING, 0.9, 1, "finance-room", 300),
)
_BUILD = (
    Step("github.read_file", About.PAPER, 1.0, 9),
    Step("browser.open", About.NOTHING, 0.3, 3, "partner", 90, is_outside=True),
    Step("github.edit_file", About.PAPER, 0.9, 6, size_bytes=3_000),
    Step("ci.run_tests", About.NOTHING, 0.9, 3),
    Step("github.open_pull", About.NOTHING, 0.5, 1, "github.example", 1_500),
)
_DEPLOY = (
    Step("kms.fetch_secret", About.KEY, 0.8, 2),
    Step("k8s.apply", About.NOTHING, 1.0, 3),
    Step("k8s.get_status", About.NOTHING, 1.0, 8),
    Step("slack.post_message", About.NOTHING, 0.9, 1, "deploy-room", 250),
)
_CHECK = (
    Step("grafana.query", About.TABLE, 1.0, 5),
    Step("k8s.get_status", About.NOTHING, 0.7, 3),
    Step("pagerduty.notify", About.NOTHING, 0.1, 1, "pagerduty.example", 400),
)
_TIDY = (
    Step("drive.list_files", About.NOTHING, 1.0, 2),
    Step("drive.remove_file", About.PAPER, 0.5, 2),
)
_STUDY = (
    Step("snowflake.run_query", About.TABLE, 1.0, 12),
    Step("drive.read_file", About.PAPER, 0.5, 4),
    Step("drive.write_file", About.PAPER, 0.7, 1, size_bytes=6_000),
    Step("slack.post_message", About.NOTHING, 0.5, 1, "data-room", 500),
)

DESKS: tuple[Desk, ...] = (
    Desk("helpdesk", ((7, _TICKET), (2, _REFUND)), 16, 8, 20, 0.5, 0.45),
    Desk("outreach", ((5, _PROSPECT), (4, _FOLLOW_UP)), 9, 9, 18, 0.05, 0.35),
    Desk("ledger", ((8, _INVOICE), (1, _CLOSE_BOOKS), (0.6, _TIDY)), 10, 7, 17, 0.0, 0.03),
    Desk("builders", ((6, _BUILD), (1, _DEPLOY), (0.5, _TIDY)), 6, 9, 21, 0.1, 0.05),
    Desk("platform", ((8, _CHECK), (1.5, _DEPLOY)), 20, 0, 0, 0.9, 0.02),
    Desk("insight", ((5, _STUDY), (0.7, _TIDY)), 5, 8, 18, 0.05, 0.05),
)
