"""The machine that is measured: its cores, a ceiling for its speed, models by shape."""
