"""An exported file trains with TRL's DPOTrainer as it is."""

from pathlib import Path

import datasets
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from labeler.files.export.formats import Wanted
from labeler.files.export.write import write_export
from labeler.store import Store
from tests.support.store import vote
from tests.support.tiny import add_pairs, fill

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "How?"},
]


# TRL 1.16 on this transformers and torch warns about its own calls; nothing of ours is in them.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("is_talk", [False, True])
def test_trl_trains_on_an_export(
    is_talk: bool, store: Store, tiny_policy: Path, tmp_path: Path
) -> None:
    from trl import DPOConfig, DPOTrainer

    fill(store, 7)
    store.prompts.add([TALK if is_talk else TALK[-1:]], now=1.0)
    add_pairs(store, 1)
    vote(store, 8)
    out = tmp_path / "pairs.jsonl"
    assert write_export(out, Wanted(store), format_name="preference").rows == 8

    rows = datasets.load_dataset(
        "json", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert {str(row["prompt"])[:1] for row in rows} == ({"["} if is_talk else {"Q", "H"})
    config = DPOConfig(
        output_dir=str(tmp_path / "trl"),
        max_steps=2,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        save_strategy="no",
        logging_steps=1,
    )
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_policy),
        args=config,
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(tiny_policy),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[0] == pytest.approx(0.6931, abs=1e-2), "log 2 before the first step"
    assert trainer.state.global_step == 2
