"""The dashboard: the runs of a store in a browser, live while they go on. Reads the store and changes nothing."""

from ace.dashboard.app import create_app

__all__ = ["create_app"]
