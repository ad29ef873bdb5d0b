"""Signing in at an OpenID provider on this machine, in a real browser."""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError

import pytest
from oidc_provider_mock import User, run_server_in_thread

from explorer.store.marks import read_marks
from explorer.store.runs import open_store
from tests.browser.conftest import free_port, serve, settle

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

ANN, BOB, EVE, MAX = "ann@example.org", "bob@example.org", "eve@other.org", "max@example.org"


class Served(NamedTuple):
    url: str
    root: Path
    log: Path
    restart: Callable[[], None]


@pytest.fixture(scope="module")
def served(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over a copy of the store, which lets in one annotator and the viewers of a domain."""
    root = tmp_path_factory.mktemp("signed") / "store"
    shutil.copytree(tiny_store, root)
    port, log = free_port(), root.with_name("activity.jsonl")
    users = [User(sub=name, claims={"email": name, "email_verified": name != MAX}) for name in (ANN, BOB, EVE, MAX)]
    with run_server_in_thread(user_claims=users) as provider:
        configuration = f"""
            [auth]
            redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
            cookie_secret = "{"s" * 32}"
            client_id = "explorer"
            client_secret = "secret"
            server_metadata_url = "http://localhost:{provider.server_port}/.well-known/openid-configuration"
            [access]
            viewers = ["@example.org"]
            annotators = ["{ANN}"]
        """
        running = []

        def end() -> None:
            server = running.pop()
            server.terminate()
            server.wait(20)

        def start() -> str:
            server, url = serve(root, port=port, EXPLORER_SIGN_IN=configuration, EXPLORER_ACTIVITY=str(log))
            running.append(server)
            return url

        def restart() -> None:
            end()
            start()

        yield Served(start(), root, log, restart)
        end()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A page in a browser that is signed in nowhere."""
    window.clear_cookies()
    opened = window.new_page()
    yield opened
    opened.close()
    window.clear_cookies()


def sign_in(page: Page, address: str, name: str) -> None:
    page.goto(address)
    settle(page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=name).click()
    page.wait_for_url(re.compile(re.escape(address.split("?")[0])))
    settle(page)


def test_a_stranger_gets_nothing_of_the_store(page: Page, served: Served) -> None:
    store = open_store(served.root)
    received: list[bytes] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(bytes(data))))
    page.goto(f"{served.url}/grad_cam?show=mark")
    settle(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    assert page.get_by_role("link", name="Neighbours").count() == 0
    everything = b"".join(received)
    assert len(received) > 2
    for text in (store.run_id, store.manifest.dataset.name, *store.labels, str(store.samples["sample_id"].iat[0])):
        assert text.encode() not in everything


def test_an_annotator_gets_the_view_of_the_link_marks_in_their_name_and_signs_out(page: Page, served: Served) -> None:
    store = open_store(served.root)
    row = int(store.rows("test")[-1])
    film = str(store.samples["sample_id"].iat[row])
    sign_in(page, f"{served.url}/grad_cam?show=mark&film={film}", ANN)
    assert f"film={film}" in page.url
    assert page.get_by_placeholder("Annotator: name or initials").count() == 0
    page.get_by_role("button", name="Nothing to mark").click()
    page.get_by_role("button", name="Take back").wait_for()
    marks = read_marks(store)
    assert list(marks["annotator"]) == [ANN]
    assert list(marks["row"]) == [row]
    with page.expect_download():
        page.get_by_role("button", name="All 0 marks").click()
    log = served.log.read_text()
    assert f'"event": "opened", "who": "{ANN}", "run": "{store.run_id}"' in log
    assert f'"event": "marked", "who": "{ANN}"' in log
    assert f'"event": "exported", "who": "{ANN}", "file": "marks.csv"' in log

    page.goto(f"{served.url}/case?film={film}")
    settle(page)
    picture = str(page.locator("img[src*='/media/']").first.evaluate("image => image.src"))
    assert page.request.get(picture).status == 200
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(picture)

    page.get_by_role("button", name="About").click()
    shown = page.get_by_text("Signed in as").inner_text().replace("\u2060", "")
    assert shown == f"Signed in as {ANN} (annotator)"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("end_session"))
    page.get_by_role("button").first.click()
    page.wait_for_url(f"{served.url}/")
    settle(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    assert page.request.get(picture).status == 403


def test_a_viewer_looks_and_does_not_mark(page: Page, served: Served) -> None:
    sign_in(page, f"{served.url}/grad_cam?show=mark", BOB)
    page.get_by_text("read-only").wait_for()
    assert page.get_by_role("button", name="Nothing to mark").count() == 0


@pytest.mark.parametrize("name", [EVE, MAX])
def test_another_address_and_one_that_nobody_checked_stay_outside(page: Page, served: Served, name: str) -> None:
    sign_in(page, f"{served.url}/map", name)
    told = page.get_by_text("may not open this explorer")
    assert name in told.inner_text().replace("\u2060", "")
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"


def test_a_restart_in_the_middle_of_marking_loses_nothing(page: Page, served: Served) -> None:
    store = open_store(served.root)
    row = int(store.rows("test")[0])
    view = f"{served.url}/grad_cam?show=mark&film={store.samples['sample_id'].iat[row]}"

    def marked() -> list[str]:
        marks = read_marks(store)
        return list(marks.loc[marks["row"] == row, "annotator"])

    sign_in(page, view, ANN)
    page.get_by_role("button", name="Nothing to mark").click()
    page.get_by_role("button", name="Take back").wait_for()
    served.restart()
    page.wait_for_selector("[data-testid=stApp][data-test-connection-state=CONNECTED]")
    settle(page)
    assert marked() == [ANN]
    page.get_by_role("button", name="Take back").click()
    page.get_by_text("The connection was renewed").wait_for()
    settle(page)
    assert marked() == [ANN], "the step that began the session was not carried out"
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("button", name=re.compile("Nothing to mark$")).wait_for()
    assert marked() == []
