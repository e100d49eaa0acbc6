"""The loop: batches of samples through generator, reflector and curator, offline or online; evaluation; resume."""

from ace.engine.events import Event, Listener
from ace.engine.run import run
from ace.engine.summary import RoleTokens, RunSummary

__all__ = ["Event", "Listener", "RoleTokens", "RunSummary", "run"]
