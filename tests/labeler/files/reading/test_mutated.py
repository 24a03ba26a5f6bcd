"""Whatever is in a file: its rows are taken or named, or it is refused in one sentence."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.support.mutated_files import File, check_file, files

FILES = 200


def test_no_file_ends_in_an_error_of_ours_or_is_half_taken(tmp_path: Path) -> None:
    @settings(
        max_examples=FILES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(files())
    def read(file: File) -> None:
        check_file(tmp_path, file)

    read()
