"""What is said of an update, a judge and an alarm: here, and nowhere else.

Pages, the command line and summaries set these sentences as they are.
"""
