"""Decides who comes in: one object of a server that knows people, sign-ins and the provider."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tumorseg.access import secret
from tumorseg.access.database import Database
from tumorseg.access.downloads import Downloads
from tumorseg.access.errors import UnauthenticatedError
from tumorseg.access.oidc import Claims, Verifier
from tumorseg.access.passwords import is_password
from tumorseg.access.provider import Provider
from tumorseg.access.sign_ins import SignIns
from tumorseg.access.throttle import Throttle
from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.access.users import USED_EVERY_S, Token, User, Users
from tumorseg.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

logger = logging.getLogger(__name__)
#: Sign-ins that are looked at at the same time: each holds a thread, for as long as the provider takes.
_AT_ONCE = 8
WRONG = "user name or password is wrong"


@dataclass(frozen=True)
class SignedIn:
    """A sign-in that succeeded.

    Attributes:
        who: as whom.
        token: what stands for it from now on; in no representation of this object.
        lasts_s: for how long.
    """

    who: Principal
    token: str = field(repr=False)
    lasts_s: int


class Access:
    """Who may come in to one server.

    Args:
        config: what was configured.
        exposed: whether others than this computer can reach the server.

    Raises:
        InputError: the settings of the provider cannot be used.
    """

    def __init__(self, config: AppConfig, *, exposed: bool = False) -> None:
        database = Database(config.state)
        self.users, self.sign_ins = Users(database), SignIns(database)
        self.throttle, self.downloads = Throttle(), Downloads()
        self.verifier = _verifier(config)
        self.client_id = config.oidc_client_id or config.oidc_audience
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._noted: dict[str, float] = {}
        self._lasts_s = config.signin_hours * 3600
        self._off = config.auth == "off" and not exposed
        self._required = not self._off and (config.auth == "required" or exposed or self.verifier is not None)

    @property
    def required(self) -> bool:
        """Whether people sign in. Once they must they must until the server stops, whoever is removed meanwhile."""
        if not self._off and not self._required:
            self._required = self.users.count() > 0
        return self._required

    def is_slow(self, bearer: str) -> bool:
        """Tell whether a token may need the provider or a write to the disk: not to be done in the event loop."""
        prefix = secret.prefix_of(bearer)
        if prefix is not None:
            return time.monotonic() > self._noted.get(prefix, float("-inf")) + USED_EVERY_S
        return _is_jwt(bearer) and self.verifier is not None and self.verifier.remembered(bearer) is None

    def identify(self, bearer: str | None, cookie: str | None) -> Principal | None:
        """Return who asks; None where a request says nothing of it.

        Args:
            bearer: the token of its ``Authorization`` header.
            cookie: the token of its cookie, looked at where there is no other.

        Raises:
            UnauthenticatedError: a bearer token that does not count.
            ForbiddenError: the provider's token gives no role.
            UnavailableError: the users or the provider cannot be asked.
        """
        if not self.required:
            return LOCAL
        if bearer is not None:
            return self._bearer(bearer)
        return self.sign_ins.find(cookie, "cookie") if cookie else None

    def sign_in(self, name: str, password: str, address: str, *, providers_token: bool = False) -> SignedIn:
        """Exchange a password, or a personal token in its place, for the token of a sign-in.

        Args:
            name: who they say they are.
            password: what they prove it with.
            address: where from.
            providers_token: of people whom the provider knows return its own token, as MONAI Label does.

        Raises:
            UnauthenticatedError: both are not known together; it is not said which is wrong.
            ThrottledError: too many tries failed.
            ForbiddenError: the provider knows them, but gives no role here.
            UnavailableError: the users or the provider cannot be asked, or many others sign in.
        """
        if not self._places.acquire(blocking=False):
            raise UnavailableError("many people sign in at the moment: try again", retry_after=1)
        try:
            return self._sign_in(name, password, address, providers_token)
        finally:
            self._places.release()

    def _sign_in(self, name: str, password: str, address: str, providers_token: bool) -> SignedIn:
        self.throttle.begin(name, address)
        try:
            signed = self._checked(name, password, providers_token)
        except UnauthenticatedError:
            raise
        except Exception:
            self.throttle.take_back(name, address)  # a provider that is down makes nobody a guesser
            raise
        self.throttle.succeeded(name, address)
        return signed

    def _checked(self, name: str, password: str, providers_token: bool) -> SignedIn:
        user = self.users.find(name)
        if user is None and self.verifier is not None and secret.prefix_of(password) is None:
            return self._by_provider(name, password, providers_token)
        return self._by_users(user, name, password)

    def _bearer(self, text: str) -> Principal:
        if _is_jwt(text) and self.verifier is not None:
            return self._known(text)
        who = self.sign_ins.find(text, "token")
        if who:
            return who
        found = self.users.by_token(text)
        if found is None:
            raise UnauthenticatedError("the token does not count (any more): sign in again")
        self._note_use(found[1])
        return Principal(found[0].name, found[0].role, "token")

    def _note_use(self, token: Token) -> None:
        """Keep that a token was used, once an hour; where that cannot be kept it counts all the same."""
        if time.monotonic() <= self._noted.get(token.prefix, float("-inf")) + USED_EVERY_S:
            return
        self._noted[token.prefix] = time.monotonic()
        try:
            self.users.note_use(token)
        except UnavailableError as error:
            logger.warning("when a token was used was not kept: %s", error)

    def _by_users(self, user: User | None, name: str, password: str) -> SignedIn:
        """Check a password or a personal token; every way to be wrong takes as long and says the same."""
        right = is_password(user.password if user and user.active else None, password)
        found = self.users.by_token(password)
        token = (
            found[1] if found and hmac.compare_digest(found[0].name.lower().encode(), name.lower().encode()) else None
        )
        if user is None or not (right or token):
            raise UnauthenticatedError(WRONG)
        lasts = self._lasts_s
        if token and token.expires is not None:
            lasts = min(lasts, max(1, token.expires - self.users.now()))
        who = Principal(user.name, user.role, "token")
        text = self.sign_ins.open(who, lasts, user=user.name, token=token.id if token else None)
        return SignedIn(who, text, lasts)

    def _by_provider(self, name: str, password: str, providers_token: bool) -> SignedIn:
        """Ask the provider. For browsers a sign-in of ours is kept: its own tokens often count for minutes only."""
        assert self.verifier is not None
        said = self.verifier.provider.password_grant(self.client_id, name, password)
        token = str(said["access_token"])
        who = self._known(token)
        if providers_token:
            lasts = said.get("expires_in")
            return SignedIn(who, token, lasts if isinstance(lasts, int) else 60)
        return SignedIn(who, self.sign_ins.open(who, self._lasts_s), self._lasts_s)

    def _known(self, token: str) -> Principal:
        """Return whose a provider's token is; nobody of theirs may go by the name of a user of ours."""
        assert self.verifier is not None
        who = self.verifier.principal(token)
        if self.users.find(who.name) is not None:
            raise UnauthenticatedError(f"the provider's {who.name!r} has the name of a user of this server")
        return who


def _is_jwt(text: str) -> bool:
    return text.count(".") == 2


def _verifier(config: AppConfig) -> Verifier | None:
    if not config.oidc_issuer:
        return None
    roles = {value: Role.parse(role) for value, role in config.oidc_roles.items()}
    if not roles:
        raise InputError("expected oidc_roles to give at least one role, got none: nobody could come in")
    claims = Claims(config.oidc_audience, config.oidc_name_claim, config.oidc_role_claim, roles)
    return Verifier(Provider(config.oidc_issuer), claims)
