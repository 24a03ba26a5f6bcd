"""Files that people bring and take away: prompts, gold pairs, labelled pairs, exports."""
