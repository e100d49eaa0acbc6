"""Learning from a batch: lessons, curation into a new playbook version, early stopping, baselines."""
