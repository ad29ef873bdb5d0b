"""Who gets in, and what they may do: visitors sign in at an OpenID provider where the host has configured one.

The host writes two sections, into Streamlit's secrets file or as TOML into ``EXPLORER_SIGN_IN``: ``[auth]`` as
Streamlit reads it, and ``[access]`` with the addresses of those who may enter. Half a configuration is an error; none
means that everyone who reaches the server may do all.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import streamlit as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from streamlit.errors import StreamlitSecretNotFoundError

from explorer.data.text import in_markdown
from explorer.errors import UserError

Role = Literal["viewer", "annotator", "owner"]
"""A viewer looks; an annotator also marks and reviews; an owner also builds the demo."""

SIGN_IN = "EXPLORER_SIGN_IN"
READ_ONLY = "EXPLORER_READONLY"
LONGEST_ADDRESS = 100
"""Characters: an annotator's name is no longer."""
GUIDE = "docs/hosting.md shows a whole configuration."
SECRETS = f"The sign-in ({SIGN_IN}, or .streamlit/secrets.toml)"


def _entry(text: str) -> str:
    entry = text.strip().lower()
    name, at, domain = entry.rpartition("@")
    if not at or not domain or "@" in name or any(letter.isspace() or letter in "*," for letter in entry):
        raise ValueError(f"{text!r} is neither an address (ann@example.org) nor a domain (@example.org)")
    return entry


Entry = Annotated[str, AfterValidator(_entry)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Access(_Strict):
    """Addresses, or domains that begin with ``@``, by role; of several roles the highest counts."""

    viewers: tuple[Entry, ...] = ()
    annotators: tuple[Entry, ...] = ()
    owners: tuple[Entry, ...] = ()
    trust_addresses: bool = Field(
        default=False, description="the provider gives out addresses itself, and therefore does not say it checked them"
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Access:
        if not (self.viewers or self.annotators or self.owners):
            raise ValueError("no viewers, annotators or owners: nobody could enter")
        return self

    def role(self, claims: Mapping[str, Any]) -> Role | None:
        """What a visitor with these claims of the provider may do; None where they may not enter."""
        address = claims.get("email")
        if not isinstance(address, str) or len(address) > LONGEST_ADDRESS:
            return None
        checked = self.trust_addresses or claims.get("email_verified") in (True, "true")
        if claims.get("is_logged_in") is not True or not checked:
            return None
        name, _, domain = address.lower().rpartition("@")
        if not name:
            return None
        named = {f"{name}@{domain}", f"@{domain}"}
        roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
            ("owner", self.owners),
            ("annotator", self.annotators),
            ("viewer", self.viewers),
        )
        return next((role for role, entries in roles if named & set(entries)), None)


class _Provider(_Strict):
    """The keys of ``[auth]``: one provider."""

    redirect_uri: str = Field(pattern=r"^https?://[^/{}]+/([^?#{}]*/)?oauth2callback$")
    cookie_secret: str = Field(min_length=32)
    client_id: str = Field(min_length=1)
    client_secret: str = Field(min_length=1)
    server_metadata_url: str = Field(pattern=r"^https?://")
    client_kwargs: dict[str, Any] = {}
    expose_tokens: tuple[Literal["id"], ...] | Literal["id"] = ()


class _Configuration(BaseModel):
    auth: _Provider
    access: Access


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page: their address, empty where nobody signs in, and their role."""

    address: str
    role: Role

    @property
    def may_mark(self) -> bool:
        return self.role != "viewer"


_serves = True


def serve_nobody() -> None:
    """Say that this process serves no visitors, as the one that writes a report: it needs no sign-in."""
    global _serves
    _serves = False
    access.cache_clear()


@functools.cache
def access() -> Access | None:
    """Who may enter, as configured when the server started; None where no sign-in is configured.

    Raises
    ------
    UserError
        Where the configuration is incomplete or wrong: then nobody enters.
    """
    if not _serves:
        return None
    secrets = {**_file_secrets(), **environment_secrets()}
    given = {name: secrets[name] for name in ("auth", "access") if name in secrets}
    if not given:
        return None
    try:
        configuration = _Configuration.model_validate(given)
    except ValidationError as error:
        # the message alone: the error itself quotes the secrets
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise UserError(f"{SECRETS} is not complete or not right: {'; '.join(problems)}.", GUIDE) from None
    if missing := [name for name in ("authlib", "httpx") if importlib.util.find_spec(name) is None]:
        raise UserError(f"Signing in needs {' and '.join(missing)}.", "Run python -m pip install -r requirements.txt.")
    if st.get_option("server.trustedUserHeaders"):
        raise UserError(
            "server.trustedUserHeaders is set: a header would stand in place of who signed in.", "Take it away."
        )
    return configuration.access


def environment_secrets() -> dict[str, Any]:
    """The secrets that ``EXPLORER_SIGN_IN`` holds."""
    text = os.environ.get(SIGN_IN, "")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise UserError(f"{SIGN_IN} is not TOML.", GUIDE) from None


def _file_secrets() -> dict[str, Any]:
    try:
        return st.secrets.to_dict()
    except StreamlitSecretNotFoundError as error:
        if error.error_id == "no-secrets-found":
            return {}
        raise UserError("The secrets file is not TOML, or not where it should be.", f"Correct it. {GUIDE}") from None
    except OSError as error:
        raise UserError(f"The secrets file cannot be read: {error.strerror}.", "Let the server read it.") from None


def visitor() -> Visitor | None:
    """Who runs this script, and what they may do; None where they have to sign in, or may not enter.

    ``EXPLORER_READONLY=1`` makes everyone a viewer.
    """
    configured = access()
    role: Role | None = "owner" if configured is None else configured.role(st.user.to_dict())
    if role is None:
        return None
    address = "" if configured is None else str(st.user["email"]).lower()
    return Visitor(address, "viewer" if os.environ.get(READ_ONLY) == "1" else role)


def admitted() -> Visitor:
    """The visitor; of who may not enter, the run ends at the page that asks them to sign in."""
    who = visitor()
    if who is not None:
        return who
    st.title("Sign in")
    if st.user.get("is_logged_in"):
        address = in_markdown(str(st.user.get("email", "an account without an address")))
        st.error(f"{address} may not open this explorer. Ask who sent you the link.", icon=":material/block:")
        st.button("Sign out", on_click=st.logout)
    else:
        st.markdown("The films are shown to invited readers only.")
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
    st.stop()


def marking() -> Visitor:
    """The visitor who is about to mark or review.

    Raises
    ------
    UserError
        Where they may not.
    """
    who = visitor()
    if who is None or not who.may_mark:
        raise UserError("You may look, but not mark or review.", "Ask the owner of this explorer.")
    return who
