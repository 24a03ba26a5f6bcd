"""Where settings come from, which source wins, and what is said of bad ones."""

from pathlib import Path

import pytest

from labeler.config.load import load_settings
from labeler.domain.errors import BadInput


def test_flags_win_over_environment_over_toml_over_the_policys_own_file(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "livedpo.toml").write_text(
        "beta = 0.5\ntemperature = 0.5\nlearning_rate = 0.5\nlora_rank = 5\n"
    )
    config = tmp_path / "my.toml"
    config.write_text(
        f'policy = "{policy}"\ntemperature = 0.6\nlearning_rate = 0.6\nlora_rank = 6\n'
    )
    environ = {"LIVEDPO_LEARNING_RATE": "0.7", "LIVEDPO_LORA_RANK": "7", "PATH": "x"}
    settings = load_settings({"lora_rank": "8", "port": None}, environ, config)
    chosen = settings.beta, settings.temperature, settings.learning_rate, settings.lora_rank
    assert chosen == (0.5, 0.6, 0.7, 8)
    assert settings.passes == 1, "the default"


def test_a_database_that_a_higher_source_names_either_way_is_the_one(tmp_path: Path) -> None:
    file, config = tmp_path / "database.url", tmp_path / "my.toml"
    file.write_text("sqlite:///file.sqlite\n")
    config.write_text('database = "sqlite:///toml.sqlite"\n')
    by_url, by_file = {"LIVEDPO_DATABASE": "sqlite:///url.sqlite"}, {"database_file": str(file)}
    in_environment = {"LIVEDPO_DATABASE_FILE": str(file)}
    assert load_settings(by_file, by_url, config).database_url == "sqlite:///file.sqlite"
    assert load_settings({}, in_environment, config).database_url == "sqlite:///file.sqlite"
    config.write_text(f'database_file = "{file}"\n')
    assert load_settings({}, by_url, config).database_url == "sqlite:///url.sqlite"
    both = by_url | in_environment
    assert load_settings({}, both).database_url == "sqlite:///url.sqlite"


def test_the_config_file_can_be_named_in_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text("port = 9000\n")
    assert load_settings({}, {"LIVEDPO_CONFIG": str(config)}).port == 9000


def test_an_empty_environment_variable_is_none() -> None:
    assert load_settings({}, {"LIVEDPO_PORT": "", "LIVEDPO_CONFIG": ""}).port == 7860


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"LIVEDPO_PROT": "1"}, "LIVEDPO_PROT"),
        ({"LIVEDPO_UNATTENDED": "true"}, "LIVEDPO_UNATTENDED"),
        ({"LIVEDPO_PORT": "seventy"}, "'port' cannot be 'seventy'"),
        ({"LIVEDPO_PORT": "70000"}, "'port' cannot be '70000'"),
        ({"LIVEDPO_BETA": "0"}, "'beta' cannot be '0'"),
        ({"LIVEDPO_BETA": "inf"}, "'beta' cannot be 'inf'"),
        ({"LIVEDPO_SEED": "9" * 30}, "'seed' cannot be"),
        ({"LIVEDPO_TEMPLATE_KWARGS": "{'a': 1}"}, "cannot be \"{'a': 1}\": it is no JSON object"),
        ({"LIVEDPO_TEMPLATE_KWARGS": "[1]"}, "'template_kwargs' cannot be '[1]': it is no JSON"),
        ({"LIVEDPO_DTYPE": "int4"}, "'dtype' cannot be 'int4'"),
        ({"LIVEDPO_CONFIG": "/nowhere.toml"}, "/nowhere.toml cannot be read"),
    ],
)
def test_bad_values_are_named_in_one_sentence(environ: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_settings({}, environ)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "no setting 'prot'"),
        ("unattended = true", "no setting 'unattended'"),
        ("port = = 1", "not valid TOML"),
        ("port = 'x'", "'port'"),
    ],
)
def test_a_bad_toml_file_is_named_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "my.toml"
    config.write_text(text)
    with pytest.raises(BadInput, match=words) as caught:
        load_settings({}, {}, config)
    assert "\n" not in str(caught.value)


def test_a_policys_own_file_may_set_only_what_belongs_to_the_model(tmp_path: Path) -> None:
    (tmp_path / "livedpo.toml").write_text("port = 1\n")
    with pytest.raises(BadInput, match="may not set 'port'"):
        load_settings({"policy": str(tmp_path)}, {})


def test_an_unattended_run_has_defaults_of_its_own_and_the_policys_table_wins_over_them(
    tmp_path: Path,
) -> None:
    flags = {"policy": str(tmp_path)}
    assert load_settings(flags, {}, unattended=True).labels_per_update == 64
    (tmp_path / "livedpo.toml").write_text("passes = 4\n[judge]\npasses = 3\nlearning_rate = 0.1\n")
    run = load_settings(flags, {}, unattended=True)
    assert (run.passes, run.learning_rate, run.labels_per_update) == (3, 0.1, 64)
    served = load_settings(flags, {})
    assert (served.passes, served.learning_rate, served.labels_per_update) == (4, None, 16)
    assert load_settings(flags | {"passes": 7}, {}, unattended=True).passes == 7


@pytest.mark.parametrize("text", ["judge = 'starter'", "[judge]\nport = 1"])
def test_a_policys_file_may_not_name_a_judge_nor_set_what_is_not_its_own(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "livedpo.toml").write_text(text)
    with pytest.raises(BadInput, match="may not set"):
        load_settings({"policy": str(tmp_path)}, {}, unattended=True)
