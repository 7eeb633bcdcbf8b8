"""Questions to people outside of the command line: chat tools get them by signed webhooks, and send answers back.

Needs the extra `sts`.
"""
