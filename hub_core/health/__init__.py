"""Examining accounts, and judging what the examination means."""
