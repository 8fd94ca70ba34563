"""A bench as it was before a program changed it, for tests that begin at the same place again and again.

    snapshot = Snapshot(bench)
    bench.enroll(volume)
    snapshot.restore()
"""

import shutil
import subprocess

from bootseal import MEASURED


class Snapshot:
    """The machine as it was: TPM, state folder, volumes, report."""

    def __init__(self, bench):
        self._bench = bench
        self._folder = bench.folder / "snapshot"
        bench.tpm.stop()
        shutil.copytree(bench.tpm.state_dir, self._folder / "tpm")
        if bench.state.exists():
            shutil.copytree(bench.state, self._folder / "state")
        for volume in bench.volumes:
            subprocess.run(["cp", "--sparse=always", volume.path, self._folder], check=True)
        if bench.report.exists():
            shutil.copy(bench.report, self._folder)
        bench.tpm.start()
        bench.measure(MEASURED)

    def restore(self) -> None:
        """Make it so again, booted into the approved state."""
        bench = self._bench
        bench.tpm.cut()
        shutil.rmtree(bench.tpm.state_dir)
        shutil.copytree(self._folder / "tpm", bench.tpm.state_dir)
        shutil.rmtree(bench.state, ignore_errors=True)
        if (self._folder / "state").exists():
            shutil.copytree(self._folder / "state", bench.state)
        for volume in bench.volumes:
            subprocess.run(["cp", "--sparse=always", self._folder / volume.path.name, volume.path], check=True)
        for path in bench.folder.glob("report.json*"):
            path.unlink()
        if (self._folder / "report.json").exists():
            shutil.copy(self._folder / "report.json", bench.report)
        bench.tpm.start()
        bench.measure(MEASURED)
