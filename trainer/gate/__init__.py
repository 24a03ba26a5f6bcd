"""The gate: what a candidate must pass before people see it."""
