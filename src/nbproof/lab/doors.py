"""Doors: plain functions that answer requests, and the one handler that stands before all of them.

A part offers `ROUTES`; each names its functions. The handler lets nobody through without a token, nor a change without
its XSRF cookie, runs the function in a thread, and turns errors into statuses. GET changes nothing, ever: a browser
sends cookies with it from anywhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join

from ..errors import AskedWrongly, NbproofError, PathRefused, Refused, RequestInvalid

if TYPE_CHECKING:
    from ..assemble import Project

NAMESPACE = "nbproof"
STATUS: tuple[tuple[type[NbproofError], int], ...] = ((AskedWrongly, 400), (Refused, 409), (NbproofError, 500))

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Server:
    """What of the Jupyter server the parts may use.

    `root` is the folder whose files it shows. `tell(part, facts)` sends facts to every open page; it may be called
    from any thread. `notebook_of(kernel_id)` is the contents path of the notebook that a kernel runs for, if any;
    not to be called in the loop. `recorder` is the part that records executions.
    """

    root: Path
    tell: Tell
    notebook_of: Callable[[str], str | None]
    recorder: Any = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its arguments are those of the address (GET), `body` what it carries (POST), `user` who asks."""

    server: Server
    arguments: Mapping[str, str]
    body: Mapping[str, Any]
    user: str

    def text(self, name: str, default: str | None = None) -> str:
        """The argument `name`, or the text of that name in the body; raises `RequestInvalid` without a default."""
        found = self.arguments.get(name, self.body.get(name, default))
        if not isinstance(found, str):
            raise RequestInvalid(name, "nothing" if found is None else type(found).__name__, "text")
        return found

    def number(self, name: str, default: int, *, highest: int) -> int:
        """The whole number `name`, from 0 up to `highest`; raises `RequestInvalid`."""
        found = self.arguments.get(name, self.body.get(name, default))
        try:
            if isinstance(found, bool | float):
                raise ValueError
            number = int(found)
        except (TypeError, ValueError):
            raise RequestInvalid(name, repr(found)[:80], "a whole number") from None
        if not 0 <= number <= highest:
            raise RequestInvalid(name, str(number), f"a number from 0 to {highest}")
        return number

    def file(self, name: str = "path") -> Path:
        """The file or folder that a contents path names; raises `PathRefused` for one outside of the root."""
        asked = self.text(name, "")
        found = (self.server.root / asked.lstrip("/")).resolve()
        if "\0" in asked or not found.is_relative_to(self.server.root.resolve()):
            raise PathRefused(asked)
        return found

    @property
    def project(self) -> Project:
        """The project that the file `path` lies in; without one, that of the server's folder."""
        # Loaded with the first question: a server that nobody asks starts as fast as without us.
        from ..assemble import open_project

        return open_project(self.file())


Answer = Callable[[Asked], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """The functions behind one path below `/nbproof/`; what they return is sent as JSON. Each may take its time."""

    path: str
    get: Answer | None = None
    post: Answer | None = None


def handlers(routes: tuple[Route, ...], server: Server, base_url: str) -> list[tuple[str, type[Door], dict[str, Any]]]:
    """The routes as Tornado takes them."""
    return [
        (url_path_join(base_url, NAMESPACE, route.path) + "/?", Door, {"route": route, "server": server})
        for route in routes
    ]


class Door(APIHandler):
    """Stands before every route."""

    auth_resource = NAMESPACE
    SUPPORTED_METHODS = ("GET", "POST")

    def initialize(self, route: Route, server: Server) -> None:
        """Remember what it is the door to."""
        super().initialize()
        self._route, self._server = route, server

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer a question."""
        await self._answer(self._route.get)

    @tornado.web.authenticated
    @authorized
    async def post(self) -> None:
        """Carry something out."""
        await self._answer(self._route.post)

    async def _answer(self, answer: Answer | None) -> None:
        if answer is None:
            raise tornado.web.HTTPError(405)
        try:
            asked = Asked(self._server, self._arguments(), self._body(), self._user())
            found = await asyncio.get_running_loop().run_in_executor(None, answer, asked)
        except NbproofError as error:
            self.set_status(next(status for kind, status in STATUS if isinstance(error, kind)))
            found = {"error": type(error).__name__, "message": str(error), "hint": error.hint}
        # What a browser cannot parse it must not get: NaN is no JSON.
        await self.finish(json.dumps(found, allow_nan=False))

    def _arguments(self) -> dict[str, str]:
        return {name: self.get_query_argument(name) for name in self.request.query_arguments if name != "token"}

    def _body(self) -> Mapping[str, Any]:
        if self.request.method != "POST" or not self.request.body:
            return {}
        try:
            found = json.loads(self.request.body)
        except ValueError:
            raise RequestInvalid("the body", "no JSON", "a JSON object") from None
        if not isinstance(found, dict):
            raise RequestInvalid("the body", type(found).__name__, "a JSON object")
        return found

    def _user(self) -> str:
        return str(self.current_user.username)
