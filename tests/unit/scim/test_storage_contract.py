"""The storage keeps the contract that ``scim2-server`` publishes as a test suite, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract

from app.scim.dialects import DIALECTS
from app.scim.provider import load_provider
from app.scim.storage import DirectoryStorage
from app.store.unit_of_work import Store


class TestWithTheSchemasOfTheRfc(ScimStorageContract):
    """With the models of RFC 7643, as the suite brings them."""

    @pytest.fixture
    def storage(
        self, shared_store: Store, new_tenant: str, provider: ScimProvider
    ) -> Iterator[DirectoryStorage]:
        with shared_store.writing(new_tenant, actor="test") as unit:
            yield DirectoryStorage(unit, provider, DIALECTS["field"])


class TestWithOurSchemas(TestWithTheSchemasOfTheRfc):
    """With the models of ``schemas/``."""

    @pytest.fixture
    def provider(self) -> ScimProvider:
        return load_provider(DIALECTS["field"].policy)
