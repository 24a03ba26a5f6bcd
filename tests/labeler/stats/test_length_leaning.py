"""What votes prove of length: its size by the formula, its sign by who won."""

import itertools
import statistics

import pytest

from labeler.stats.length_leaning import length_leaning, length_odds, length_z


@pytest.mark.parametrize(
    ("won", "lost", "size"), [(9, 1, 1 - 1 / 6.4), (4, 1, 1 - 5 / 9), (3, 1, 0.0), (1, 1, 0.0)]
)
def test_it_counts_as_far_as_the_votes_prove_it(won: int, lost: int, size: float) -> None:
    """Of 10 votes the longer won 9: z^2 = (9 - 1)^2 / 10. Of 5 it won 4: 9 / 5. Of 4 3: 1."""
    sides = [1.0] * won + [-1.0] * lost
    longer_by = [30.0] * (won + lost)
    assert length_leaning(sides, longer_by) == pytest.approx(size)
    assert length_leaning(sides, [-one for one in longer_by]) == pytest.approx(-size)


def test_ties_and_pairs_of_one_length_prove_nothing() -> None:
    assert length_leaning([0.0] * 4, [1.0] * 4) == 0
    assert length_leaning([1.0] * 4, [0.0] * 4) == 0
    assert length_leaning([], []) == 0


def test_whoever_always_likes_the_longer_by_as_much_is_believed() -> None:
    """z^2 is how many votes there are."""
    assert length_leaning([1.0, -1.0] * 8, [20.0, -20.0] * 8) == pytest.approx(1 - 1 / 16)
    assert length_leaning([1.0], [30.0]) == 0


def test_the_odds_follow_the_normal_distribution_and_the_side_that_won() -> None:
    """Of 4 votes the longer won 3: z = 1, and 2 Phi(1) - 1 = 0.6827."""
    sides = [1.0, 1.0, 1.0, -1.0]
    assert length_odds(sides, [30.0] * 4) == pytest.approx(0.6827, abs=1e-4)
    assert length_odds(sides, [-30.0] * 4) == pytest.approx(-0.6827, abs=1e-4)
    assert length_odds([1.0, -1.0], [30.0] * 2) == 0


@pytest.mark.parametrize("votes", [1, 2, 4, 8])
@pytest.mark.parametrize("ties", [0, 5])
def test_where_each_vote_is_a_coin_the_mean_of_z_squared_is_one_however_few_there_are(
    votes: int, ties: int
) -> None:
    """Over all ways in which N coins fall, s_i s_j is 1 as often as -1. So the mean of
    (sum of s x)^2 is the sum of x^2. Ties are no coins, and change nothing.
    """
    longer_by = [20.0, -410.0, 45.0, 160.0, -80.0, 300.0, 110.0, -230.0][:votes]
    longer_by += [500.0] * ties
    squares = [
        length_z([*coins, *[0.0] * ties], longer_by) ** 2
        for coins in itertools.product((1.0, -1.0), repeat=votes)
    ]
    assert statistics.fmean(squares) == pytest.approx(1)
