"""Set-up that must come before any test module is imported."""

import pytest
from hypothesis import settings

# The public contract's asserts show their values, whichever module imports it first.
pytest.register_assert_rewrite("mediaref_tools.contract", "mediaref_tools.testing")

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
