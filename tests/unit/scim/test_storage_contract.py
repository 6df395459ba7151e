"""The storage keeps the contract that ``scim2-server`` publishes as a test suite, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scim2_server.testing import ScimStorageContract
from scim2_server.utils import load_default_provider

from app.scim.dialects import DIALECTS
from app.scim.provider import DirectoryProvider, load_provider
from app.scim.storage import DirectoryStorage
from app.scim.views import ViewStorage
from app.store.unit_of_work import Store


class TestWithTheSchemasOfTheRfc(ScimStorageContract):
    """With the models of RFC 7643, as the suite brings them."""

    kind: type[DirectoryStorage] = DirectoryStorage

    @pytest.fixture(scope="class")
    @classmethod
    def provider(cls) -> DirectoryProvider:
        return DirectoryProvider(load_default_provider(), (), None, None)

    @pytest.fixture
    def storage(
        self, shared_store: Store, new_tenant: str, provider: DirectoryProvider
    ) -> Iterator[DirectoryStorage]:
        with shared_store.writing(new_tenant, actor="test") as unit:
            yield self.kind(unit, provider, DIALECTS["field"])


class TestWithOurSchemas(TestWithTheSchemasOfTheRfc):
    """With the models of ``schemas/``, those of views among them."""

    kind = ViewStorage

    @pytest.fixture(scope="class")
    @classmethod
    def provider(cls) -> DirectoryProvider:
        return load_provider(DIALECTS["field"].policy)
