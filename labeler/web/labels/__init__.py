"""The page of all labelled pairs."""
