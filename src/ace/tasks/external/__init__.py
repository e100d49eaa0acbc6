"""Tasks that other packages hold, by name: environments of `verifiers`, tasks of `inspect_ai`."""
