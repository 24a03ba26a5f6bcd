"""The peer: on-policy reinforcement learning with a reward model, as in PPO-style training.

At each number of labels, TRL's RLOOTrainer starts from the base and climbs the reward model that is
fitted to that many votes on pairs of the policy as it starts (`fitted`). Votes are spent on the
reward model alone, so it may sample as many responses as it has time for: RESPONSES, for which its
learning rate and beta were searched. Leaves out a value network: RLOO has none.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from labeler.domain.judging import Question
from labeler.domain.labels import Preference
from tests.benchmarks.evidence.fitted import FittedReward
from tests.benchmarks.evidence.learning import PairSource, Votes
from tests.benchmarks.evidence.measure import Look, Meter, look
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.rater import Rater
from tests.benchmarks.evidence.world import Pair, World
from trainer.policy.policy import LIVE

RESPONSES = 512
BATCH, GROUP = 32, 4  # responses of a step, and of a prompt


def rloo(run: Run, world: World, rater: Rater, prompts: int) -> Iterator[Look]:
    """One training a look, from the base, on a reward model fitted to a growing set of votes."""
    source, votes, gathering = PairSource(run, world), Votes(run, world, rater), Meter()
    pairs: list[Pair] = []
    said: list[Preference | None] = []
    for goal in run.labels:
        world.policy.set_adapter_state(LIVE, world.untrained)
        with gathering.working():
            new = source.take(goal - len(pairs))
            pairs += new
            said += votes.on(new)
        meter = gathering.copy()
        with meter.working():
            reward = FittedReward(world.policy, run.seed)
            reward.hear(pairs, said)
            if reward.is_fitted:
                climb(run, world, reward, [pair.question for pair in pairs])
        yield look(run, goal, world, meter, prompts)


def climb(run: Run, world: World, reward: FittedReward, labelled: Sequence[Question]) -> None:
    """RLOO on the reward in units of its spread over the labelled responses; becomes live."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model_state_dict
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import RLOOConfig, RLOOTrainer

    spread = reward.scores(labelled).std().clamp(min=1e-9)

    def rewards(prompts: Any, completions: Any, **_: Any) -> list[float]:
        texts = [completion[-1]["content"] for completion in completions]
        asked = [Question(p, text, text) for p, text in zip(prompts, texts, strict=True)]
        found: list[float] = (reward.scores(asked)[:, 0] / spread).tolist()
        return found

    steps = RESPONSES // BATCH
    asked = world.prompts(run.seed + 1).take(steps * BATCH // GROUP)
    settings = world.settings
    torch.manual_seed(run.seed)
    with tempfile.TemporaryDirectory() as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = RLOOTrainer(
            model=AutoModelForCausalLM.from_pretrained(world.policy.base_name),
            reward_funcs=rewards,
            args=RLOOConfig(
                output_dir=out,
                per_device_train_batch_size=BATCH,
                num_generations=GROUP,
                max_steps=steps,
                learning_rate=run.learning_rate,
                lr_scheduler_type="constant",
                beta=run.beta,
                max_completion_length=settings.max_new_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=0,
                max_grad_norm=settings.max_grad_norm,
                gradient_checkpointing=False,
                use_cpu=world.policy.device.type == "cpu",
                bf16=False,
                seed=run.seed,
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            ),
            train_dataset=Dataset.from_list([{"prompt": messages} for messages in asked]),
            processing_class=AutoTokenizer.from_pretrained(world.policy.base_name),
            peft_config=LoraConfig(
                r=settings.lora_rank,
                lora_alpha=settings.lora_alpha,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    learned = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
    world.policy.set_adapter_state(LIVE, {name: w.detach().cpu() for name, w in learned.items()})
