"""Set-up that must come before any test module is imported."""

import pytest

# The public contract's asserts show their values, whichever module imports it first.
pytest.register_assert_rewrite("mediaref_tools.contract", "mediaref_tools.testing")
