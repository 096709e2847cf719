"""Tells people of alerts: by webhook and mail with the standard library, by anything else with apprise."""
