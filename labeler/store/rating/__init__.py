"""What people do: the queue of pairs, votes, edits, checks, prompts of their own."""
