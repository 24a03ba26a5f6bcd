"""Does a measured update go as far as it is told, whatever the size of the model?

Run by `make bench-steps`. One update of 16 pairs with labels by lot, as the service makes it where
no learning rate is set, on policies from 2 million to 1.2 billion parameters. Asked for is
`--update-kl`; what came of it is measured on pairs that the update has not seen: the mean of (log
new - log old)^2 / 2 a token, in nats. No setting but the policy differs between the rows.

    starter, smollm2   the real ones, on what they say
    bfloat16           SmolLM2 with its weights rounded to bfloat16 and trained in it; how far it
                       went is told by the same weights in float32, and `copy` is how much of that
                       way its merged copy goes, which people's pairs are drawn from
    0.5b, 1b           random weights in the shapes of Qwen2.5-0.5B and Llama-3.2-1B, on random
                       tokens: what a model without knowledge says

Whether a taste is followed cannot be seen on random weights; how far a step goes can.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch

from labeler.config.load import load_settings
from labeler.config.policies import first_prompts
from labeler.config.settings import Settings
from labeler.domain.labels import TrainingLabel
from labeler.files.prompts import read_prompts
from tests.benchmarks.update_shapes import STARTER, model_folder
from tests.support.samples import sample_pairs
from trainer.fast.layout import TokenPair
from trainer.learning.update import train
from trainer.policy.load import load_policy
from trainer.policy.logps import logps_under, response_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.merged import MergedCopy
from trainer.sampling.recommended import as_recommended

SHAPES = ("starter", "smollm2", "bfloat16", "0.5b", "1b")
REAL = {"starter": str(STARTER), "smollm2": "smollm2", "bfloat16": "smollm2"}
PAIRS, PROBE, UNSEEN = 16, 4, 8
PROMPT, RESPONSE = 32, 64  # random tokens


def pairs_of(policy: Policy, settings: Settings, shape: str, count: int) -> list[TokenPair]:
    """What the policy says to its own prompts, or random tokens for one of random weights."""
    draw = random.Random(settings.seed)
    if shape in ("0.5b", "1b"):
        words = policy.model.config.vocab_size

        def some(size: int) -> list[int]:
            return [draw.randrange(2, words) for _ in range(size)]

        return [(some(PROMPT), some(RESPONSE), some(RESPONSE)) for _ in range(count)]
    prompts = read_prompts(Path(first_prompts(settings.policy))).prompts
    asked = [policy.prompt_tokens(messages) for messages in draw.sample(prompts, count)]
    with policy.adapter(LIVE):
        said = sample_pairs(policy, asked, settings, seed=settings.seed)
    return [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(asked, said, strict=True)]


def label(number: int, pair: TokenPair, reference: list[float], said: float) -> TrainingLabel:
    """What somebody said of a pair."""
    prompt, a, b = (list(tokens) for tokens in pair)
    return TrainingLabel((str(number),), said, 1.0, prompt, a, b, *reference)


def row(shape: str, kl: float, seed: int) -> str:
    """One update of one policy, as a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        name = REAL[shape] if shape in REAL else str(model_folder(shape, Path(folder)))
        flags = {"policy": name, "seed": seed, "update_kl": kl}
        settings = load_settings(flags, {})
        policy = load_policy(settings)
        if shape == "bfloat16":
            twin = rounded(policy)
            policy = load_policy(settings.model_copy(update={"dtype": "bfloat16"}))
    settings, _ = as_recommended(settings, policy.shipped_generation_config)
    # The starter's own file sets a rate and four passes; here every policy is a stranger.
    settings = settings.model_copy(update={"learning_rate": None, "passes": 1, "batch_pairs": 8})
    policy.temperature = settings.temperature
    policy.versions[LIVE] = 0
    pairs = pairs_of(policy, settings, shape, PAIRS + PROBE + UNSEEN)
    taught, probe, unseen = pairs[:PAIRS], pairs[PAIRS:-UNSEEN], pairs[-UNSEEN:]
    draw = random.Random(seed)
    reference = logps_under(policy, None, taught).tolist()
    labels = [
        label(number, pair, logps, float(draw.random() < 0.5))
        for number, (pair, logps) in enumerate(zip(taught, reference, strict=True))
    ]
    began = time.perf_counter()
    steps = list(train(policy, labels, settings, seed=seed, probe=probe))
    seconds = time.perf_counter() - began
    kept = ""
    if shape == "bfloat16":
        twin.temperature = policy.temperature
        for adapter in (LIVE, CANDIDATE):
            twin.set_adapter_state(adapter, policy.adapter_state(adapter))
        kept = f"{share_of_copy(policy, twin, unseen):6.2f}"
        policy = twin
    way = _logps(policy, CANDIDATE, unseen) - _logps(policy, LIVE, unseen)
    moved = way.square().mean().item() / 2
    size = policy.model.get_base_model().num_parameters() / 1e6
    return (
        f"{shape:8} {size:7.0f} M  {kl:5.3f}  {moved:7.4f}  {moved / kl:5.2f}  "
        f"{steps[-1].learning_rate:8.2g}  {len(steps):5}  {seconds:7.0f}  {kept}".rstrip()
    )


def rounded(policy: Policy) -> Policy:
    """The same with weights that bfloat16 has, in float32."""
    for name, weight in policy.model.named_parameters():
        if "lora_" not in name:
            weight.data = weight.data.bfloat16().float()
    return policy


def share_of_copy(policy: Policy, exact: Policy, pairs: list[TokenPair]) -> float:
    """How much of the candidate's way its merged copy goes: the slope of one over the other."""
    way = _logps(exact, CANDIDATE, pairs) - _logps(exact, LIVE, pairs)
    copy = MergedCopy(policy.model)
    said = []
    for adapter in (LIVE, CANDIDATE):
        copy.refresh(adapter)
        said.append(torch.cat([_copy_logps(copy, policy.temperature, *pair) for pair in pairs]))
    return float((said[1] - said[0]) @ way / way.square().sum())


@torch.no_grad()
def _copy_logps(
    copy: MergedCopy, temperature: float, prompt: list[int], a: list[int], b: list[int]
) -> torch.Tensor:
    found = []
    for response in (a, b):
        ids = torch.tensor([[*prompt, *response]])
        logits = copy.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        logps = (logits.float() / temperature).log_softmax(-1)
        found.append(logps[range(len(response)), response])
    return torch.cat(found)


def _logps(policy: Policy, adapter: str, pairs: list[TokenPair]) -> torch.Tensor:
    """Log-probabilities of all tokens of the responses, (T,), nats."""
    with torch.no_grad(), policy.adapter(adapter):
        return torch.cat([response_logps(policy, [pair]) for pair in pairs])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--kl", type=float, default=0.03, help="nats a token")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print("policy    weights  asked     came  ratio      rate  steps  seconds    copy")
    for shape in options.shapes.split(","):
        for seed in range(options.seeds):
            print(row(shape, options.kl, seed), flush=True)


if __name__ == "__main__":
    main()
