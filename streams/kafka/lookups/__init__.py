"""Looks up what the brokers know: offsets, open transactions, rights, and whether they have heard of a change."""
