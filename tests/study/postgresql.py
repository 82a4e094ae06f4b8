"""A throw-away PostgreSQL server from the machine's own binaries, on a Unix socket and the loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "ganstudy"


@dataclass(frozen=True)
class Server:
    socket: Path
    port: int

    @property
    def url(self) -> str:
        """By the Unix socket."""
        return f"postgresql://{USER}@:{self.port}/postgres?host={self.socket}"


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: by PATH, pg_config, or where Debian puts them."""
    candidates = []
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(answer.stdout.strip()))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((c for c in candidates if (c / "initdb").exists() and (c / "pg_ctl").exists()), None)


@contextmanager
def running_server(binaries: Path) -> Iterator[Server]:
    """Start a server in a folder of its own and remove both afterwards. As root it runs as `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="ganpg"))
    nobody: tuple[int, int] | None = None
    if os.geteuid() == 0:  # which initdb refuses
        entry = pwd.getpwnam("nobody")
        nobody = (entry.pw_uid, entry.pw_gid)
        os.chown(folder, *nobody)

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            user=nobody and nobody[0],
            group=nobody and nobody[1],
            extra_groups=[] if nobody else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = folder / "data", folder / "log"
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    try:
        run(binaries / "initdb", "-D", data, "-U", USER, "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
        # The socket lets everyone in, the loopback asks for a password.
        hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(hba)
        run(binaries / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        try:
            yield Server(folder, port)
        finally:
            run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
