"""A small mail server that speaks MCP over stdio: every mail that is sent becomes a message file in a folder.

Run as `python -m stoplog_demo.mail_server --folder DIR`. Nothing is ever sent over a network.
"""

from __future__ import annotations

import argparse
import re
import sys
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from pathlib import Path

MESSAGES_MAX = 10_000
RECIPIENTS_MAX = 50
BODY_CHARS_MAX = 100_000
LISTED_MAX = 100

_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,253}")
_MESSAGE_ID = re.compile(r"[0-9]{6}")


class MailError(ValueError):
    """A request is invalid; the message is for the caller."""


class Mailbox:
    """A folder of message files (`000001.eml`, ...)."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender
        folder.mkdir(parents=True, exist_ok=True)

    def send(self, to: list[str], subject: str, body: str, cc: list[str]) -> str:
        """Write a message; return its id.

        Raises:
            MailError: an address or a header is invalid, or the message is too large.
        """
        if not 1 <= len(to) + len(cc) <= RECIPIENTS_MAX or not to:
            raise MailError(f"a message needs 1 to {RECIPIENTS_MAX} recipients")
        for address in (*to, *cc):
            if _ADDRESS.fullmatch(address) is None:
                raise MailError(f"`{address}` is not an address")
        if len(body) > BODY_CHARS_MAX:
            raise MailError(f"body has {len(body)} characters, at most {BODY_CHARS_MAX} are accepted")
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._sender
            message["To"] = ", ".join(to)
            if cc:
                message["Cc"] = ", ".join(cc)
            message["Subject"] = subject
            message.set_content(body)
            data = message.as_bytes()
        except ValueError as error:
            raise MailError(f"the message can't be written: {error}") from error
        return self._write(data)

    def list(self) -> list[dict[str, str]]:
        """Return the newest messages: id, sender, recipients, subject."""
        names = sorted(path.stem for path in self._folder.glob("*.eml"))[-LISTED_MAX:]
        return [self._heading(name) for name in names]

    def read(self, message_id: str) -> dict[str, str]:
        """Return one message, with its body.

        Raises:
            MailError: there is no message with this id.
        """
        message = self._parse(message_id)
        body = message.get_body(("plain",))
        return {**self._heading(message_id), "body": "" if body is None else str(body.get_content())}

    def _heading(self, message_id: str) -> dict[str, str]:
        message = self._parse(message_id)
        fields = {name.lower(): str(message[name]) for name in ("From", "To", "Cc", "Subject") if message[name]}
        return {"id": message_id, **fields}

    def _parse(self, message_id: str) -> EmailMessage:
        # The id becomes a file name, so nothing but digits passes.
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise MailError(f"`{message_id}` is not a message id: it has six digits")
        try:
            data = (self._folder / f"{message_id}.eml").read_bytes()
        except OSError:
            raise MailError(f"there is no message `{message_id}`") from None
        message = BytesParser(policy=SMTP).parsebytes(data)
        if not isinstance(message, EmailMessage):
            raise MailError(f"message `{message_id}` can't be read")
        return message

    def _write(self, data: bytes) -> str:
        for number in range(len(list(self._folder.glob("*.eml"))) + 1, MESSAGES_MAX + 1):
            name = f"{number:06}"
            try:
                with (self._folder / f"{name}.eml").open("xb") as file:
                    file.write(data)
            except FileExistsError:
                continue
            return name
        raise MailError(f"the folder holds {MESSAGES_MAX} messages already")


def serve(folder: Path, sender: str) -> None:
    """Speak MCP on standard input and output until the input ends."""
    from mcp.server import MCPServer  # noqa: PLC0415 - heavy; `Mailbox` is of use without it
    from mcp.server.mcpserver.exceptions import ToolError  # noqa: PLC0415 - likewise

    mailbox = Mailbox(folder, sender)
    server = MCPServer("stoplog-demo-mail")

    @server.tool(name="send", structured_output=False)
    def send(to: list[str], subject: str, body: str, cc: list[str] | None = None) -> str:
        """Send a mail to one or more addresses."""
        try:
            return f"sent as message {mailbox.send(to, subject, body, cc or [])}"
        except MailError as error:
            raise ToolError(str(error)) from error

    @server.tool(name="list", structured_output=False)
    def list_messages() -> str:
        """List the newest messages: id, recipients, subject."""
        lines = [f"{m['id']}  to {m.get('to', '?')}  {m.get('subject', '')}" for m in mailbox.list()]
        return "\n".join(lines) or "no messages"

    @server.tool(name="read", structured_output=False)
    def read(message_id: str) -> str:
        """Read one message."""
        try:
            message = mailbox.read(message_id)
        except MailError as error:
            raise ToolError(str(error)) from error
        return "\n".join(f"{name}: {value}" for name, value in message.items())

    server.run("stdio")


def main(arguments: list[str]) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="mail_server", description="a mail server over MCP that writes .eml files")
    parser.add_argument("--folder", type=Path, required=True, help="where the message files are written")
    parser.add_argument("--sender", default="agent@example.com", help="the From address")
    chosen = parser.parse_args(arguments)
    serve(chosen.folder, chosen.sender)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
