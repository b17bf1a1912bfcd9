"""``tumorseg user``: who may come in to a server, and what they may do. A running server knows it at once."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.options import Json
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.access.users import Token, User, Users

app = typer.Typer(no_args_is_help=True, help="Say who may sign in to a server, and what they may do.")

#: Where scripts may put a password instead of typing it; on a command line others could read it.
PASSWORD_VARIABLE = "TUMORSEG_PASSWORD"
_ROLES = "[bold]viewer[/bold] looks, [bold]annotator[/bold] segments and labels, [bold]reviewer[/bold] also approves "
_ROLES += "and removes labels, [bold]admin[/bold] may do everything."

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's name, as labels keep it.", show_default=False)]
RoleOption = Annotated[str, typer.Option("--role", "-r", metavar="ROLE", help=_ROLES, show_default=False)]
Days = Annotated[
    int | None,
    typer.Option(
        "--days", min=1, max=3660, metavar="N", help="The token counts for so many days.", show_default="for ever"
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Also where no administrator remains.")]
State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="State folder of the server, as its option says.", show_default=False)
]


@app.command()
def add(
    name: Name,
    role: RoleOption,
    password: Annotated[
        bool,
        typer.Option(
            "--password", help=f"Also set a password: typed, piped in, or from {PASSWORD_VARIABLE}; never an argument."
        ),
    ] = False,
    token: Annotated[bool, typer.Option("--token/--no-token", help="Make a personal token and print it.")] = True,
    days: Days = None,
    state: State = None,
) -> None:
    """Add somebody; prints their personal token, this once.

    In Slicer and on the sign-in page the token is typed as the password, programs send it as
    [bold]Authorization: Bearer[/bold].

    [bold]Example[/bold]

        tumorseg user add ann --role annotator --days 90
    """
    from tumorseg.access.types import Role

    if not password and not token:
        raise InputError("expected a token or --password: with neither nobody can sign in")
    users = _users(state)
    user = users.add(name, Role.parse(role), _typed() if password else None)
    _record(state, "user.add", user.name, role=user.role.title)
    note(f"added {user.name} ({user.role.title})")
    if token:
        _print_token(users, user.name, days, state)


@app.command("list")
def list_(state: State = None, as_json: Json = False) -> None:
    """List everybody, with their tokens by their beginnings; the tokens themselves are not kept."""
    users = _users(state)
    people = [(user, users.tokens(user.name)) for user in users.all()]
    if as_json:
        print_json({"users": [_described(user, tokens) for user, tokens in people]})
        return
    if not people:
        note("nobody yet: add somebody by `tumorseg user add NAME --role admin`")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "role", "may come in", "password", "tokens")
    for user, tokens in people:
        listed = "\n".join(_token_line(token, users.now()) for token in tokens)
        cells = (user.name, user.role.title, "yes" if user.active else "no", "yes" if user.password else "no", listed)
        table.add_row(*map(Text, cells))
    print_table(table)


@app.command()
def role(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="ROLE", help=_ROLES, show_default=False)],
    force: Force = False,
    state: State = None,
) -> None:
    """Change what somebody may do."""
    from tumorseg.access.types import Role

    parsed = Role.parse(new)
    _users(state).set_role(name, parsed, force=force)
    _record(state, "user.role", name, role=parsed.title)
    note(f"{name} is {parsed.title} now")


@app.command()
def password(name: Name, state: State = None) -> None:
    """Set a password: typed, piped in, or from the environment; sign-ins with the old one end."""
    _users(state).get(name)
    _users(state).set_password(name, _typed())
    _record(state, "user.password", name)
    note(f"{name} has a new password")


@app.command()
def token(name: Name, days: Days = None, state: State = None) -> None:
    """Make a further personal token and print it, this once."""
    _print_token(_users(state), name, days, state)


@app.command()
def revoke(
    name: Name,
    prefix: Annotated[
        str | None,
        typer.Argument(metavar="TOKEN", help="The token's beginning, as `list` shows it.", show_default="all"),
    ] = None,
    state: State = None,
) -> None:
    """Make a token count no more, or all of somebody's; sign-ins made with it end."""
    gone = _users(state).revoke(name, prefix)
    _record(state, "token.revoke", name, tokens=gone)
    note(f"{gone} token{'' if gone == 1 else 's'} of {name} no longer count{'s' if gone == 1 else ''}")


@app.command()
def disable(name: Name, force: Force = False, state: State = None) -> None:
    """Let somebody in no longer; their name and what they did stay known. Rather this than remove."""
    _users(state).set_active(name, False, force=force)
    _record(state, "user.disable", name)
    note(f"{name} may not come in any more")


@app.command()
def enable(name: Name, state: State = None) -> None:
    """Let somebody in again."""
    _users(state).set_active(name, True)
    _record(state, "user.enable", name)
    note(f"{name} may come in again")


@app.command()
def remove(name: Name, force: Force = False, state: State = None) -> None:
    """Forget somebody with their tokens; their labels keep the name, so give it to nobody else."""
    _users(state).remove(name, force=force)
    _record(state, "user.remove", name)
    note(f"{name} is removed")


def _users(state: Path | None) -> Users:
    from tumorseg.access.users import Users

    return Users(_folder(state))


def _folder(state: Path | None) -> Path:
    from tumorseg.config import state_folder

    return state.expanduser().resolve() if state else state_folder()


def _typed() -> str:
    """Return a new password from the environment, a pipe or the keyboard."""
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("New password: ")
    if getpass.getpass("Once more: ") != first:
        raise InputError("the two passwords differ: nothing was changed")
    return first


def _print_token(users: Users, name: str, days: int | None, state: Path | None) -> None:
    made = users.new_token(name, days)
    _record(state, "token.add", name, token=made.prefix)
    note("their personal token, shown this once:")
    typer.echo(made.text)


def _record(state: Path | None, action: str, user: str, **detail: Any) -> None:
    """Keep in the audit log who changed what about people."""
    from tumorseg.audit.log import AuditLog

    log = AuditLog(_folder(state) / "audit")
    try:
        log.record(getpass.getuser(), "", action, detail={"user": user, **detail}, how="cli")
    finally:
        log.close()


def _described(user: User, tokens: list[Token]) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role.title,
        "active": user.active,
        "created": user.created,
        "password": user.password is not None,
        "tokens": [{"prefix": t.prefix, "created": t.created, "expires": t.expires, "used": t.used} for t in tokens],
    }


def _token_line(token: Token, now: int) -> str:
    from datetime import UTC, datetime

    def day(moment: int) -> str:
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"

    ends = "" if token.expires is None else f", {'expired' if token.expires <= now else 'until'} {day(token.expires)}"
    used = "never used" if token.used is None else f"used {day(token.used)}"
    return f"{token.prefix}: {used}{ends}"
