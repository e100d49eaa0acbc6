"""Playbooks in tools that people already have. Each module needs the package that it is named after."""
