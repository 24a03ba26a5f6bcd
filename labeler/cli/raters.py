"""`livedpo raters`: who may use the service. A running one follows at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from labeler.cli.options import STORE, SectionedCommand, any_store, existing_store, settings_options
from labeler.config.settings import Settings
from labeler.domain.states import RaterRole
from labeler.roles.address import is_reachable, url_of
from labeler.roles.terminal import tell

if TYPE_CHECKING:
    from labeler.store.people.accounts import Account

LINK = ("host", "port", "public_url", "tls_certificate", "tls_key")
ROLES = [role.value for role in RaterRole if role is not RaterRole.JUDGE]


@click.group()
def raters() -> None:
    """Add, list and disable the accounts of people.

    As soon as there is one, everybody has to log in.
    """


@raters.command("add", cls=SectionedCommand)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default=RaterRole.RATER.value,
    show_default=True,
    help="rater: rates pairs. reviewer: also sees the dashboard and all labels. "
    "admin: can do everything.",
)
@settings_options(*STORE, *LINK)
def add(settings: Settings, name: str, role: str) -> None:
    """Make an account; print its one-time link."""
    from labeler.store.people.accounts import LOCAL_RATER

    store = any_store(settings)
    was_open = store.raters.is_single_user()
    token = store.raters.invite(name, RaterRole(role), now=time.time())
    tell(f"'{name}' can join as {role} with this link:")
    _print_link(settings, token)
    if was_open and any(account.name == LOCAL_RATER for account in store.raters.all()):
        tell(
            "From now on everyone must log in; `livedpo raters invite local` lets the person who "
            "rated without an account keep their votes."
        )
    if not store.raters.has_admin():
        tell("There is no admin yet; `livedpo raters add NAME --role admin` adds one.")


@raters.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def list_(settings: Settings) -> None:
    """List the accounts: number, name, role, state, since when."""
    for account in existing_store(settings).raters.all():
        since = time.strftime("%Y-%m-%d", time.localtime(account.created_at))
        state = _state(account, time.time())
        tell(f"{account.id:4}  {account.name:20}  {account.role:8}  {since}  {state}")


@raters.command("disable", cls=SectionedCommand)
@click.argument("name")
@settings_options(*STORE)
def disable(settings: Settings, name: str) -> None:
    """Shut an account out at once. Its votes stay."""
    accounts = existing_store(settings).raters
    account = accounts.find(name)
    accounts.disable(account.id, now=time.time())
    tell(f"'{account.name}' is disabled and logged out everywhere; the votes stay.")


@raters.command("enable", cls=SectionedCommand)
@click.argument("name")
@settings_options(*STORE)
def enable(settings: Settings, name: str) -> None:
    """Let a disabled account in again, with the password it had."""
    accounts = existing_store(settings).raters
    account = accounts.find(name)
    accounts.enable(account.id)
    tell(f"'{account.name}' may log in again.")


@raters.command("invite", cls=SectionedCommand)
@click.argument("name")
@settings_options(*STORE, *LINK)
def invite(settings: Settings, name: str) -> None:
    """Print a new one-time link for an account.

    For a password that was forgotten or a link that was lost.
    Older links are void. `livedpo raters invite local` gives the person of a service without
    accounts a password, and keeps their votes.
    """
    accounts = existing_store(settings).raters
    account = accounts.find(name)
    token = accounts.reinvite(account.id, now=time.time())
    tell(f"'{account.name}' can set a new password with this link:")
    _print_link(settings, token)


@raters.command("key", cls=SectionedCommand)
@click.argument("name")
@click.option(
    "--for",
    "purpose",
    default="script",
    show_default=True,
    help="What the key is for, to know it by in the list of keys.",
)
@settings_options(*STORE)
def key(settings: Settings, name: str, purpose: str) -> None:
    """Print a new API key of an account.

    A program that has it may do what the account may. It is shown this once.
    """
    store = existing_store(settings)
    account = store.raters.find(name)
    made = store.keys.make(account.id, purpose, now=time.time())
    tell(f"An API key of '{account.name}', which is shown only now:")
    tell(made)
    tell(
        "Whoever has it may do what the account may, until `livedpo raters revoke`, another "
        "password or `livedpo raters disable` ends it."
    )


@raters.command("keys", cls=SectionedCommand)
@settings_options(*STORE)
def keys(settings: Settings) -> None:
    """List the API keys that are good: number, account, purpose, since when."""
    for made in existing_store(settings).keys.all():
        since = time.strftime("%Y-%m-%d", time.localtime(made.created_at))
        tell(f"{made.id:4}  {made.owner:20}  {made.name:20}  {since}")


@raters.command("revoke", cls=SectionedCommand)
@click.argument("number", type=int)
@settings_options(*STORE)
def revoke(settings: Settings, number: int) -> None:
    """End an API key at once, by its number in `livedpo raters keys`."""
    ended = existing_store(settings).keys.revoke(number, now=time.time())
    tell(f"The key '{ended.name}' of '{ended.owner}' is revoked.")


def _print_link(settings: Settings, token: str) -> None:
    """The token stands behind a #, which browsers send to nobody."""
    from labeler.store.people.accounts import INVITE_SECONDS

    tell(f"{url_of(settings)}/login#invite={token}")
    words = f"It works once, within {INVITE_SECONDS / 3600:.0f} hours, for anyone who has it."
    if not is_reachable(settings):
        words += (
            " It works on this machine only: for others, give --host or --public-url as to `serve`."
        )
    tell(words)


def _state(account: Account, now: float) -> str:
    from labeler.store.people.accounts import AccountState

    if account.state is not AccountState.INVITED:
        return account.state
    still_open = account.invite_expires_at is not None and account.invite_expires_at > now
    return "invited" if still_open else "invited (the link has expired)"
