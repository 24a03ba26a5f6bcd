"""What a screen reader or a weak eye stumbles over on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
ALL_RULES = {"resultTypes": ["violations"]}
COLOURS = ALL_RULES | {"runOnly": ["color-contrast"]}


def faults(page: Page, options: dict[str, list[str]] = ALL_RULES) -> list[str]:
    """What axe-core calls serious or critical, with where it is."""
    found = Axe().run(page, options=options).response["violations"]
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
