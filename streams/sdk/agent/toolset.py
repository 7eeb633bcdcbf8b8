"""The tools that an agent was shown, each pinned to the definition that it was shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from streams.model.canonical import CanonicalError, canonical, sha256
from streams.model.definition import definition_digests
from streams.model.types import ToolRef
from streams.sdk.errors import ProposalError


def parse_tool(name: str) -> ToolRef:
    """Return a tool of the form `server/name`, not pinned.

    Raises:
        ProposalError: the name is not of that form.
    """
    server_id, slash, tool = name.partition("/")
    if not (server_id and slash and tool):
        raise ProposalError(f"tool `{name}` is not of the form `server/name`")
    return ToolRef(server_id=server_id, name=tool)


class Toolset(Mapping[str, ToolRef]):
    """Pinned tools by `server/name`. A gate refuses a call whose pinned definition isn't the approved one."""

    def __init__(self, tools: Iterable[ToolRef] = ()) -> None:
        self._tools = {f"{tool.server_id}/{tool.name}": tool for tool in tools}
        pins = sorted((name, (tool.definition_digest or b"").hex()) for name, tool in self._tools.items())
        self.digest = sha256(canonical([list(pin) for pin in pins]))
        """What identifies the whole set, for `Intent.toolset_digest`."""

    @classmethod
    def from_listings(cls, listings: Mapping[str, Sequence[Mapping[str, object]]]) -> Toolset:
        """Pin the tools that `tools/list` of MCP servers returned.

        Args:
            listings: complete wire Tool objects, by the operator's id of their server.

        Raises:
            ProposalError: a tool has no name or no canonical form.
        """
        return cls(_pinned(server_id, tool) for server_id, tools in listings.items() for tool in tools)

    def __getitem__(self, name: str) -> ToolRef:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


def _pinned(server_id: str, tool: Mapping[str, object]) -> ToolRef:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise ProposalError(f"server `{server_id}` lists a tool without a name")
    try:
        digests = definition_digests(tool)
    except CanonicalError as error:
        raise ProposalError(f"definition of `{server_id}/{name}` can't be pinned: {error}") from error
    return ToolRef(server_id=server_id, name=name, definition_digest=digests.definition)
