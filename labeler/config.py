"""Settings: one frozen object from defaults, the policy's own file, TOML, environment and flags.

Later sources win, in that order. Every field is a flag (`--labels-per-update`), a TOML key
(`labels_per_update`) and an environment variable (`LIVEDPO_LABELS_PER_UPDATE`). A policy folder may
carry a `livedpo.toml` with the fields of `OWNED_BY_POLICY`: what suits a 2M-parameter starter would
break an 8B model, so such values travel with the weights.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labeler.errors import BadInput

ROOT = Path(__file__).resolve().parent.parent
STARTER_POLICY = ROOT / "data" / "starter" / "policy"
STARTER_PROMPTS = ROOT / "data" / "prompts.jsonl"
POLICY_FILE = "livedpo.toml"
PREFIX = "LIVEDPO_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


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

    labels_per_update: int = Field(
        16, ge=1, description="Fresh labels that start an update of the policy."
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

    beta: float = Field(0.1, gt=0, description="DPO beta: how strongly to stay at the reference.")
    learning_rate: float = Field(1e-5, gt=0, lt=1, description="AdamW learning rate.")
    passes: int = Field(2, ge=1, description="Passes over the labels of one update.")
    batch_pairs: int = Field(8, ge=1, description="Pairs in one optimiser step.")
    lora_rank: int = Field(16, ge=1, description="Rank of the LoRA adapter.")
    lora_alpha: float = Field(
        32.0, gt=0, description="LoRA alpha: the adapter is scaled by alpha/rank."
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient norm is clipped to this.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of sampling and training.")

    device: str = Field("auto", description="Torch device: auto, cpu, cuda, cuda:1, mps.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Weights of the frozen base. auto: float32 on a CPU, else bfloat16."
    )
    threads: int = Field(
        0, ge=0, description="Torch threads of the worker; 0: all cores but one, for the page."
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


OWNED_BY_POLICY = frozenset(
    {
        "temperature",
        "top_p",
        "max_new_tokens",
        "beta",
        "learning_rate",
        "passes",
        "batch_pairs",
        "lora_rank",
        "lora_alpha",
        "max_grad_norm",
        "labels_per_update",
    }
)

SECTIONS: dict[str, tuple[str, ...]] = {
    "What to tune": ("policy", "prompts"),
    "Where": ("data_dir", "database", "host", "port"),
    "The loop": (
        "labels_per_update",
        "cooldown_seconds",
        "queue_pairs",
        "lease_seconds",
        "max_staleness",
    ),
    "Sampling (a policy's own livedpo.toml may set these, as the starter's does)": (
        "temperature",
        "top_p",
        "max_new_tokens",
    ),
    "Training (likewise)": (
        "beta",
        "learning_rate",
        "passes",
        "batch_pairs",
        "lora_rank",
        "lora_alpha",
        "max_grad_norm",
        "seed",
    ),
    "Machine": ("device", "dtype", "threads"),
}


def load_settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None = None
) -> Settings:
    """Merge all sources and validate. Raises BadInput with one sentence that names the value."""
    environment = _from_environment(environ)
    given = {name: value for name, value in flags.items() if value is not None}
    if config is None and "config" in environment:
        config = Path(environment["config"])
    environment.pop("config", None)
    chosen: dict[str, Any] = _from_toml(config) if config else {}
    chosen |= environment
    chosen |= given
    policy = str(chosen.get("policy", STARTER_POLICY))
    return _validated(_from_policy(policy) | chosen)


def refuse_open_host(settings: Settings) -> None:
    """Raise BadInput for a host that others can reach: there are no accounts to keep them out."""
    if not settings.is_loopback:
        raise BadInput(
            f"The host '{settings.host}' can be reached by others, and there are no accounts yet "
            "to keep them out; use --host 127.0.0.1."
        )


def as_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that make `load_settings` give these settings again."""
    values = settings.model_dump(mode="json", exclude_none=True)
    return {PREFIX + name.upper(): str(value) for name, value in values.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(PREFIX) and value
    }
    for name in found:
        if name not in Settings.model_fields and name != "config":
            raise BadInput(f"{_unknown(PREFIX + name.upper())} Unset it, or mend its name.")
    return found


def _from_toml(path: Path) -> dict[str, Any]:
    values = _read_toml(path)
    for name in values:
        if name not in Settings.model_fields:
            raise BadInput(f"{_unknown(name)} It stands in {path}.")
    return values


def _from_policy(policy: str) -> dict[str, Any]:
    path = Path(policy) / POLICY_FILE
    if not path.is_file():
        return {}
    values = _read_toml(path)
    for name in values:
        if name not in OWNED_BY_POLICY:
            raise BadInput(
                f"{path} may not set '{name}', only {', '.join(sorted(OWNED_BY_POLICY))}."
            )
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The settings file {path} is not valid TOML: {error}.") from error


def _unknown(name: str) -> str:
    return f"There is no setting '{name}'; `livedpo serve --help` lists them."


def _validated(values: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise BadInput(f"'{name}' cannot be {first['input']!r}: {reason}.") from error
