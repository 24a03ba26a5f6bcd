"""What can be checked of compose.yaml without containers: commands and settings are ours."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from labeler.cli.main import cli
from labeler.config.load import load_settings
from trainer.sampling.choice import STAGING

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "labeler/compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
OURS = {name: each for name, each in COMPOSE["services"].items() if "build" in each}
KEYS = {
    *("build", "command", "configs", "depends_on", "deploy", "entrypoint", "environment"),
    *("healthcheck", "image", "ports", "profiles", "restart", "volumes"),
}


def filled_in(value: str) -> str:
    """What compose makes of a value if only POSTGRES_PASSWORD is set."""
    value = value.replace("${POSTGRES_PASSWORD:?set it}", "secret")
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_it_has_the_roles_and_what_they_need() -> None:
    assert set(OURS) == {"web", "scheduler", "trainer", "sampler"}
    assert {each["command"][0] for each in OURS.values()} == set(OURS)
    for name, each in COMPOSE["services"].items():
        assert set(each) <= KEYS, name
        for needed in each.get("depends_on", {}):
            assert needed in COMPOSE["services"]
        for volume in each.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_vllm_sees_what_the_processes_of_the_model_lay_out_for_it() -> None:
    settings = load_settings({}, {"LIVEDPO_DATA_DIR": "/data"})
    staged = f"staging:{settings.data_dir / STAGING}"
    for name in ("vllm", "trainer", "sampler"):
        assert staged in COMPOSE["services"][name]["volumes"]
    words = COMPOSE["services"]["vllm"]["command"]
    room = int(words[words.index("--max-loras") + 1])
    processes = sum(OURS[name]["deploy"]["replicas"] for name in ("trainer", "sampler"))
    assert room >= processes * (settings.max_staleness + 2)
    assert int(words[words.index("--max-lora-rank") + 1]) >= settings.lora_rank


@pytest.mark.parametrize("name", OURS)
def test_every_command_line_is_one_of_ours(name: str) -> None:
    first, *words = OURS[name]["command"]
    context = cli.commands[first].make_context(first, list(words))
    assert isinstance(context, click.Context)


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_of_ours(name: str) -> None:
    environment = {key: filled_in(value) for key, value in OURS[name]["environment"].items()}
    settings = load_settings({}, environment)
    assert settings.database == "postgresql+psycopg://livedpo:secret@database/livedpo"
    assert settings.versions_url == "file:///versions"
    assert (ROOT / settings.policy.removeprefix("/app/")).is_dir()
    assert settings.prompts is not None
    assert (ROOT / settings.prompts.relative_to("/app")).is_file()


@pytest.mark.parametrize("name", OURS)
def test_every_dockerfile_copies_what_is_there(name: str) -> None:
    build = OURS[name]["build"]
    lines = (ROOT / "labeler" / build["context"] / build["dockerfile"]).read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert 'ENTRYPOINT ["livedpo"]' in lines


@pytest.mark.skipif(shutil.which("nginx") is None, reason="this machine has no nginx")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    content = (
        COMPOSE["configs"]["nginx"]["content"].replace("$$", "$").replace("web:", "127.0.0.1:")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off;\n{content}\n}}"
    )
    run = ["nginx", "-t", "-c", str(file), "-p", str(tmp_path)]
    tried = subprocess.run(run, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
