"""The model: sampling, DPO updates, checkpoints. Only `trainer.worker` knows the store."""
