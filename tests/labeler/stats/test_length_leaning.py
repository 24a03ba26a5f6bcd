"""What votes prove of length: its size by the formula, its sign by who won."""

import pytest

from labeler.stats.length_leaning import length_leaning, length_odds


@pytest.mark.parametrize(
    ("won", "lost", "size"), [(9, 1, 1 - 0.36 / 6.4), (3, 1, 1 - 3 / 4), (1, 1, 0.0)]
)
def test_it_counts_as_far_as_the_votes_prove_it(won: int, lost: int, size: float) -> None:
    """Of 10 votes the longer won 9: r = 0.8, z^2 = 10 x 0.64 / 0.36. Of 4 it won 3: z^2 = 4/3."""
    sides = [1.0] * won + [-1.0] * lost
    longer_by = [30.0] * (won + lost)
    assert length_leaning(sides, longer_by) == pytest.approx(size)
    assert length_leaning(sides, [-one for one in longer_by]) == pytest.approx(-size)


def test_ties_and_pairs_of_one_length_prove_nothing() -> None:
    assert length_leaning([0.0] * 4, [1.0] * 4) == 0
    assert length_leaning([1.0] * 4, [0.0] * 4) == 0
    assert length_leaning([], []) == 0


def test_whoever_always_likes_the_longer_by_as_much_is_believed() -> None:
    assert length_leaning([1.0, -1.0] * 8, [20.0, -20.0] * 8) == pytest.approx(1.0, abs=1e-6)


def test_the_odds_follow_the_normal_distribution_and_the_side_that_won() -> None:
    """Of 4 votes the longer won 3: z^2 = 4 / 3, and 2 Phi(1.1547) - 1 = 0.7518."""
    sides = [1.0, 1.0, 1.0, -1.0]
    assert length_odds(sides, [30.0] * 4) == pytest.approx(0.7518, abs=1e-4)
    assert length_odds(sides, [-30.0] * 4) == pytest.approx(-0.7518, abs=1e-4)
    assert length_odds([1.0, -1.0], [30.0] * 2) == 0
