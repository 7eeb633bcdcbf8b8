"""What is wrong with a token is refused by a code of the service, whatever it is."""

from __future__ import annotations

import pytest

from streams.identity.errors import TokenError, TokenFault
from streams.services.sts.errors import RefusedError, token_errors_refused


@pytest.mark.parametrize("fault", TokenFault)
def test_every_fault_has_its_reason(fault: TokenFault) -> None:
    with pytest.raises(RefusedError, match="the text") as raised, token_errors_refused():
        raise TokenError(fault, "the text", retry_after_ms=7)
    assert raised.value.retry_after_ms == 7
    assert raised.value.reason.value in (fault.value, f"token_{fault.value}")
    expected = 503 if fault is TokenFault.KEYS_UNAVAILABLE else 400
    assert raised.value.status == expected


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="else"), token_errors_refused():
        raise ValueError("something else")
