"""Statistics about raters and judges. Pure; SciPy and the like are imported late."""
