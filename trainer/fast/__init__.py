"""Kernels, each with a plain twin that is used where it does not apply."""
