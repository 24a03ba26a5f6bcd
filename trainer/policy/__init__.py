"""The policy: a frozen base, its adapters, and log-probabilities of responses."""
