"""The guard: what no playbook should hold is found in new bullets before they enter it.

Instructions that would change the model's role, secrets, personal data, and answers copied from the training samples.
"""

from ace.playbook.guard.content_scan import Scan, scan
from ace.playbook.guard.guard import Flagged, Guard

__all__ = ["Flagged", "Guard", "Scan", "scan"]
