"""Who may do what: one table of every route. What is not in it is not there.

A rule is `METHOD pattern`, where `{name}` is one part of a path and a `*` at the end is the rest of
it. HEAD is asked for as GET is. The door (`labeler.web.door.security`) looks here before any route
runs, and a test compares the table with the routes that the app has.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from labeler.domain.states import RaterRole

RANKS = {RaterRole.RATER: 1, RaterRole.REVIEWER: 2, RaterRole.ADMIN: 3}
MIN_ROLE = {
    RaterRole.RATER: "rater",
    RaterRole.REVIEWER: "reviewer or admin",
    RaterRole.ADMIN: "admin",
}
RATER, REVIEWER, ADMIN = RaterRole.RATER, RaterRole.REVIEWER, RaterRole.ADMIN
EVERYBODY = None

_PART = re.compile(r"\\\{\w+\\\}")
_ODD = re.compile(r"//|\\|[\x00-\x1f\x7f]|/\.\.?(?:/|$)")


@dataclass(frozen=True)
class Rule:
    """Who may ask for a path: from the role `least` on (None: everybody). `is_page`: a document.

    Who may not is sent to the login from a page, and gets a sentence as JSON elsewhere.
    `by_token`: so may a program that has the token of the settings. `by_key`: so may one with an
    API key, as its account may.
    """

    method: str
    pattern: str
    least: RaterRole | None
    is_page: bool = False
    by_token: bool = False
    by_key: bool = False

    def fits(self, path: str) -> bool:
        """Whether a path is of this rule."""
        return self._expression.fullmatch(path) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        whole = _PART.sub("[^/]+", re.escape(self.pattern.removesuffix("*")))
        return re.compile(whole + (".+" if self.pattern.endswith("*") else ""))


RULES = (
    Rule("GET", "/login", EVERYBODY, is_page=True),
    Rule("POST", "/door/login", EVERYBODY),
    Rule("POST", "/door/accept", EVERYBODY),
    Rule("GET", "/page/*", EVERYBODY),
    Rule("GET", "/", RATER, is_page=True),
    Rule("GET", "/door/me", RATER),
    Rule("POST", "/door/logout", RATER),
    Rule("POST", "/door/password", RATER),
    Rule("POST", "/rating/pairs", RATER),
    Rule("POST", "/rating/votes", RATER),
    Rule("POST", "/rating/undo", RATER),
    Rule("POST", "/rating/reasons", RATER),
    Rule("GET", "/rating/guidelines", RATER),
    Rule("GET", "/rating/state", RATER),
    Rule("GET", "/rating/history", RATER),
    Rule("GET", "/rating/changes", RATER),
    Rule("GET", "/rating/follow-up", RATER),
    Rule("POST", "/rating/follow-up/seen", RATER),
    Rule("POST", "/rating/asks", RATER),
    Rule("GET", "/rating/asks/{id}", RATER),
    Rule("GET", "/dashboard", REVIEWER, is_page=True),
    Rule("GET", "/dashboard/figures", REVIEWER),
    Rule("GET", "/dashboard/trust", REVIEWER),
    Rule("GET", "/metrics", REVIEWER, by_token=True),
    Rule("GET", "/labels", REVIEWER, is_page=True),
    Rule("GET", "/labels/pairs", REVIEWER),
    Rule("GET", "/labels/pairs/{id}", REVIEWER),
    Rule("POST", "/labels/pairs/{id}/aside", REVIEWER),
    Rule("POST", "/versions/{id}/promote", ADMIN),
    Rule("POST", "/versions/{id}/reject", ADMIN),
    Rule("POST", "/versions/rollback", ADMIN),
    Rule("GET", "/people", ADMIN),
    Rule("POST", "/people", ADMIN),
    Rule("POST", "/people/{id}/disable", ADMIN),
    Rule("POST", "/people/{id}/enable", ADMIN),
    Rule("POST", "/people/{id}/invite", ADMIN),
    Rule("POST", "/people/{id}/role", ADMIN),
    Rule("GET", "/export/{format}", ADMIN, by_key=True),
    # The endpoints for programs: what each may do is for its handler to say.
    Rule("GET", "/config", RATER, by_key=True),
    Rule("GET", "/gradio_api/info", RATER, by_key=True),
    Rule("POST", "/gradio_api/queue/join", RATER, by_key=True),
    Rule("GET", "/gradio_api/queue/data", RATER, by_key=True),
)


def rules_of(path: str) -> tuple[Rule, ...]:
    """The rules of a path, one a method at most; none if there is nothing at this address."""
    if _ODD.search(path):
        return ()
    return tuple(rule for rule in RULES if rule.fits(path))


def may(rule: Rule, role: RaterRole | None) -> bool:
    """Whether someone of this role may; None is somebody who is not logged in.

    A judge's account may no more than they.
    """
    if rule.least is None:
        return True
    return role is not None and RANKS.get(role, 0) >= RANKS[rule.least]
