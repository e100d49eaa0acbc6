"""Tasks over data sets: reading records, building samples, grading answers."""
