"""The dashboard: the runs of a store in a browser, to follow, steer and edit. It knows nothing but the store."""

from ace.dashboard.app import create_app

__all__ = ["create_app"]
