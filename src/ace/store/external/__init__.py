"""Writes to a run from outside its process: requests and edits of people, feedback of clients."""
