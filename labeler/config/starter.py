"""Where what is shipped lies: a small policy, a reward model, and prompts to begin with.

The weights of SmolLM2 are not shipped; its folder holds what goes with them.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTER_POLICY = ROOT / "data" / "starter" / "policy"
STARTER_REWARD = ROOT / "data" / "starter" / "reward"
STARTER_PROMPTS = ROOT / "data" / "prompts.jsonl"
HINTS = ROOT / "data" / "hints.txt"
SMOLLM2_FOLDER = ROOT / "data" / "smollm2"
