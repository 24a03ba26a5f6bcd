"""The rating page: its layout, its routes, and what it shows."""
