"""Statements with a value planted in them, most of which fail: what tests of privacy and of error messages run."""
