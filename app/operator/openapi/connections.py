"""Connections, their clients and tokens, and what warns of them, in the document."""

from __future__ import annotations

from typing import Final

from app.access.clients import Purpose
from app.operator.clients_face import REGISTER
from app.operator.face import CONNECT, NOTHING, PATH, ROTATE
from app.operator.openapi.operations import Operation
from app.operator.openapi.shapes import (
    ANYTHING,
    NUMBER,
    TEXT,
    TIME,
    YES_OR_NO,
    Shape,
    many,
    named,
    nullable,
    page_of,
    record,
)

_CONNECTION: Final[dict[str, Shape]] = {
    "id": TEXT,
    "name": TEXT,
    "dialect": TEXT,
    "createdAt": TIME,
    "disabledAt": nullable(TIME),
    "lastCallAt": nullable(TIME),
    "brake": record(percent=NUMBER, minimum=NUMBER, withinSeconds=NUMBER),
    "usualCycleSeconds": nullable(NUMBER),
    "silent": YES_OR_NO,
    "warnings": many(named("Warning")),
}

SCHEMAS: Final[dict[str, Shape]] = {
    "Warning": record(
        kind=TEXT,
        connection=nullable(TEXT),
        name=nullable(TEXT),
        text=TEXT,
        since=nullable(TIME),
        expiresAt=nullable(TIME),
    ),
    "WarningList": page_of("Warning"),
    "Connection": record(**_CONNECTION),
    "ConnectionList": page_of("Connection"),
    "ConnectionWithToken": record(**_CONNECTION, token=TEXT, expiresAt=TIME),
    "Token": record(id=TEXT, connection=nullable(TEXT), token=TEXT, expiresAt=TIME),
    "Deviation": record(connection=TEXT, deviation=TEXT, requests=NUMBER, firstAt=TIME, lastAt=TIME),
    "DeviationList": page_of("Deviation"),
    "Client": record(
        id=TEXT,
        connection=TEXT,
        name=TEXT,
        purpose={"enum": [str(each) for each in Purpose]},
        endpoint=TEXT,
        issuer=nullable(TEXT),
        subject=nullable(TEXT),
        audience=nullable(TEXT),
        jwks=nullable(ANYTHING),
        jwksUri=nullable(TEXT),
        createdAt=TIME,
    ),
    "ClientList": page_of("Client"),
}

_OF_ONE: Final = f"{PATH}/connections/<connection_id>"

OPERATIONS: Final = (
    Operation("GET", f"{PATH}/connections", "List connections", {200: named("ConnectionList")}),
    Operation(
        "POST",
        f"{PATH}/connections",
        "Open a connection; its token is shown once",
        {201: named("ConnectionWithToken")},
        body=CONNECT,
        problems=(409,),
    ),
    Operation(
        "POST",
        f"{_OF_ONE}/tokens",
        "Issue a connection a new token; those it has work for the overlap",
        {201: named("Token")},
        body=ROTATE,
        problems=(409,),
    ),
    Operation(
        "GET",
        f"{_OF_ONE}/deviations",
        "List what only the dialect of a connection tolerates",
        {200: named("DeviationList")},
    ),
    Operation("POST", f"{_OF_ONE}/disable", "Disable a connection", {200: named("Connection")}, body=NOTHING),
    Operation("GET", f"{_OF_ONE}/clients", "List OAuth clients", {200: named("ClientList")}),
    Operation(
        "POST",
        f"{_OF_ONE}/clients",
        "Register an OAuth client",
        {201: named("Client")},
        body=REGISTER,
        problems=(409,),
    ),
    Operation("DELETE", f"{_OF_ONE}/clients/<client_id>", "Remove an OAuth client", {204: None}),
    Operation(
        "GET",
        f"{PATH}/warnings",
        "List connections that are silent and tokens that end soon",
        {200: named("WarningList")},
        scopes=("operator", "audit"),
    ),
)
