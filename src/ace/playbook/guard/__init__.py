"""The guard: secrets, personal data, answers and injected instructions in new bullets.

Instructions that would change the model's role, secrets, personal data, and answers copied from the training samples.
"""

from ace.playbook.guard.content_scan import Scan, scan
from ace.playbook.guard.guard import Flagged, Guard

__all__ = ["Flagged", "Guard", "Scan", "scan"]
