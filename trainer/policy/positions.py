"""The rotary positions in a model folder's config.json, for programs that know older names."""

import json
from pathlib import Path

CONFIG = "config.json"
BY_NAME = ("rope_theta", "partial_rotary_factor")


def name_positions(folder: Path) -> None:
    """Write the names that transformers 4 had for them beside those of transformers 5.

    mlx-lm and transformers 4 know no `rope_parameters`, and take a default without a word where
    `rope_theta` is not there. Positions that differ by kind of layer stay as they are.
    """
    file = folder / CONFIG
    config = json.loads(file.read_text(encoding="utf-8"))
    positions = config.get("rope_parameters")
    if not positions or "rope_type" not in positions:
        return
    config |= {name: positions[name] for name in BY_NAME if name in positions}
    if positions["rope_type"] != "default":
        config["rope_scaling"] = positions
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
