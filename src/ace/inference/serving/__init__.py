"""Engines in other processes of this machine."""
