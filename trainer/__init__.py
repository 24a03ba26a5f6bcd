"""The model: sampling, DPO updates, adapters. Only `worker` and `programs` know the store."""
