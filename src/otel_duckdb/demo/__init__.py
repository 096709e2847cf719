"""Runs a program under `opentelemetry-instrument` and draws in the terminal what it sent: no collector needed."""
