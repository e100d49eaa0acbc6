"""The measured machine: its cores, an upper bound of its speed, and models by shape."""
