"""The parts of the settings: a new field of one is an option, and what does not fit is refused."""

from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from labeler.cli.main import cli
from labeler.config.load import load_settings
from labeler.config.parts.part import Mark, Part
from labeler.config.parts.training import Training
from labeler.config.settings import FIELDS, PARTS, UNATTENDED, Settings, marked
from labeler.domain.errors import BadInput
from labeler.domain.losses import Loss


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def sections(command: str) -> dict[str, list[str]]:
    """The flags that `--help` of a command lists, by heading."""
    found: dict[str, list[str]] = {}
    for line in CliRunner().invoke(cli, [command, "--help"]).output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            found[line.removesuffix(":")] = lines = []
        elif line.startswith("  --"):
            lines.append(line.split()[0])
    return found


def heading(part: type[Part]) -> str:
    return (part.__doc__ or "").splitlines()[0]


def test_every_setting_stands_in_one_part_and_says_what_it_is() -> None:
    listed = [name for part in PARTS for name in part.model_fields]
    assert len(listed) == len(set(listed)) > 70
    assert set(Settings.model_fields) - set(listed) == {"unattended", "chosen"}
    assert all(field.description for field in FIELDS.values())


def test_a_field_of_a_part_is_an_option_under_the_parts_heading() -> None:
    shown = sections("serve")
    assert len({heading(part) for part in PARTS}) == len(PARTS)
    for part in PARTS:
        assert shown[heading(part)] == [flag(name) for name in part.model_fields]


def test_an_unattended_run_has_every_option_that_is_not_for_people() -> None:
    shown = {name for flags in sections("judge").values() for name in flags}
    assert shown - {"--config"} == {flag(n) for n in set(FIELDS) - marked(Mark.SERVE_ONLY)}
    assert "judge_after" in marked(Mark.SERVE_ONLY)


def test_what_is_marked_is_known_as_such() -> None:
    may_set = marked(Mark.POLICY_MAY_SET)
    assert {"loss", "beta", "temperature", "lora_rank", "lora_targets"} <= may_set
    assert may_set.isdisjoint({"port", "judge", "unattended", "trust_remote_code"})
    assert UNATTENDED == {"labels_per_update": 64}


def test_beta_is_that_of_the_loss_unless_it_is_set() -> None:
    assert [Settings().beta, Settings(loss=Loss.SIGMOID).beta] == [10.0, 0.1]
    assert Settings(loss=Loss.SIMPO).beta == Loss.SIMPO.traits.beta == 2.0
    assert Settings(loss=Loss.SIMPO, beta=2.5).beta == 2.5
    starter = load_settings({}, {})
    assert (starter.loss, starter.beta) == (Loss.SIGMOID, 0.1)
    assert load_settings({"loss": "ipo"}, {}).beta == 0.1


def test_the_whole_can_be_handed_to_who_takes_a_part() -> None:
    whole = Settings(beta=0.3)
    assert all(isinstance(whole, part) for part in PARTS)
    assert Training(**whole.model_dump(include=set(Training.model_fields))) == Training(beta=0.3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"loss": "dpo"}, "'loss' cannot be 'dpo': input should be 'sigmoid', "),
        ({"beta": 0.0}, "'beta' cannot be 0.0"),
        ({"beta": float("nan")}, "'beta' cannot be nan"),
        ({"label_smoothing": 0.5}, "'label_smoothing' cannot be 0.5: .* less than 0.5"),
        ({"label_smoothing": -0.1}, "'label_smoothing' cannot be -0.1"),
        ({"loss": "robust"}, "The loss 'robust' needs a share of wrong votes"),
        ({"loss": "robust", "label_smoothing": 0.5}, "'label_smoothing' cannot be 0.5"),
        ({"loss": "sigmoid_norm", "length_alpha": 0.1}, "'sigmoid_norm' takes no length margin"),
        ({"length_alpha": -0.1}, "'length_alpha' cannot be -0.1"),
        ({"loss": "simpo", "simpo_gamma": -1.0}, "'simpo_gamma' cannot be -1.0"),
        ({"loss": "simpo", "reference": "previous"}, "The loss 'simpo' has no reference"),
        ({"ties": "learn"}, "The loss 'sigmoid' has no place for ties; use --loss dpo_rk or dpo_d"),
        ({"judge_after": 5.0}, "--judge-after needs a judge; name one"),
        ({"candidates": 3}, "More than two --candidates need a judge to choose; name one"),
        *[
            ({"loss": loss, "label_smoothing": 0.1}, f"The loss '{loss}' takes no label smoothing")
            for loss in ("hinge", "ipo", "simpo", "dpo_rk", "dpo_d")
        ],
        *[
            ({"loss": loss, "length_alpha": 0.1}, f"The loss '{loss}' takes no length margin")
            for loss in ("ipo", "hinge", "simpo")
        ],
    ],
)
def test_what_does_not_fit_is_one_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        load_settings(values, {})
    assert "\n" not in str(caught.value)


def test_a_part_by_itself_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValidationError, match="takes no length margin"):
        Training(loss=Loss.SIMPO, length_alpha=0.1)
