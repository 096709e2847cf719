"""Alerts judged inside the process: levels, hysteresis, silences, and a log of what happened and what was done."""
