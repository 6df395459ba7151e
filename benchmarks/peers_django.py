"""The URLs of the Django project of ``benchmarks/peers.py``."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework_api_key.permissions import HasAPIKey


def _nothing(request: HttpRequest) -> HttpResponse:
    # Without middleware, nothing else says how long it is.
    return HttpResponse(b"", headers={"Content-Length": "0"})


urlpatterns = [path("gate/verify", api_view(["GET"])(permission_classes([HasAPIKey])(_nothing)))]
