"""Servers that nobody here wrote: nginx in front of the sandbox, uvicorn with Starlette, Prism from a description."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "real_servers"
START_S = 300.0


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def started(
    command: list[str], *, port: int, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; yields once its port takes connections."""
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}
        )
        try:
            end = time.monotonic() + START_S
            while not _answers(port):
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < end, "the server does not start"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


@contextmanager
def nginx(folder: Path, *, files_url: str) -> Iterator[dict[str, str]]:
    """Run nginx; yields the address of each gateway by its name in nginx.conf."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("needs nginx: apt-get install nginx")
    text = (HERE / "nginx.conf").read_text()
    names = list(dict.fromkeys(re.findall(r"listen 127\.0\.0\.1:@(\w+)@", text)))
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with socket.socket() as dead:
        # Bound and not listening: connections are refused, and nobody else takes the port.
        dead.bind(("127.0.0.1", 0))
        values = ports | {"files": int(files_url.rpartition(":")[2]), "dead": dead.getsockname()[1]}
        (folder / "nginx.conf").write_text(re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), text))
        command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with started(command, port=ports[names[0]], folder=folder):
            yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


@contextmanager
def uvicorn(folder: Path, *options: str, body_bytes_max: int = 4_000_000) -> Iterator[str]:
    """Run the Starlette application with uvicorn."""
    for module in ("uvicorn", "starlette", "python_multipart"):
        pytest.importorskip(module, reason=f"needs {module}: pip install '.[servers]'")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "--port", str(port)]
    command += ["--no-access-log", *options, "files_app:app"]
    env = {"FILES_APP_BODY_BYTES_MAX": str(body_bytes_max)}
    with started(command, port=port, folder=folder, env=env):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prism(folder: Path, description: str = "files_api.yaml") -> Iterator[str]:
    """Run Prism as a mock of the described API."""
    program = shutil.which("prism")
    if program is None:
        pytest.skip("needs Prism on the PATH: npm install @stoplight/prism-cli")
    (port,) = free_ports(1)
    command = [program, "mock", "-h", "127.0.0.1", "-p", str(port), str(HERE / description)]
    with started(command, port=port, folder=folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def llama_stack(folder: Path) -> Iterator[str]:
    """Run llama-stack with its Files API alone."""
    program = os.environ.get("LLAMA_STACK_CLI") or shutil.which("llama")
    if program is None:
        pytest.skip("needs llama-stack's `llama` on the PATH, or its place in LLAMA_STACK_CLI")
    (port,) = free_ports(1)
    command = [program, "stack", "run", str(HERE / "llama_stack.yaml"), "--port", str(port)]
    with started(command, port=port, folder=folder, env={"FILES_DIR": str(folder)}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def litellm(folder: Path, *, files_url: str, files_key: str, key: str, lists: bool) -> Iterator[str]:
    """Run the LiteLLM proxy in front of an OpenAI server; it lists only with the server's key in the environment."""
    program = os.environ.get("LITELLM_CLI") or shutil.which("litellm")
    if program is None:
        pytest.skip("needs LiteLLM's `litellm` on the PATH, or its place in LITELLM_CLI")
    (port,) = free_ports(1)
    command = [program, "--config", str(HERE / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    env = {
        "FILES_URL": f"{files_url}/v1",
        "FILES_KEY": files_key,
        "LITELLM_MASTER_KEY": key,
        # It asks the network for prices otherwise.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    if lists:
        env |= {"OPENAI_API_KEY": files_key, "OPENAI_BASE_URL": f"{files_url}/v1"}
    with started(command, port=port, folder=folder, env=env):
        yield f"http://127.0.0.1:{port}"
