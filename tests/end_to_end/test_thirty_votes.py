from pathlib import Path

from playwright.sync_api import Browser

from tests.support.service import WARM
from tests.support.thirty_votes import rate_thirty


def test_thirty_votes_by_keyboard_survive_a_killed_server_and_a_lost_network(
    tmp_path: Path, browser: Browser
) -> None:
    context = browser.new_context(reduced_motion="reduce")
    short = {"max_new_tokens": 32, "gate_prompts": 4, "program": WARM}
    assert rate_thirty(context, tmp_path / "run", offline_seconds=0.0, **short) == []
    context.close()
