"""The consumers' own page: ``/my``. Who logs in at the tenant's provider sees its keys, and claims them."""

from __future__ import annotations

import hmac
from typing import Final

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, redirect, request, session

from app.access.errors import TenantMissing
from app.access.login import Login, LoginBusy, LoginFailed
from app.access.login_provider import LoginProviderMissing, get_login_provider
from app.access.tenants import get_tenant
from app.claiming.failures import failed
from app.claiming.forms import read_field
from app.claiming.handover import hand_over
from app.claiming.holdings import UserNameKey, consumers_named, is_own, own_keys
from app.claiming.pages import message, page, secured
from app.claiming.sessions import (
    PATH,
    AccessWithdrawn,
    Session,
    SessionOver,
    begin_session,
    current_session,
    prepare_sessions,
    require_living,
    require_present,
)
from app.keys.lifecycle import BY_CONSUMER, KeyNotClaimable, KeyUnknown, Minting
from app.ledger.events import Event, record
from app.store.tables import login_provider
from app.store.unit_of_work import Store


class ForgedForm(Exception):
    """A form does not repeat what its page was given: it may come from another site."""


class ConsumerFace:
    """The handlers. Each request asks the directory anew, so a deactivation ends what it can see at once."""

    def __init__(
        self, store: Store, minting: Minting, login: Login, *, root_url: str, user_name_key: UserNameKey
    ) -> None:
        self.store = store
        self.minting = minting
        self.login = login
        self.root_url = root_url
        self.user_name_key = user_name_key

    def init_app(self, flask: Flask) -> None:
        """Add the face to an application, and sessions."""
        prepare_sessions(flask, self.minting.peppers, self.root_url)
        own = Blueprint("consumer", __name__, url_prefix=PATH, template_folder="templates")
        for rule, method, view in (
            ("/keys", "GET", self.show_keys),
            ("/keys/<key_id>/claim", "POST", self.claim),
            ("/login", "GET", self.choose),
            ("/login/<organisation>", "GET", self.send),
            ("/logged-in/<tenant_id>", "GET", self.receive),
            ("/logout", "POST", self.log_out),
        ):
            own.add_url_rule(rule, view.__name__, view, methods=[method])
        own.register_error_handler(Exception, self._refused)
        flask.register_blueprint(own)

    def show_keys(self) -> Response:
        try:
            found = current_session()
        except SessionOver:
            return self.choose()
        with self.store.reading(found.tenant_id) as unit:
            holder = require_living(unit, found)
            keys = own_keys(unit, holder.id)
            begins = holder.access_starts_at
            starts_at = begins if begins is not None and begins > unit.now else None
        return page(
            "keys",
            keys=keys,
            user_name=holder.user_name,
            starts_at=starts_at,
            csrf=found.csrf,
            root=self.root_url,
        )

    def claim(self, key_id: str) -> Response:
        """Hand the secret of one of the consumer's own keys out, once."""
        found = self._posted()
        with self.store.writing(found.tenant_id, actor=f"consumer:{found.consumer_id}") as unit:
            require_living(unit, found)
            if "\0" in key_id or not is_own(unit, found.consumer_id, key_id):
                raise KeyUnknown(key_id)
            secret = hand_over(unit, key_id, self.minting, by=BY_CONSUMER)
        back = self._back()
        return page(
            "secret",
            secret=secret.text,
            key_id=key_id,
            onward=back["onward"],
            onward_text=back["onward_text"],
        )

    def choose(self) -> Response:
        """Ask for the organisation, unless there is only one in which anybody can log in."""
        asked = request.args.get("organisation", "")
        if asked:
            return self._offer(self._tenant(asked))
        with self.store.engine.connect() as connection:
            tenants = connection.execute(sa.select(login_provider.c.tenant_id).limit(2)).scalars().all()
        if len(tenants) == 1:
            return self._offer(tenants[0])
        return page("login", action=f"{self.root_url}{PATH}/login")

    def send(self, organisation: str) -> Response:
        """Send somebody to the provider of an organisation."""
        tenant_id = self._tenant(organisation)
        with self.store.reading(tenant_id) as unit:
            provider = get_login_provider(unit)
        session.clear()
        session.permanent = True
        return secured(self.login.send(provider, redirect_uri(self.root_url, tenant_id)))

    def receive(self, tenant_id: str) -> Response:
        """Log somebody in whom the provider has sent back."""
        with self.store.reading(self._tenant(tenant_id)) as unit:
            provider = get_login_provider(unit)
        claims = self.login.receive(provider)
        session.clear()
        named = provider.named(claims)
        if named is None:
            raise LoginFailed("The provider did not say by which name your organisation knows you.")
        with self.store.reading(provider.tenant_id) as unit:
            consumers = consumers_named(unit, provider.attribute, named, self.user_name_key)
        if len(consumers) != 1:
            raise LoginFailed(
                "Your organisation's directory has no account for you here. Ask whoever keeps it."
                if not consumers
                else "Several accounts fit you, so none of them is opened. Ask whoever keeps the directory."
            )
        with self.store.writing(provider.tenant_id, actor=f"consumer:{consumers[0]}") as unit:
            if get_login_provider(unit).id != provider.id:
                raise SessionOver("The login of your organisation was changed. Log in again.")
            holder = require_present(unit, consumers[0])
            data = {"issuer": provider.issuer}
            record(unit, [Event("consumer.signed_in", f"User/{holder.id}", data)])
        begin_session(unit, provider, holder.id)
        return secured(_to(f"{self.root_url}{PATH}/keys"))

    def log_out(self) -> Response:
        self._posted()
        session.clear()
        return message(
            200,
            "You are logged out",
            "You may still be logged in at your organisation.",
            **self._again(),
        )

    def _posted(self) -> Session:
        """Return the session of a form that its own page has sent."""
        found = current_session()
        if not hmac.compare_digest(read_field("csrf").encode(), found.csrf.encode()):
            raise ForgedForm
        return found

    def _tenant(self, name_or_id: str) -> str:
        if "\0" in name_or_id:  # no tenant has such a name, and PostgreSQL does not even let one ask
            raise TenantMissing
        return get_tenant(self.store, name_or_id).id

    def _offer(self, tenant_id: str) -> Response:
        with self.store.reading(tenant_id) as unit:
            provider = get_login_provider(unit)
        return message(
            200,
            "Log in",
            "To see your keys, log in as you do at your organisation.",
            onward=f"{self.root_url}{PATH}/login/{tenant_id}",
            onward_text=f"Log in at {provider.issuer}",
        )

    def _refused(self, error: Exception) -> Response:
        match error:
            case AccessWithdrawn():
                session.clear()
                return message(403, "You have no access", str(error), "Your keys do not work.")
            case SessionOver():
                session.clear()
                return message(401, "Log in", str(error), **self._again())
            case ForgedForm():
                return message(403, "Nothing was done", "This form is not from your page.", **self._back())
            case TenantMissing() | LoginProviderMissing():
                return message(404, "No login", "There is no login for an organisation of this name.")
            case LoginFailed():
                session.clear()
                return message(403, "You are not logged in", str(error), **self._again())
            case LoginBusy():
                return message(503, "Try it again in a moment", "Too many people are just logging in.")
            case KeyUnknown():
                return message(404, "There is no such key", "You have no key of this name.", **self._back())
            case KeyNotClaimable():
                said = str(error)
                return message(
                    409, "The key cannot be shown", f"{said[:1].upper()}{said[1:]}.", **self._back()
                )
            case _:
                return failed(error)

    def _back(self) -> dict[str, str]:
        return {"onward": f"{self.root_url}{PATH}/keys", "onward_text": "Your keys"}

    def _again(self) -> dict[str, str]:
        return {"onward": f"{self.root_url}{PATH}/login", "onward_text": "Log in"}


def redirect_uri(root_url: str, tenant_id: str) -> str:
    """Return where a tenant's provider sends people back to. Each has one of its own (RFC 9700 §4.4.2.2)."""
    return f"{root_url}{PATH}/logged-in/{tenant_id}"


_SEE_OTHER: Final = 303


def _to(address: str) -> Response:
    answer = redirect(address, _SEE_OTHER)
    assert isinstance(answer, Response)
    return answer
