"""Kills a sync at random moments, starts it again, and tells whether every row arrived once.

python -m sync_killing --kills 1000 --over http --delete
"""

from sync_killing.trial import Outcome, Trial

__all__ = ["Outcome", "Trial"]
