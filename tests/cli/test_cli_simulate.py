"""``topaz-status simulate``."""

from __future__ import annotations

import json

from .driver import Cli, child, ended, line_of


def test_it_serves_what_the_other_commands_ask_for(environment: dict[str, str]) -> None:
    """Its JSON holds the environment that points them at it; it ends with its input."""
    with child(["simulate", "--images=2", "--median=0.01", "--until-eof", "--json"], environment) as process:
        printed = json.loads(line_of(process.stdout))
        with child(["watch", *printed["jobs"]], environment | printed["env"]) as watching:
            result = ended(watching)
        assert (result.code, len(result.lines)) == (0, 2)
        assert ended(process).code == 0


def test_its_own_complaints_are_usage_errors(cli: Cli) -> None:
    """It opens no door to other machines unless asked to."""
    result = cli("simulate", "--host", "0.0.0.0")  # noqa: S104  # that it is refused is the point
    assert result.code == 2
    assert "--allow-remote" in result.err
