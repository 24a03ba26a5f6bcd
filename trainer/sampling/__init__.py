"""Responses drawn from the policy."""
