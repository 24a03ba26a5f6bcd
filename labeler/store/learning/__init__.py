"""What labels become: updates, versions, rounds, and the judge's share of them."""
