"""What a token service is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streams.identity.keyring import KeyRing
from streams.sdk.entropy import Entropy
from streams.sdk.executor.revocations import RevocationWatch
from streams.services.sts.session_writer import Ledger
from streams.services.sts.settings import StsSection
from streams.services.sts.sources import Sources
from streams.services.sts.store import StsStore
from streams.services.sts.used_tokens import UsedTokens


@dataclass(frozen=True)
class Parts:
    """What a service is made of."""

    section: StsSection
    root_key: bytes = field(repr=False)
    tenant_uid: str
    sources: Sources
    keys: KeyRing
    store: StsStore
    used: UsedTokens
    ledger: Ledger
    revocations: RevocationWatch
    entropy: Entropy
    now_ms: Callable[[], int]
