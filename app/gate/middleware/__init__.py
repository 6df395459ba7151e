"""Middleware that asks the gate about every request of a Python application that has no gateway before it.

It needs nothing of the server's: Python's library and httpx2. So it can also be copied into an application.
"""

from app.gate.middleware.asgi import ASGIGate
from app.gate.middleware.asking import Refused, Verified
from app.gate.middleware.wsgi import WSGIGate

__all__ = ["ASGIGate", "Refused", "Verified", "WSGIGate"]
