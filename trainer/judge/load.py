"""The judge of a `--judge` spec. The client of a server is imported only where one is asked."""

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_REWARD
from labeler.domain.judging import Judge
from trainer.judge.features import Features
from trainer.judge.function import FunctionJudge
from trainer.judge.learned import LearnedJudge
from trainer.judge.reward import RewardModel
from trainer.policy.policy import Policy


def load_judge(settings: Settings, policy: Policy, *, requests_spent: int = 0) -> Judge | None:
    """The judge that the settings name, on the policy's device; None if they name none.

    `requests_spent` is what a server was asked before a restart. Raises BadInput in one sentence.
    """
    spec = settings.judge
    if spec is None:
        return None
    kind, _, rest = spec.partition(":")
    if kind == "starter":
        return RewardModel(str(STARTER_REWARD), policy.device, spec=spec)
    if kind == "rm":
        return RewardModel(rest, policy.device)
    if kind == "py":
        return FunctionJudge(spec)
    if kind == "learned":
        return LearnedJudge(Features(policy), seed=settings.seed)
    return _api_judge(spec, settings, requests_spent)


def _api_judge(spec: str, settings: Settings, requests_spent: int) -> Judge:
    from trainer.judge.api import ApiJudge

    return ApiJudge(
        spec,
        inconsistent=settings.judge_inconsistent,
        concurrency=settings.judge_concurrency,
        timeout_seconds=settings.judge_timeout,
        max_requests=settings.judge_max_requests,
        requests_spent=requests_spent,
    )
