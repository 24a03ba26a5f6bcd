"""Files that people bring and take away: prompts, labelled pairs, exports."""
