"""What a screen reader or a weak eye stumbles over on a page."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
ALL_RULES = {"resultTypes": ["violations"]}
COLOURS = ALL_RULES | {"runOnly": ["color-contrast"]}


def faults(page: Page, options: dict[str, list[str]] = ALL_RULES) -> list[str]:
    """What axe-core calls serious or critical, with where it is."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("(options) => axe.run(options).then((all) => all.violations)", options)
    return [
        f"{violation['id']} at {node['target']}: {node.get('failureSummary', '')}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def faults_by_scheme(page: Page) -> dict[str, list[str]]:
    """The faults of the page in light and dark, where it has any. The schemes differ in colours."""
    found = {}
    for scheme, options in (("dark", COLOURS), ("light", ALL_RULES)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found[scheme] = faults(page, options)
    return {scheme: told for scheme, told in found.items() if told}
