"""An update of SmolLM2 beside TRL's DPOTrainer: its speed, and its memory above the model."""

from tests.benchmarks import trl_update
from tests.benchmarks.real.rows import Row, absent


def compare(pairs: int, rounds: int, *, batches: tuple[int, ...], threads: int) -> dict[str, Row]:
    """Both rows. TRL is tried at these micro-batches, in float32 and in bfloat16."""
    missing = absent("trl")
    if missing:
        return {"update_vs_trl": missing, "update_memory_vs_trl": missing}
    found = trl_update.compare("smollm2", pairs, rounds, threads, batches)
    rows = {}
    for name, ratios in (("update_vs_trl", "speed"), ("update_memory_vs_trl", "memory")):
        low, middle, high = found[f"{ratios}_ratio"]
        rows[name] = {"ratio": middle, "low": low, "high": high, "rounds": found["rounds"]}
        rows[name] |= {"peer": found["best_of_trl"]}
    rows["update_vs_trl"] |= {key: found[key] for key in ("share_of_limit", "profile", "runs")}
    return rows
