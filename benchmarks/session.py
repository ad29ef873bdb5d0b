"""A visitor without a browser: opens pages of a running server over its web socket, as Streamlit's own client does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

PATIENCE = 120
"""Seconds to wait for a page."""


@dataclass(frozen=True)
class Answer:
    """What a page's run sent, message by message, and the seconds until it had ended."""

    messages: tuple[bytes, ...]
    seconds: float
    failed: bool

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(self.messages)


class Session:
    """One session; closing it is leaving the page."""

    def __init__(self, url: str, origin: str | None = None, cookie: str = "") -> None:
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        self._socket = connect(
            f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/_stcore/stream",
            origin=Origin(origin or f"{parts.scheme}://{parts.netloc}"),
            subprotocols=[Subprotocol("streamlit")],
            additional_headers={"Cookie": cookie} if cookie else None,
            max_size=None,
            compression=None,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def open(self, page: str, *widgets: WidgetState, **query: str) -> Answer:
        """Open a page by its name in the address, with parameters and with what a visitor did to widgets."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(query)
        message.rerun_script.widget_states.widgets.extend(widgets)
        began = time.perf_counter()
        self._socket.send(message.SerializeToString())
        parts: list[bytes] = []
        failed = False
        while True:
            part = self._socket.recv(timeout=PATIENCE)
            assert isinstance(part, bytes)
            parts.append(part)
            answer = ForwardMsg.FromString(part)
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                failed = True
            if kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                failed = failed or answer.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY
                return Answer(tuple(parts), time.perf_counter() - began, failed)
