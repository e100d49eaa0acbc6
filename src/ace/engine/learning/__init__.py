"""From reflections to a new playbook version, early stopping, and the baselines."""
