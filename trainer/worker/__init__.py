"""The worker: the process that samples, judges, trains and promotes."""
