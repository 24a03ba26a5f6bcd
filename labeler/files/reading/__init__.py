"""The one reader of files that people bring: rows, their shape, and what they say."""
