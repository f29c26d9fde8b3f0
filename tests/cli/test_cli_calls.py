"""``get``, ``list``, ``delete`` and ``download``."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest

from topaz_status.testing import SimulatorProcess

from .driver import Cli, child, ended, line_of, terminal

PAST = {"after": -60.0, "duration": 1.0}
Environment = dict[str, str]


def _truly_deleted(simulator: SimulatorProcess) -> int:
    endpoints = simulator.stats()["by_endpoint"]
    return int(endpoints.get("image.delete", 0) + endpoints.get("image.delete_all", 0))


class TestGet:
    def test_prints_the_fields_of_a_status(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """A field a line, times as times, and a job on its way counts as success."""
        (job,) = simulator.add_jobs([{"kind": "image", "stuck": True}])
        result = cli("get", job)
        assert (result.code, result.lines[0]) == (0, job)
        fields = dict(line.split(maxsplit=1) for line in result.lines[1:])
        assert fields["state"].startswith("running")
        assert fields["creation_time"][:2] == "20"
        assert fields["output_format"] == "jpeg"

    def test_hides_links_unless_asked(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """A signed link is as good as a key: neither text nor JSON holds it, however deep it lies."""
        jobs = simulator.add_jobs([{"kind": "video", **PAST}, {"kind": "try-on", **PAST}])
        assert "127.0.0.1" not in cli("get", *jobs).out + cli("get", *jobs, "--json").out
        assert cli("get", *jobs, "--urls").out.count("http://127.0.0.1") == 2
        video, try_on = cli("get", *jobs, "--urls", "--json").objects
        assert video["fields"]["download"]["url"] == video["result_url"]
        assert try_on["result_url"].startswith("http://127.0.0.1")

    def test_json_holds_what_the_service_sent(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """Under the service's own names; a job that failed gives exit code 1."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST, "outcome": "failed"}])
        result = cli("get", job, "--json")
        (printed,) = result.objects
        assert (result.code, printed["job"], printed["state"]) == (1, job, "failed")
        assert printed["fields"]["process_id"] == job.removeprefix("image:")

    def test_an_unknown_job_is_one_line_and_the_next_one_is_asked(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """The service has spoken: exit code 1."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
        result = cli("get", "try-on:nobody", job)
        assert (result.code, result.lines[0]) == (1, job)
        assert result.err.startswith("topaz-status: 404 for try-on:nobody: ")
        assert result.err.count("\n") == 1

    def test_a_key_that_may_not_gives_exit_code_3(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """Nothing could be found out; the message says what to check."""
        simulator.add_faults([{"name": "403"}])
        refused = cli("get", "image:00000000-0000-4000-8000-000000000000")
        assert refused.code == 3
        assert "credits" in refused.err

    def test_ctrl_c_says_how_many_were_not_done(self, environment: Environment, simulator: SimulatorProcess) -> None:
        """Exit code 130, no traceback."""
        jobs = simulator.add_jobs([{"kind": "image", "count": 3, **PAST}])
        simulator.add_faults([{"name": "hang", "job": jobs[1]}])
        with child(["get", "--json", *jobs], environment) as process:
            line_of(process.stdout)
            process.send_signal(signal.SIGINT)
            result = ended(process)
        assert (result.code, result.err) == (130, "topaz-status: stopped: 2 of 3 jobs not done\n")


class TestList:
    def test_images_are_the_default(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """A line each, of all pages."""
        jobs = simulator.add_jobs([{"kind": "image", "count": 120, **PAST}, {"kind": "video", **PAST}])
        result = cli("list", "--rate=100")
        assert result.code == 0
        assert {line.split()[0] for line in result.lines} == set(jobs[:120])
        assert simulator.stats()["by_endpoint"] == {"image.list": 2}

    def test_a_limit_saves_requests(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """No page is asked for that is not needed."""
        simulator.add_jobs([{"kind": "image", "count": 120, **PAST}])
        assert len(cli("list", "--limit", "30").lines) == 30
        assert simulator.stats()["by_endpoint"] == {"image.list": 1}

    def test_videos_say_why_they_failed(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """The history's reason stands at the end of the line, and in the JSON; links do not."""
        simulator.add_jobs([{"kind": "video", **PAST, "outcome": "failed", "message": "Too dark."}])
        simulator.add_jobs([{"kind": "video", **PAST}])
        assert any("Too dark." in line for line in cli("list", "video").lines)
        result = cli("list", "video", "--json")
        assert {printed["state"] for printed in result.objects} == {"failed", "completed"}
        assert "127.0.0.1" not in result.out

    def test_a_service_in_trouble_gives_exit_code_3(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """What could not be listed is not an empty list."""
        simulator.add_faults([{"name": "malformed"}])
        result = cli("list")
        assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)


class TestDelete:
    def test_yes_deletes_without_a_question(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """The record is gone; a second time is an error of that job."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
        assert cli("delete", job, "--yes").out.split() == [job, "deleted"]
        again = cli("delete", job, "-y")
        assert (again.code, again.out) == (1, "")
        assert "404" in again.err

    def test_without_a_terminal_it_refuses(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """Nobody is there to be asked: exit code 2, nothing sent."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
        result = cli("delete", job)
        assert result.code == 2
        assert "--yes" in result.err
        assert _truly_deleted(simulator) == 0

    def test_a_job_on_its_way_is_left(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """The service's 409 is shown, with what to do; the others are deleted."""
        running, done = simulator.add_jobs([{"kind": "image", "stuck": True}, {"kind": "image", **PAST}])
        result = cli("delete", running, done, "--yes", "--json")
        assert (result.code, result.objects) == (1, [{"job": done, "deleted": True}])
        assert f"409 for {running}" in result.err
        assert "waits for its end" in result.err

    @pytest.mark.parametrize("job", ["video:v", "try-on:t"])
    def test_only_images_have_records_to_delete(self, cli: Cli, job: str) -> None:
        """Other kinds are refused at the door."""
        result = cli("delete", job, "--yes")
        assert result.code == 2
        assert f"{job} cannot be deleted" in result.err

    def test_all_and_jobs_exclude_each_other(self, cli: Cli) -> None:
        """What is meant must be plain."""
        assert cli("delete", "image:a", "--all", "--yes").code == 2

    def test_all_says_how_many_there_were(self, cli: Cli, simulator: SimulatorProcess) -> None:
        """The service counts them."""
        simulator.add_jobs([{"kind": "image", "count": 3, **PAST}])
        assert cli("delete", "--all", "--yes").out == "3 records deleted\n"
        assert cli("delete", "--all", "--yes", "--json").objects == [{"deleted_count": 0}]

    @pytest.mark.parametrize(("answer", "deleted"), [("y", 1), ("n", 0), ("", 0), ("yes", 1)])
    def test_on_a_terminal_it_asks(
        self, environment: Environment, simulator: SimulatorProcess, answer: str, deleted: int
    ) -> None:
        """Only a plain yes deletes."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
        with terminal(["delete", job], environment) as screen:
            screen.until(f"Delete the records of {job}? This cannot be undone. [y/N] ")
            screen.type(f"{answer}\n")
            assert screen.end() == 0
        assert _truly_deleted(simulator) == deleted
        assert ("nothing was deleted" in screen.shown) is not bool(deleted)

    def test_ctrl_c_at_the_question_deletes_nothing(
        self, environment: Environment, simulator: SimulatorProcess
    ) -> None:
        """Exit code 130."""
        with terminal(["delete", "--all"], environment) as screen:
            screen.until("ALL image jobs")
            screen.interrupt()
            assert screen.end() == 130
        assert "Traceback" not in screen.shown
        assert _truly_deleted(simulator) == 0


class TestDownload:
    def test_files_of_every_kind_land_in_the_folder(
        self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path
    ) -> None:
        """One line a file, and the bytes that the storage holds."""
        jobs = simulator.add_jobs({"kind": kind, "size": 5000, **PAST} for kind in ("image", "video", "try-on"))
        result = cli("download", *jobs, "--folder", tmp_path / "new", "--rate=100")
        assert (result.code, len(result.lines)) == (0, 3)
        for job in jobs:
            (path,) = (tmp_path / "new").glob(f"{job.replace(':', '-')}.*")
            assert path.read_bytes() == hashlib.shake_256(job.encode()).digest(5000)
            assert str(path) in result.out

    def test_a_cut_connection_is_no_matter(self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path) -> None:
        """The rest is fetched, and JSON says where the file is."""
        (job,) = simulator.add_jobs([{"kind": "image", "size": 300_000, **PAST}])
        simulator.add_faults([{"name": "truncated", "service": "storage", "count": 1}])
        result = cli("download", job, "--folder", tmp_path, "--name", "mine.jpg", "--json")
        assert result.objects == [{"job": job, "path": str(tmp_path / "mine.jpg"), "bytes": 300_000}]
        assert [path.name for path in tmp_path.iterdir()] == ["mine.jpg"]

    def test_so_many_at_once(self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path) -> None:
        """The number of files fetched at once can be chosen, and is checked; more than the client's own eight, too."""
        jobs = simulator.add_jobs([{"kind": "video", "count": 12, "size": 5000, **PAST}])
        for number in ("1", "12"):
            result = cli("download", *jobs, "--folder", tmp_path / number, "--rate=100", "--max-downloads", number)
            assert (result.code, len(list((tmp_path / number).iterdir()))) == (0, 12)
        assert cli("download", *jobs, "--max-downloads", "0").code == 2

    def test_a_job_without_a_result_is_reported(self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path) -> None:
        """On its way: wait for it. Failed: why. The others are fetched; exit code 1."""
        running, failed, done = simulator.add_jobs(
            [
                {"kind": "video", "stuck": True},
                {"kind": "try-on", **PAST, "outcome": "failed"},
                {"kind": "video", **PAST},
            ]
        )
        result = cli("download", running, failed, done, "--folder", tmp_path, "--rate=100")
        assert (result.code, len(result.lines)) == (1, 1)
        assert "'topaz-status watch JOB' waits for it" in result.err
        assert f"{failed} failed" in result.err
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_job_that_failed_is_not_waited_for(self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path) -> None:
        """The image service answers 409 for one under way and for one that failed: the status says which."""
        (job,) = simulator.add_jobs([{"kind": "image", **PAST, "outcome": "failed"}])
        result = cli("download", job, "--folder", tmp_path)
        assert (result.code, result.out) == (1, "")
        assert f"409 for {job}" in result.err
        assert result.err.endswith("; 'topaz-status get JOB' shows whether it failed\n")

    @pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", ""])
    def test_a_name_cannot_leave_the_folder(self, cli: Cli, name: str) -> None:
        """Refused before anything is sent."""
        result = cli("download", "image:a", "--name", name)
        assert result.code == 2
        assert "plain file name" in result.err

    def test_a_name_is_for_one_job(self, cli: Cli) -> None:
        """Two files cannot share it."""
        assert cli("download", "image:a", "image:b", "--name", "x").code == 2

    def test_a_folder_that_cannot_be_written_to_is_one_line(
        self, cli: Cli, simulator: SimulatorProcess, tmp_path: Path
    ) -> None:
        """The operating system's own words, exit code 3."""
        (tmp_path / "file").touch()
        (job,) = simulator.add_jobs([{"kind": "video", **PAST}])
        result = cli("download", job, "--folder", tmp_path / "file" / "below")
        assert (result.code, result.err.count("\n")) == (3, 1)
        assert "cannot write to" in result.err

    def test_ctrl_c_leaves_no_half_file(
        self, environment: Environment, simulator: SimulatorProcess, tmp_path: Path
    ) -> None:
        """What is whole stays, what is not is gone."""
        first, second = simulator.add_jobs([{"kind": "video", "count": 2, **PAST}])
        simulator.add_faults([{"name": "hang", "path": f"/_files/video/{second.removeprefix('video:')}"}])
        with child(["download", first, second, "--folder", tmp_path, "--json"], environment) as process:
            saved = json.loads(line_of(process.stdout))
            process.send_signal(signal.SIGINT)
            result = ended(process)
        assert (result.code, result.err) == (130, "topaz-status: stopped: 1 of 2 jobs not done\n")
        assert [str(path) for path in tmp_path.iterdir()] == [saved["path"]]
