"""A secret for a machine: encrypted to its public key, so that nobody on the way has read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from tests.http.claims import Private, another_key, events, issued_key, opened, seal
from tests.http.conftest import Key, Tenant

RSA = RSAKey.generate_key(2048)


@pytest.fixture
def key_id(tenant: Tenant) -> str:
    return issued_key(tenant)


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (RSA, "RSA-OAEP-256"),
        (ECKey.generate_key("P-256"), "ECDH-ES+A256KW"),
        (ECKey.generate_key("P-521"), "ECDH-ES+A256KW"),
        (OKPKey.generate_key("X25519"), "ECDH-ES+A256KW"),
    ],
    ids=["RSA", "P-256", "P-521", "X25519"],
)
def test_only_the_recipient_can_read_it(
    tenant: Tenant, key_id: str, private: Private, algorithm: str
) -> None:
    answer = seal(tenant, key_id, {**private.as_dict(private=False), "kid": "robot"})
    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == {"id", "recipient", "jwe"}
    assert body["recipient"] == private.thumbprint()
    header = json.loads(urlsafe_b64decode(body["jwe"].split(".")[0].encode()))
    assert {name: header[name] for name in ("alg", "enc", "kid")} == {
        "alg": algorithm,
        "enc": "A256GCM",
        "kid": "robot",
    }
    document = opened(body["jwe"], private)
    assert set(document) == {"id", "secret"}
    assert document["secret"] not in answer.text
    assert document["secret"].split("_")[3] not in answer.text
    assert tenant.verify(Key(document["id"], document["secret"])) == "allow"
    claimed = events(tenant, key_id)[-1]
    assert (claimed["type"], claimed["data"]["by"]) == ("key.claimed", "operator")
    assert claimed["data"]["recipient"] == private.thumbprint()
    assert seal(tenant, key_id, private.as_dict(private=False)).status_code == 409


def _rsa(**members: Any) -> dict[str, Any]:
    return {**RSA.as_dict(private=False), **members}


@pytest.mark.parametrize(
    ("jwk", "said"),
    [
        (OctKey.generate_key(256).as_dict(), "symmetric"),
        (RSA.as_dict(private=True), "private"),
        (ECKey.generate_key("P-256").as_dict(private=True), "private"),
        ({**_rsa(), "k": "AAAA"}, "private"),
        (RSAKey.generate_key(1024).as_dict(private=False), "1024 bits"),
        (ECKey.generate_key("secp256k1").as_dict(private=False), "P-256"),
        (OKPKey.generate_key("Ed25519").as_dict(private=False), "X25519"),
        (_rsa(use="sig"), "'use'"),
        (_rsa(key_ops=["verify"]), "'key_ops'"),
        (_rsa(key_ops="wrapKey"), "'key_ops'"),
        (_rsa(alg="RSA1_5"), "RSA-OAEP-256"),
        (_rsa(alg="RSA-OAEP"), "RSA-OAEP-256"),
        (_rsa(kid=5), "'kid'"),
        (_rsa(n=5), "RSA"),
        (_rsa(n=""), "RSA"),
        (_rsa(e="AQ"), "RSA"),
        ({"kty": "RSA"}, "RSA"),
        ({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}, "EC"),
        ({"kty": "OKP", "crv": "X25519", "x": "!"}, "OKP"),
        ({"kty": ["RSA"]}, "'kty'"),
        ({"keys": [RSA.as_dict(private=False)]}, "'kty'"),
        ({}, "'kty'"),
    ],
)
def test_a_key_that_will_not_do_is_refused_with_what_to_change(
    tenant: Tenant, key_id: str, jwk: dict[str, Any], said: str
) -> None:
    refused = seal(tenant, key_id, jwk)
    assert (refused.status_code, refused.get_json()["type"]) == (
        400,
        "urn:keysteward:problem:recipient-unusable",
    )
    assert said in refused.get_json()["detail"]
    # Nothing was claimed, and nothing of a private key is repeated.
    assert tenant.operator.get(f"/keys/{key_id}").get_json()["state"] == "issued"
    assert not any(str(jwk[each]) in refused.text for each in ("d", "k") if each in jwk)


@pytest.mark.parametrize("recipient", [None, "text", ["x"], 5])
def test_what_is_no_object_is_refused(tenant: Tenant, key_id: str, recipient: Any) -> None:
    answer = tenant.operator.post(f"/keys/{key_id}/claim", {"recipient": recipient})
    assert answer.status_code == 400


def test_a_repeated_request_gets_the_same_ciphertext(tenant: Tenant, key_id: str) -> None:
    public = RSA.as_dict(private=False)
    headers = {**tenant.operator.headers, "Idempotency-Key": "8b2e7f0c"}
    url = f"/operator/v1/keys/{key_id}/claim"
    first, second = (
        tenant.flask.test_client().post(url, json={"recipient": public}, headers=headers) for _ in range(2)
    )
    assert first.get_json() == second.get_json()
    assert opened(second.get_json()["jwe"], RSA)["id"] == key_id
    # Without the recipient, or for another one, it is another request: nobody gets the secret in the clear.
    for body in ({}, {"recipient": RSAKey.generate_key(2048).as_dict(private=False)}):
        assert tenant.flask.test_client().post(url, json=body, headers=headers).status_code == 422


def test_two_keys_sealed_to_one_recipient_differ(tenant: Tenant, key_id: str) -> None:
    user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    sealed = [
        seal(tenant, each, RSA.as_dict(private=False)).get_json()["jwe"]
        for each in (key_id, another_key(tenant, user))
    ]
    assert len({opened(each, RSA)["secret"] for each in sealed}) == 2
