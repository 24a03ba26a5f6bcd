"""Which judge a `--judge` means."""

from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.judging import Cause, Question
from tests.trainer.judge.test_reward import save_reward
from trainer.judge.function import FunctionJudge
from trainer.judge.learned import LearnedJudge
from trainer.judge.load import load_judge
from trainer.judge.reward import RewardModel
from trainer.policy.policy import Policy


def test_each_spec_loads_its_judge_under_its_own_name(policy: Policy, tmp_path: Path) -> None:
    kinds = {
        "starter": RewardModel,
        f"rm:{save_reward(tmp_path)}": RewardModel,
        "py:math:hypot": FunctionJudge,
        "learned": LearnedJudge,
    }
    for spec, kind in kinds.items():
        judge = load_judge(Settings(judge=spec), policy)
        assert isinstance(judge, kind)
        assert judge.spec == spec
        assert not judge.waits


def test_without_a_judge_there_is_none(policy: Policy) -> None:
    assert load_judge(Settings(), policy) is None


def test_a_judge_that_is_not_there_is_one_sentence(policy: Policy) -> None:
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_judge(Settings(judge="rm:./nowhere"), policy)


def test_the_settings_reach_the_client_of_a_server(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = Settings(judge="api:m@http://127.0.0.1:9/v1", judge_max_requests=3)
    judge = load_judge(settings, policy, requests_spent=3)
    assert judge is not None
    assert judge.waits
    (said,) = judge.judge([Question([{"role": "user", "content": "hello"}], "tea", "good")])
    assert said.cause is Cause.BUDGET  # all three are spent
