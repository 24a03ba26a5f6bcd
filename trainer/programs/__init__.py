"""Programs that run once: offline training, merging."""
