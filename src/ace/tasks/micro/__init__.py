"""The micro world: a synthetic coding task that only a playbook can solve."""
