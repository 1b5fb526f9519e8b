"""Hypothesis tries the same examples each time, without a look at the clock: a busy machine is no mistake of a test.

To search with new examples, and more of them: `pytest --hypothesis-profile search`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("always", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("search", settings.get_profile("always"), derandomize=False, max_examples=3000)
settings.load_profile("always")
