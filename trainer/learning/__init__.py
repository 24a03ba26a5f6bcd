"""The DPO update: losses, objective, steps. No database, no files."""
