"""The settings, a part each: a part is what its user takes, and its docstring its heading."""
