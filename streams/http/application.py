"""Makes the application of a service from its routes."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute


def application_of(routes: Sequence[BaseRoute]) -> Starlette:
    """Return an application that answers its routes, and no path that only resembles one of them.

    By default the library redirects such a path, `/token/`, to `http` and the request's own `host`. A client that
    follows sends its tokens there, unprotected, if a proxy ends TLS.
    """
    application = Starlette(routes=list(routes))
    application.router.redirect_slashes = False
    return application
