"""The DPO update: losses, objective, steps. No database; files only between processes."""
