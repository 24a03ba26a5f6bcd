"""The settings: one frozen object, each field with unit, default and meaning.

`labeler.config.load` reads them from flags, environment and files. A policy folder may carry a
`livedpo.toml` with some of them (`OWNED_BY_POLICY` there): what suits a 2M-parameter starter would
break an 8B model, so such values travel with the weights.
"""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labeler.domain.labels import VoteRules
from labeler.domain.rules import DueRules, JudgeRules

ROOT = Path(__file__).resolve().parents[2]
STARTER_POLICY = ROOT / "data" / "starter" / "policy"
STARTER_REWARD = ROOT / "data" / "starter" / "reward"
STARTER_PROMPTS = ROOT / "data" / "prompts.jsonl"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

LEARN_TIES = ("dpo_rk", "dpo_d")
LEARN_SMOOTHING = ("sigmoid", "sigmoid_norm", "robust")
LEARN_LENGTH = ("sigmoid", "robust", "dpo_rk", "dpo_d")


class Settings(BaseModel):
    """Everything that can be set, with unit, default and meaning. Frozen once made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy: str = Field(
        str(STARTER_POLICY),
        min_length=1,
        description="Model to tune: a local folder or a hub id. Default: the starter.",
    )
    prompts: Path | None = Field(
        None, description="File or folder with prompts to sample from. Default: the starter's."
    )
    data_dir: Path = Field(
        Path("data/run"), description="Folder for the database, the adapters and the logs."
    )
    database: str | None = Field(
        None, description="Database URL. Default: an SQLite file in the data dir."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address the web page listens on.")
    port: int = Field(7860, ge=1, le=65535, description="Port the web page listens on.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        description="Address that people open, if it is not that of host and port: behind a proxy "
        "that speaks HTTPS, say. Default: none.",
    )
    tls_certificate: Path | None = Field(
        None, description="File with the certificate chain (PEM), to serve HTTPS. Default: none."
    )
    tls_key: Path | None = Field(
        None, description="File with its private key (PEM). Default: none."
    )
    session_hours: float = Field(
        72.0, gt=0, le=8760, description="Hours after which a person has to log in again."
    )

    votes_per_pair: int = Field(
        1, ge=1, le=100, description="People who rate each pair; 2 and more show how they agree."
    )
    gold_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of a person's pairs whose answer is known (`livedpo gold add FILE`); "
        "0.05 is one in twenty, as long as there are any they have not seen.",
    )
    repeat_share: float = Field(
        0.02,
        ge=0,
        le=0.5,
        description="Share of a person's pairs that they have rated before, to see whether they "
        "say the same again; from their 30th vote on.",
    )
    min_reading_seconds: float = Field(
        1.0, ge=0, description="Votes cast faster than this are flagged; they count all the same."
    )
    weigh_raters: bool = Field(
        False, description="Weigh votes by how reliable their raters are (Dawid and Skene)."
    )
    guidelines: Path | None = Field(
        None, description="Markdown file with your own guidelines for raters. Default: ours."
    )
    reason_tags: str = Field(
        "correct, complete, clear, concise, tone, safe",
        description="Reasons that raters can tick, with commas between; empty: none.",
    )

    mode: Literal["streaming", "iterative"] = Field(
        "streaming",
        description="streaming: an update whenever enough fresh labels are there. iterative: "
        "rounds of --labels-per-update pairs, all of one version, all labelled before the update.",
    )
    labels_per_update: int = Field(
        16, ge=1, description="Fresh labels that start an update; in rounds, pairs of a round."
    )
    cooldown_seconds: float = Field(
        0.0, ge=0, description="Seconds to wait between two updates, at least."
    )
    queue_pairs: int = Field(24, ge=2, description="Pairs kept ready for raters.")
    lease_seconds: float = Field(
        1800.0, gt=0, description="Seconds a rater may hold a pair before others get it."
    )
    max_staleness: int = Field(
        2, ge=0, description="Versions a pair may lie behind the live policy and still count."
    )

    temperature: float = Field(1.0, gt=0, le=5, description="Sampling temperature.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling: probability mass kept.")
    max_new_tokens: int = Field(256, ge=1, description="Longest response, in tokens.")

    ties: Literal["auto", "drop", "coin_flip", "learn"] = Field(
        "auto",
        description="What ties and 'both bad' teach: drop: nothing. coin_flip: that both are as "
        "likely to be preferred. learn: a tie, which only dpo_rk and dpo_d can. auto: learn with "
        "these two, else drop.",
    )
    strong_weight: float = Field(
        2.0, gt=0, description="How many votes a 'much better' counts for."
    )
    held_out_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the newest fresh labels that test an update and train the next one.",
    )
    replay_share: float = Field(
        0.0, ge=0, le=0.9, description="Share of an update's labels that are used ones, once more."
    )
    replay_max_age: int = Field(
        8, ge=1, description="Versions after which a used label is not replayed any more."
    )

    judge: str | None = Field(
        None,
        pattern=r"^(starter|learned|rm:.+|api:.+@https?://.+|py:[\w.]+:\w+)$",
        description="A model that compares responses: starter, rm:DIR_OR_HUB_ID (a reward model), "
        "api:MODEL@BASE_URL (an OpenAI-compatible server; its key from OPENAI_API_KEY), "
        "py:module:function, or learned (from this service's own votes). It says whether a new "
        "version is better, and labels what --judge-after leaves to it. Default: nobody.",
    )
    judge_after: float | None = Field(
        None,
        ge=0,
        description="Seconds that a pair waits for a person before the judge labels it. "
        "Default: the judge labels nothing.",
    )
    judge_weight: float = Field(
        0.5, gt=0, description="How many votes of a person a judge's label counts for."
    )
    judge_check_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of pairs that are judged and shown to people too, to see how good the "
        "judge is.",
    )
    judge_min_agreement: float = Field(
        0.55,
        ge=0,
        le=1,
        description="Share of people's decided votes that the judge must agree with, or it labels "
        "nothing.",
    )
    judge_max_abstain: float = Field(
        0.5, gt=0, le=1, description="Share of its last answers that a judge may owe us."
    )
    judge_inconsistent: Literal["tie", "abstain"] = Field(
        "tie",
        description="What a judge has said that prefers the first of the two in either order.",
    )
    judge_concurrency: int = Field(
        8, ge=1, le=256, description="Requests to an api: judge at the same time."
    )
    judge_timeout: float = Field(
        60.0, gt=0, description="Seconds that an api: judge may take for one answer."
    )
    judge_max_requests: int = Field(
        0, ge=0, description="Requests to an api: judge in all, failed ones too; 0: no limit."
    )
    candidates: int = Field(
        2, ge=2, le=32, description="Responses sampled for a prompt, of which the judge picks two."
    )
    candidate_pair: Literal["best_worst", "random"] = Field(
        "best_worst", description="Which two of more than two candidates make the pair."
    )

    max_updates: int | None = Field(
        None, ge=1, description="Updates of the data dir after which none is made; `judge` ends."
    )
    max_labels: int | None = Field(
        None, ge=1, description="Labels of the judge after which it gives none; `judge` ends."
    )
    max_hours: float | None = Field(
        None, gt=0, description="Hours of work after which `judge` ends, over restarts."
    )
    stop_rejected: int = Field(
        5, ge=1, description="Rejected updates in a row that end the unattended run."
    )
    stop_stalled_seconds: float = Field(
        600.0,
        ge=0,
        description="Seconds without any progress, under an alarm, that end the unattended run: a "
        "judge that abstains, a worker that dies.",
    )
    stop_length_change: float = Field(
        2.0, gt=1, description="Factor by which responses may have become longer or shorter."
    )
    stop_unfinished_rise: float = Field(
        0.3, ge=0, le=1, description="Rise of the share of responses cut at the limit."
    )
    stop_entropy_share: float = Field(
        0.25, ge=0, le=1, description="Share of the first version's entropy that must be left."
    )
    stop_distinct_share: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Share of the first version's distinct four-token sequences that must be left.",
    )
    keep_versions: int = Field(
        20,
        ge=1,
        description="Newest versions whose folders stay, beside the live one, its parent and kept "
        "ones; older folders are removed.",
    )

    loss: Literal[
        "sigmoid", "sigmoid_norm", "ipo", "hinge", "robust", "simpo", "dpo_rk", "dpo_d"
    ] = Field(
        "sigmoid",
        description="sigmoid (DPO; with --label-smoothing cDPO), sigmoid_norm (by length), ipo, "
        "hinge (SLiC), robust (noisy labels), simpo (no reference), dpo_rk and dpo_d (learn ties).",
    )
    beta: float = Field(0.1, gt=0, description="DPO beta: how strongly to stay at the reference.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of votes taken to be wrong: for cDPO and robust DPO."
    )
    simpo_gamma: float = Field(0.5, ge=0, description="Reward margin that SimPO aims at.")
    length_alpha: float = Field(
        0.0, ge=0, description="R-DPO: the reward that each token of length counts for."
    )
    reference: Literal["base", "previous"] = Field(
        "base",
        description="What beta ties the policy to: base, or the version before (iterative DPO).",
    )
    learning_rate: float = Field(1e-5, gt=0, lt=1, description="AdamW learning rate.")
    decay_labels: int = Field(
        0,
        ge=0,
        description="Labels after which the learning rate has fallen to a half, and after twice as "
        "many to a third (inverse-time decay), so that first votes are seen soon and later ones do "
        "not tear down what was learned; 0: it stays.",
    )
    passes: int = Field(2, ge=1, description="Passes over the labels of one update.")
    batch_pairs: int = Field(8, ge=1, description="Pairs in one optimiser step.")
    lora_rank: int = Field(16, ge=1, description="Rank of the LoRA adapter.")
    lora_alpha: float = Field(
        32.0, gt=0, description="LoRA alpha: the adapter is scaled by alpha/rank."
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient norm is clipped to this.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of sampling and training.")
    micro_tokens: int = Field(
        0, ge=0, description="Tokens computed at once in training; 0: by the memory that it takes."
    )

    gate_prompts: int = Field(
        16, ge=1, le=512, description="Prompts that a candidate answers, twice each, for the gate."
    )
    gate_max_kl_live: float = Field(
        0.3, gt=0, description="Nats a token that an update may move away from the live version."
    )
    gate_max_kl_reference: float = Field(
        1.5, gt=0, description="Nats a token that a version may be away from the base."
    )
    gate_max_length_change: float = Field(
        2.0, gt=1, description="Factor by which an update may lengthen or shorten the responses."
    )
    gate_max_unfinished_rise: float = Field(
        0.15, ge=0, le=1, description="Rise of the share of responses cut at the limit."
    )
    gate_max_repetition_rise: float = Field(
        0.1, ge=0, le=1, description="Rise of the share of repeated four-token sequences."
    )
    gate_max_agreement_drop: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Fall of the share of votes kept aside that the policy agrees with.",
    )

    device: str = Field("auto", description="Torch device: auto, cpu, cuda, cuda:1, mps.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Weights of the frozen base. auto: float32 on a CPU, else bfloat16."
    )
    threads: int = Field(
        0, ge=0, description="Torch threads of the worker; 0: all cores but one, for the page."
    )

    @model_validator(mode="after")
    def _combine_well(self) -> Self:
        """Refuse what each setting allows and all together do not."""
        wrong = _wrong_combination(self)
        if wrong:
            raise ValueError(wrong)
        return self

    @property
    def vote_rules(self) -> VoteRules:
        """What votes become; see `labeler.domain.labels`."""
        ties = self.ties
        if ties == "auto":
            ties = "learn" if self.loss in LEARN_TIES else "drop"
        return VoteRules(
            ties=ties, strong_weight=self.strong_weight, judge_weight=self.judge_weight
        )

    @property
    def due_rules(self) -> DueRules:
        """When an update is due, and with which labels."""
        return DueRules(
            labels_per_update=self.labels_per_update,
            max_staleness=self.max_staleness,
            cooldown_seconds=self.cooldown_seconds,
            votes=self.vote_rules,
            mode=self.mode,
            held_out_share=self.held_out_share,
            replay_share=self.replay_share,
            replay_max_age_versions=self.replay_max_age,
            max_updates=self.max_updates,
        )

    @property
    def judge_rules(self) -> JudgeRules:
        """What the judge is asked, and when its word is a label."""
        assert self.judge is not None
        return JudgeRules(
            judge=self.judge,
            after_seconds=self.judge_after,
            max_staleness=self.max_staleness,
            max_labels=self.max_labels,
            max_abstain=self.judge_max_abstain,
            min_agreement=self.judge_min_agreement,
            left_to_people=self._left_to_people,
        )

    @property
    def _left_to_people(self) -> int:
        """Half a queue, unless a round would wait for them or nobody is there."""
        return self.queue_pairs // 2 if self.judge_after and self.mode == "streaming" else 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that raters can tick, in order."""
        return tuple(
            dict.fromkeys(tag for part in self.reason_tags.split(",") if (tag := part.strip()))
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOOPBACK_HOSTS

    @property
    def database_url(self) -> str:
        """The database, with the default filled in."""
        return self.database or "sqlite:///" + quote(str(self.data_dir / "livedpo.sqlite"))

    @property
    def adapters_dir(self) -> Path:
        """Folder that holds one folder for each policy version."""
        return self.data_dir / "adapters"


def _wrong_combination(settings: Settings) -> str | None:
    """What does not go together, in one sentence; None if all does."""
    loss = settings.loss
    if settings.ties == "learn" and loss not in LEARN_TIES:
        return f"The loss '{loss}' has no place for ties; use --loss dpo_d, or --ties coin_flip."
    if settings.label_smoothing and loss not in LEARN_SMOOTHING:
        return f"The loss '{loss}' takes no label smoothing; use --loss sigmoid or robust."
    if loss == "robust" and not settings.label_smoothing:
        return "The loss 'robust' needs a share of wrong votes; set --label-smoothing 0.1, say."
    if settings.length_alpha and loss not in LEARN_LENGTH:
        return f"The loss '{loss}' takes no length margin; use --loss sigmoid, or --length-alpha 0."
    if settings.judge is None and settings.judge_after is not None:
        return "Nobody can label pairs after a while; name a --judge beside --judge-after."
    if settings.judge is None and settings.candidates > 2:
        return "Nobody can choose among more than two candidates; name a --judge."
    if loss == "simpo" and settings.reference == "previous":
        return "The loss 'simpo' has no reference; leave out --reference previous."
    return None
