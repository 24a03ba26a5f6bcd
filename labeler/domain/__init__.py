"""Values and rules that everything shares. Imports nothing of ours but itself."""
