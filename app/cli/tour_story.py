"""The tour's story: a person joins, gets a key, loses it, has it back, leaves; and the key stays dead."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

import httpx2

from app.cli.tour_faces import ENTRA, OKTA, Faces
from app.cli.tour_steps import Steps, StoryEnds, answered, denied, document, listed, promise

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTRA_GROUP: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
ENTITLEMENT: Final = "urn:keysteward:scim:schemas:core:1.0:Entitlement"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

CALL: Final = ("GET", "/orders/17")
"""The call that the gateway asks about."""

TIMELINE: Final = (
    "user.created",
    "key.issued",
    "key.claimed",
    "key.dormant",
    "key.restored",
    "key.dormant",
    "key.restored",
    "key.dormant",
    "user.deleted",
    "key.revoked",
)
"""What must be found in the events of the person, in this order, with others between."""


class Story:
    """Plays the story against a server, step by step.

    Everything it makes has a name that no other run uses, by which it is found again and removed.

    :ivar events: the events of the person, once the story is over.
    """

    def __init__(self, faces: Faces, steps: Steps) -> None:
        self._faces = faces
        self._steps = steps
        mark = secrets.token_hex(4)
        self._user_name = f"ada.{mark}@tour.example"
        self._group_name = f"Tour {mark} order readers"
        self._value = f"tour-{mark}-orders-read"
        self._external_id = f"00u{mark}"
        self._user_id = self._group_id = self._key_id = self._secret = ""
        self._changed_at = 0.0
        self.events: list[dict[str, Any]] = []

    def play(self) -> None:
        """Play the whole story; clean up whatever happens, a Ctrl-C included."""
        try:
            self._prepare()
            self._join()
            self._use_the_key()
            self._lose_and_regain()
            self._leave()
            self._stay_dead()
            self._look_back()
        except StoryEnds:
            pass
        finally:
            self._clean_up()

    def _prepare(self) -> None:
        scim = self._faces
        with self._steps.take("Entra", "looks for the group of order readers") as outcome:
            found = listed(
                scim.look_up("/Groups", "displayName", self._group_name, ENTRA, excludedAttributes="members")
            )
            promise(found == [], "an empty list", f"{len(found)} groups")
            outcome.detail = "200 with an empty list"
        with self._steps.take("Entra", "creates the group, with a schema nobody declared", needed=True):
            body = {
                "schemas": [GROUP, ENTRA_GROUP],
                "externalId": self._external_id,
                "displayName": self._group_name,
                "meta": {"resourceType": "Group"},
            }
            made = document(answered(scim.send("POST", "/Groups", body, ENTRA), 201), "id")
            self._group_id = made["id"]
        with self._steps.take("you", "map an entitlement to the group", needed=True) as outcome:
            mapped: dict[str, Any] = {
                "schemas": [ENTITLEMENT],
                "value": self._value,
                "display": "Read orders",
                "scopes": ["orders.read"],
                "conditions": {"methods": ["GET"], "paths": ["/orders/*"]},
                "keyPolicy": {"issuance": "automatic"},
                "groups": [{"value": self._group_id}],
            }
            answered(scim.send("POST", "/Entitlements", mapped, ENTRA), 201)
            outcome.detail = "orders.read, GET /orders/*, keys by themselves"

    def _join(self) -> None:
        scim = self._faces
        with self._steps.take("Okta", "looks for Ada") as outcome:
            found = listed(
                scim.look_up("/Users", "userName", self._user_name, OKTA, startIndex="1", count="100")
            )
            promise(found == [], "an empty list", f"{len(found)} users")
            outcome.detail = "200 with an empty list"
        with self._steps.take(
            "Okta", "creates Ada, with a placeholder for a password", needed=True
        ) as outcome:
            self._user_id = self._create_ada()
            outcome.detail = "201; the password is nowhere in the answer"
        with self._steps.take("operator", "lists Ada's keys") as outcome:
            keys = self._keys()
            promise(keys == [], "no key without a right", f"{len(keys)} keys")
            outcome.detail = "none without a right"
        with self._steps.take("Entra", "adds Ada to the group", needed=True):
            self._patch_group("Add", self._user_id)
        with self._steps.take("operator", "lists Ada's keys again", needed=True) as outcome:
            keys = self._keys()
            states = [str(each.get("state")) for each in keys]
            promise(states == ["issued"], "one key, issued by itself", f"keys in states {states}")
            self._key_id = str(keys[0].get("id"))
            outcome.detail = "one key, issued by itself"

    def _use_the_key(self) -> None:
        with self._steps.take("operator", "claims the key", needed=True) as outcome:
            made = document(answered(self._claim(), 200), "secret")
            self._secret = str(made["secret"])
            promise(len(self._secret) > 60, "a secret with at least 160 bits", "a short one")
            outcome.detail = f"{self._public_start()}, handed out this once"
        with self._steps.take("operator", "claims it a second time") as outcome:
            answered(self._claim(), 409)
            outcome.detail = "409, a secret is shown only once"
        self._is_allowed("GET /orders/17 with the key")
        with self._steps.take("gate", "DELETE /orders/17 with the key") as outcome:
            outcome.detail = denied(
                self._faces.verify(self._secret, "DELETE", "/orders/17"), 403, "method_not_allowed"
            )

    def _lose_and_regain(self) -> None:
        with self._steps.take("Entra", "removes Ada from the group, listed by her id"):
            self._patch_group("Remove", self._user_id)
        self._is_denied(403, "no_grant")
        with self._steps.take("Entra", "adds Ada again"):
            self._patch_group("Add", self._user_id)
        with self._steps.take("operator", "lists Ada's keys") as outcome:
            ids = [each.get("id") for each in self._keys()]
            promise(ids == [self._key_id], "the same key and no other", f"{len(ids)} keys")
            outcome.detail = "the same key and no other"
        self._is_allowed("the same key again")

    def _leave(self) -> None:
        with self._steps.take("Okta", "deactivates Ada, without a path"):
            self._patch_user({"op": "replace", "value": {"active": False}}, OKTA)
        self._is_denied(401, "consumer_inactive")
        with self._steps.take("Okta", "says it again"):
            self._patch_user({"op": "replace", "value": {"active": False}}, OKTA)
        self._is_denied(401, "consumer_inactive")
        with self._steps.take("Entra", "takes it back within the recovery window"):
            self._patch_user({"op": "Replace", "path": "active", "value": "True"}, ENTRA)
        self._is_allowed("the same key again")
        with self._steps.take("Entra", 'deactivates Ada with the string "False"'):
            self._patch_user({"op": "Replace", "path": "active", "value": "False"}, ENTRA)
        self._is_denied(401, "consumer_inactive")

    def _stay_dead(self) -> None:
        with self._steps.take("Entra", "deletes Ada"):
            answered(self._faces.scim.delete(f"/Users/{self._user_id}", headers=ENTRA), 204)
            self._changed_at = time.perf_counter()
        self._is_denied(401, "key_revoked")
        anew = ""
        with self._steps.take("Okta", "creates Ada anew, under the same userName") as outcome:
            anew = self._create_ada()
            promise(anew != self._user_id, "another user", "the id of the deleted one")
            outcome.detail = "201 with another id"
        if anew:
            with self._steps.take("Entra", "adds the new Ada to the group"):
                self._patch_group("Add", anew)
        with self._steps.take("gate", "the old key stays dead") as outcome:
            outcome.detail = denied(self._faces.verify(self._secret, *CALL), 401, "key_revoked")
        with self._steps.take("gate", "a key with one letter changed") as outcome:
            outcome.detail = denied(self._faces.verify(misspelt(self._secret), *CALL), 401, "key_malformed")

    def _look_back(self) -> None:
        with self._steps.take("operator", "asks for an explanation of the dead key") as outcome:
            path = f"/keys/{self._key_id}/explain"
            said = document(answered(self._faces.operator.get(path), 200), "summary", "broken")
            code = said["broken"].get("code") if isinstance(said["broken"], dict) else None
            promise(code == "key_revoked", "key_revoked as what is broken", str(code))
            outcome.detail = str(said["summary"])
        with self._steps.take("operator", "reads what happened") as outcome:
            self.events = listed(self._faces.operator.get("/events", params={"consumer": self._user_id}))
            types = iter([str(each.get("type")) for each in self.events])
            missing = [wanted for wanted in TIMELINE if wanted not in types]
            promise(not missing, f"{', '.join(TIMELINE)}", f"no {missing[0] if missing else ''} in its place")
            outcome.detail = f"{len(self.events)} events, in the order of the story"

    def _clean_up(self) -> None:
        """Remove what this run made, found by its names: also what was made when the answer was lost."""
        for path, attribute, value, words in (
            ("/Users", "userName", self._user_name, "Ada"),
            ("/Entitlements", "value", self._value, "the entitlement"),
            ("/Groups", "displayName", self._group_name, "the group"),
        ):
            with self._steps.take("clean-up", f"removes {words}"):
                for each in listed(self._faces.look_up(path, attribute, value, ENTRA)):
                    answered(self._faces.scim.delete(f"{path}/{each.get('id')}", headers=ENTRA), 204)
                left = listed(self._faces.look_up(path, attribute, value, ENTRA))
                promise(left == [], "nothing left", f"{len(left)} left")

    def _is_allowed(self, words: str) -> None:
        with self._steps.take("gate", words) as outcome:
            answer = answered(self._faces.verify(self._secret, *CALL), 200)
            subject = answer.headers.get("X-Auth-Subject", "")
            promise(subject == self._user_id, "Ada as X-Auth-Subject", subject or "none")
            outcome.detail = "200, X-Auth-Subject is Ada"

    def _is_denied(self, status: int, reason: str) -> None:
        """The very next question after a change is answered with a deny."""
        with self._steps.take("gate", "the very next call with the key") as outcome:
            said = denied(self._faces.verify(self._secret, *CALL), status, reason)
            after = (time.perf_counter() - self._changed_at) * 1000
            outcome.detail = f"{said}, {after:.1f} ms after the 2xx"

    def _create_ada(self) -> str:
        body = {
            "schemas": [USER],
            "userName": self._user_name,
            "name": {"givenName": "Ada", "familyName": "Tour"},
            "emails": [{"primary": True, "value": self._user_name, "type": "work"}],
            "displayName": "Ada Tour",
            "locale": "en-US",
            "externalId": self._external_id,
            "groups": [],
            "password": secrets.token_urlsafe(8),
            "active": True,
        }
        answer = answered(self._faces.send("POST", "/Users", body, OKTA), 201)
        made = document(answer, "id", "meta")
        promise("password" not in made, "an answer without the password", "the password in the answer")
        return str(made["id"])

    def _keys(self) -> list[dict[str, Any]]:
        return listed(self._faces.operator.get("/keys", params={"consumer": self._user_id}))

    def _claim(self) -> httpx2.Response:
        return self._faces.operator.post(f"/keys/{self._key_id}/claim")

    def _patch_group(self, operation: str, user_id: str) -> None:
        member = {"$ref": None, "value": user_id} if operation == "Add" else {"value": user_id}
        body = {"schemas": [PATCH], "Operations": [{"op": operation, "path": "members", "value": [member]}]}
        answered(self._faces.send("PATCH", f"/Groups/{self._group_id}", body, ENTRA), 200, 204)
        self._changed_at = time.perf_counter()

    def _patch_user(self, operation: dict[str, Any], agent: dict[str, str]) -> None:
        body = {"schemas": [PATCH], "Operations": [operation]}
        answered(self._faces.send("PATCH", f"/Users/{self._user_id}", body, agent), 200, 204)
        self._changed_at = time.perf_counter()

    def _public_start(self) -> str:
        """The part of the secret that may be seen: all before the secret itself."""
        return "_".join([*self._secret.split("_")[:3], "…"])


def misspelt(secret: str) -> str:
    """Return a secret with its last letter changed, which its checksum gives away."""
    return secret[:-1] + ("a" if secret[-1] != "a" else "b")
