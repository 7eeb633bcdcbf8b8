"""The token service: OAuth 2.1 token exchange that opens sessions, and narrows what it is given.

`exchange` decides, `ledger` writes, `endpoints` speaks HTTP; `docs/how-to/run-the-token-service.md` says how to run it.
"""
