"""Keeping a playbook small: the token budget and the compaction of the prefix log."""
