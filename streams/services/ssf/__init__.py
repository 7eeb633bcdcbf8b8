"""Shared Signals (OpenID SSF, CAEP): acts on what identity providers report, and reports stops to others.

Needs the extra `sts`.
"""
