"""The results of measurements as tables for people."""
