"""The starter: a written-out grammar, and the small policy and reward model trained on it."""
