"""Temperature and top-p of the model's makers, unless somebody said otherwise."""

import logging
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from labeler.config.load import as_environment, handed_down_settings, load_settings
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import rows
from tests.support.tiny import save_tiny_policy
from tests.support.worker import HandTurned
from tests.trainer.conftest import load
from trainer.sampling.recommended import as_recommended

MAKERS = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20}


@pytest.mark.parametrize(
    ("told", "shipped", "drawn", "says"),
    [
        ({}, MAKERS, (0.6, 0.9), "temperature 0.6 (the makers' advice) and top-p 0.9 (the makers"),
        ({"temperature": 1.0}, MAKERS, (1.0, 0.9), "1 (as set) and top-p 0.9 (the makers' advice)"),
        ({"top_p": 0.5}, MAKERS, (0.6, 0.5), "0.6 (the makers' advice) and top-p 0.5 (as set)."),
        ({}, {}, (1.0, 1.0), "temperature 1 (the default) and top-p 1 (the default)."),
        ({}, {"top_p": 0.8}, (1.0, 0.8), "temperature 1 (the default) and top-p 0.8 (the makers"),
        ({}, MAKERS | {"do_sample": False}, (1.0, 1.0), "temperature 1 (the default)"),
        ({}, {"temperature": 0.0, "top_p": 7.0}, (1.0, 1.0), "top-p 1 (the default)"),
    ],
)
def test_what_the_makers_recommend_is_taken_unless_it_is_set_and_that_is_said(
    told: dict[str, Any],
    shipped: dict[str, Any],
    drawn: tuple[float, float],
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Through the environment, as the worker gets its settings."""
    settings = handed_down_settings(as_environment(load_settings({"policy": "a/b", **told}, {})))
    with caplog.at_level(logging.INFO):
        found, _ = as_recommended(settings, GenerationConfig(**shipped))
    assert (found.temperature, found.top_p) == drawn
    assert says in caplog.text
    assert found.max_new_tokens == settings.max_new_tokens


def test_a_policy_folder_that_sets_them_itself_is_obeyed(tmp_path: Path) -> None:
    (tmp_path / "livedpo.toml").write_text("temperature = 1.0\n")
    settings = load_settings({"policy": str(tmp_path)}, {})
    found, drawing = as_recommended(settings, GenerationConfig(**MAKERS))
    assert (found.temperature, found.top_p) == (1.0, 0.9)
    assert (drawing.temperature_from, drawing.top_p_from) == (
        "the policy's own file",
        "the makers' advice",
    )


def test_pairs_record_what_they_were_drawn_at(
    store: Store, database: Database, tmp_path: Path
) -> None:
    folder = save_tiny_policy(tmp_path / "policy")
    GenerationConfig(eos_token_id=0, pad_token_id=1, **MAKERS).save_pretrained(folder)
    flags = {"policy": str(folder), "data_dir": tmp_path, "max_new_tokens": 8, "queue_pairs": 4}
    HandTurned(store, load(folder), load_settings(flags, {})).step()
    pair = rows(database, Pair)[0]
    assert (pair.sampling["temperature"], pair.sampling["top_p"]) == (0.6, 0.9)
