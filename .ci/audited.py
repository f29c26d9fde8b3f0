"""Read pip-audit's report: a line for each known vulnerability, and an exit code that says whether there are any."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(report: str) -> int:
    """Print what was found."""
    found = json.loads(Path(report).read_text(encoding="utf-8"))["dependencies"]
    told = [
        f"{one['name']} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'no version yet'}"
        for one in found
        for bug in one.get("vulns", ())
    ]
    audited = sum("skip_reason" not in one for one in found)
    if not audited:
        print("skipped: the advisory service that is reached from here knows none of the packages")
        return 0
    print("\n".join([*told, f"{len(told)} known vulnerabilities in {audited} packages"]))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
