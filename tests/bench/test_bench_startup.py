"""The benchmark of starting reads what interpreters print, and judges it."""

from __future__ import annotations

import pytest
from startup import AIOHTTP, BARE_STATUS, IMPORT, STATUS, Startup, environment, modules_beyond, steps_of
from targets import AT_WORK, STARTUP, startup_targets

PRINTED = """
import time: self [us] | cumulative | imported package
import time:       900 |        900 |   yarl
import time:       300 |       1200 | aiohttp
import time:       250 |        250 |   topaz_status.errors
import time:      1500 |       1750 | topaz_status.client
"""


def test_only_what_comes_after_aiohttp_counts() -> None:
    """Each module beyond it has its own milliseconds, not those of what it imports."""
    assert dict(modules_beyond("aiohttp", PRINTED)) == {"topaz_status.errors": 0.25, "topaz_status.client": 1.5}


def test_a_step_is_what_was_used_since_the_one_before() -> None:
    """Marks of CPU used so far become milliseconds of each step."""
    assert steps_of({"started": 0.5, "import": 0.75, "open": 1.0}) == {"import": 250.0, "open": 250.0}


def test_a_ratio_is_taken_within_each_round() -> None:
    """What else the machine did in one round hits both programs of it."""
    found = Startup({IMPORT: [2.0, 40.0, 3.0], AIOHTTP: [1.0, 20.0, 1.5]}, {}, {})
    assert found.ratio(IMPORT, AIOHTTP) == 2.0


@pytest.mark.parametrize(("pair", "most"), [((IMPORT, AIOHTTP), STARTUP), ((STATUS, BARE_STATUS), AT_WORK)])
def test_each_program_has_its_target(pair: tuple[str, str], most: float) -> None:
    """At the target it passes, above it does not."""
    [at] = startup_targets({pair: most})
    [above] = startup_targets({pair: most * 1.01})
    assert at.passed
    assert not above.passed


def test_modules_are_compiled_before_unless_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose environment forbids ``.pyc`` files measures the same as any other."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    compiled, not_compiled = environment("there", compiled=True), environment("there", compiled=False)
    assert compiled["PYTHONPYCACHEPREFIX"] == "there"
    assert "PYTHONDONTWRITEBYTECODE" not in compiled
    assert not_compiled["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONPYCACHEPREFIX" not in not_compiled
