"""Notices what the client library does not report: silence, brokers that are gone, records from before a place."""
