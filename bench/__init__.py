"""Benchmarks: a way of this house beside a peer's, one command each, both sides in one run.

Not here: tests (a time is never an assertion), and anything that the house itself imports.
"""
