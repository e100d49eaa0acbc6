"""Playbooks in files: the original ACE text format, JSON with a schema version, Markdown."""

from ace.playbook.io.playbook_files import dumps, loads, read_playbook, write_playbook

__all__ = ["dumps", "loads", "read_playbook", "write_playbook"]
