"""The routes that an admin keeps the accounts with. `labeler.web.door.access` says who may."""

import time
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.body import Body, NoBody
from labeler.web.door.person import Id

MAX_TYPED_CHARS = 200  # the store says how long a name may be, in a sentence

Role = Literal["rater", "reviewer", "admin"]


class InviteBody(Body):
    """A new account."""

    name: str = Field(max_length=MAX_TYPED_CHARS)
    role: Role = "rater"


class RoleBody(Body):
    """An account's new role."""

    role: Role


def people_routes(store: Store) -> APIRouter:
    """The routes. A link's token is in the one answer that made it, and nowhere else."""
    routes = APIRouter(prefix="/people")

    @routes.get("")
    def people() -> dict[str, Any]:
        return {"people": [vars(account) for account in store.raters.all()]}

    @routes.post("")
    def invite(body: InviteBody) -> dict[str, Any]:
        if store.raters.is_single_user() and RaterRole(body.role) is not RaterRole.ADMIN:
            raise BadInput(
                "The first account must be an admin's: from then on everyone has to log in, "
                "including you."
            )
        return {"token": store.raters.invite(body.name, RaterRole(body.role), now=time.time())}

    @routes.post("/{rater_id}/invite")
    def reinvite(rater_id: Id, body: NoBody) -> dict[str, Any]:
        return {"token": store.raters.reinvite(rater_id, now=time.time())}

    @routes.post("/{rater_id}/disable")
    def disable(rater_id: Id, body: NoBody) -> dict[str, Any]:
        store.raters.disable(rater_id, now=time.time())
        return people()

    @routes.post("/{rater_id}/enable")
    def enable(rater_id: Id, body: NoBody) -> dict[str, Any]:
        store.raters.enable(rater_id)
        return people()

    @routes.post("/{rater_id}/role")
    def role(rater_id: Id, body: RoleBody) -> dict[str, Any]:
        store.raters.set_role(rater_id, RaterRole(body.role))
        return people()

    return routes
