"""Judges: what prefers one response where no person does."""
