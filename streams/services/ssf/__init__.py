"""Shared Signals (OpenID SSF, CAEP): what identity providers tell is acted on here, and stops here are told to others.

Needs the extra `sts`.
"""
