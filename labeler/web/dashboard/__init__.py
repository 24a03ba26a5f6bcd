"""The dashboard: what reviewers see and admins do."""
