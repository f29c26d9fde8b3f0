"""What users install: the wheel holds the package and its licence, nothing else, and says what is true."""

from __future__ import annotations

import datetime as dt
import re
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from topaz_status.cli import main

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CHANGELOG = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
SCRIPTS = ("beat", "check", "post", "reserve", "save", "slow_down", "steady")
DATA = {
    "topaz_status/py.typed",
    "topaz_status/fastapi/live_page.html",
    "topaz_status/telemetry/dashboard.json",
    *(f"topaz_status/redis/lua/{name}.lua" for name in SCRIPTS),
}
"""What the package has beside its modules."""
ABOUT = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/.github/LICENSE"}
"""What the wheel says of itself."""
PYTHON = "Programming Language :: Python :: "


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def about(wheel: Path) -> dict[str, bytes]:
    """The files in the wheel that describe it, by name."""
    prefix = f"topaz_status-{PROJECT['version']}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        return {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def metadata(about: dict[str, bytes]) -> Message:
    """What a package index shows of it."""
    return BytesParser().parsebytes(about["METADATA"])


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path, about: dict[str, bytes]) -> None:
    """All modules are there; no test, no README of a folder, nothing that was lying about is."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "topaz_status").rglob("*.py")}
    assert names == modules | DATA
    assert set(about) == ABOUT


def test_the_package_has_no_other_data() -> None:
    """A new file of another kind is put on the list above, and so into the wheel, on purpose."""
    files = [
        path for path in (ROOT / "topaz_status").rglob("*") if path.suffix not in {".py", ".md"} and path.is_file()
    ]
    assert {path.relative_to(ROOT).as_posix() for path in files if path.parent.name != "__pycache__"} == DATA


def test_the_licence_goes_with_it(about: dict[str, bytes], metadata: Message) -> None:
    """Its text is in both distributions, and the metadata has the expression and where the text is."""
    text = about["licenses/.github/LICENSE"].decode()
    assert text.startswith(f"{metadata['License-Expression']} License\n")
    assert metadata.get_all("License-File") == [".github/LICENSE"]
    assert ".github/LICENSE" in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_its_classifiers_name_the_pythons_that_are_tested(metadata: Message) -> None:
    """Each minor version from the oldest that is accepted, without a gap; the one that runs here is among them."""
    named = metadata.get_all("Classifier") or []
    minors = [int(one.removeprefix(f"{PYTHON}3.")) for one in named if re.fullmatch(rf"{PYTHON}3\.\d+", one)]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert metadata["Requires-Python"] == f">=3.{minors[0]}"
    assert sys.version_info.minor in minors
    assert not [one for one in named if one.startswith("License ::")], "the expression says it"


def test_no_url_is_made_up(metadata: Message) -> None:
    """The project names no home that it does not have."""
    assert not metadata.get_all("Project-URL")
    assert not metadata["Home-page"]


def test_the_version_is_written_down_once(metadata: Message, capsys: pytest.CaptureFixture[str]) -> None:
    """``pyproject.toml`` has it; the command and the metadata say the same, and no module repeats it."""
    version = PROJECT["version"]
    assert metadata["Version"] == version
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"topaz-status {version}\n"
    modules = (ROOT / "topaz_status").rglob("*.py")
    assert not [path for path in modules if f'"{version}"' in path.read_text(encoding="utf-8")]


def test_the_changelog_is_dated() -> None:
    """What is not released comes first; then each release with its day, the newest first and of this version."""
    first, *headings = re.findall(r"^## (.*)$", CHANGELOG, flags=re.MULTILINE)
    assert first == "[Unreleased]"
    releases = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", one) for one in headings]
    found = [(one[1], dt.date.fromisoformat(one[2])) for one in releases if one is not None]
    assert len(found) == len(headings), "each is [X.Y.Z] - YYYY-MM-DD"
    assert found[0][0] == PROJECT["version"]
    assert [day for _, day in found] == sorted((day for _, day in found), reverse=True)


def test_the_command_and_the_plugin_are_announced(about: dict[str, bytes]) -> None:
    """Installing the wheel brings the command, and pytest finds the plugin."""
    lines = about["entry_points.txt"].decode().splitlines()
    assert {"topaz-status = topaz_status.cli:main", "topaz_status = topaz_status.testing.plugin"} <= set(lines)


def test_what_the_wheel_asks_for_is_bounded(metadata: Message) -> None:
    """Each dependency of users has a lowest version, which the checks install, and ends before the next major one."""
    needed = metadata.get_all("Requires-Dist") or []
    assert needed
    assert not [one for one in needed if ">=" not in one or "<" not in one]
