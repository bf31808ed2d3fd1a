"""The shipped manifest, put on a running cluster by Ray's own command."""

import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.cluster import ROOT, Cluster
from tests.support.serve_app.administered import AS_ADMIN, AS_CLIENT, write_keys
from tests.support.serve_app.reliability import chat_body, until
from tests.support.serve_app.served import Artifacts, free_port, write_config
from tests.support.serve_app.tiny_artifacts import (
    candidate_entry,
    remote_entry,
    write_card_table,
    write_zoo,
)
from tests.support.upstream import running_upstream

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

MANIFEST = ROOT / "serve_app" / "manifests" / "serve_deploy.yaml"
READY_TIMEOUT_S = 240


def serve_command(cluster: Cluster, *words: str) -> str:
    result = subprocess.run(
        ["serve", *words, "--address", cluster.url],
        cwd=ROOT,
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_manifest_serves_all_but_the_candidate_that_cannot_start(
    cluster: Cluster, artifacts: Artifacts, tmp_path: Path
):
    """One misspelt engine option costs its candidate, not the other ones."""
    misspelt = candidate_entry("misspelt", tmp_path)
    misspelt["llm_config"]["engine_kwargs"]["max_modle_len"] = 64
    (tmp_path / "config.json").write_text("{}")
    sound = yaml.safe_load(artifacts.zoo.read_text())["candidates"][0]
    with running_upstream("remote") as upstream:
        names = ("misspelt", sound["name"], "remote")
        entries = [misspelt, sound, remote_entry("remote", upstream.url)]
        config = artifacts.config(
            zoo=write_zoo(tmp_path / "zoo.yaml", entries),
            cards=write_card_table(tmp_path / "cards.parquet", names),
            security={"keys": write_keys(tmp_path / "keys.yaml")},
        )
        manifest = yaml.safe_load(MANIFEST.read_text())
        manifest["http_options"]["port"] = free_port()
        manifest["applications"][0]["args"]["config"] = str(
            write_config(tmp_path / "serve.yaml", config)
        )
        (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(manifest))
        url = f"http://127.0.0.1:{manifest['http_options']['port']}"
        serve_command(cluster, "deploy", str(tmp_path / "manifest.yaml"))

        def described() -> dict[str, dict]:
            try:
                answer = httpx.get(f"{url}/admin/zoo", headers=AS_ADMIN, trust_env=False)
            except httpx.HTTPError:
                return {}
            found = answer.json()["candidates"] if answer.status_code == 200 else []
            return {candidate["name"]: candidate for candidate in found}

        def is_settled(found: dict[str, dict]) -> bool:
            return bool(found) and all(
                candidate["problem"] or candidate["running_replicas"] != 0
                for candidate in found.values()
            )

        found = until(described, is_settled, timeout_s=READY_TIMEOUT_S)
        assert "max_modle_len" in found["misspelt"]["problem"]
        assert [found[name]["problem"] for name in names[1:]] == [None, None]
        for model in ("auto", *names[1:]):
            answer = httpx.post(
                f"{url}/v1/chat/completions",
                json=chat_body("What is 12 plus 30?", max_tokens=2) | {"model": model},
                headers=AS_CLIENT,
                trust_env=False,
                timeout=60,
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["model"] != "misspelt"
        serve_command(cluster, "shutdown", "--yes")


def test_a_file_that_listens_everywhere_serves_nobody_without_keys(
    cluster: Cluster, artifacts: Artifacts, tmp_path: Path
):
    manifest = yaml.safe_load(MANIFEST.read_text())
    manifest["http_options"] |= {"host": "0.0.0.0", "port": free_port()}
    config = artifacts.config(
        zoo=write_zoo(tmp_path / "zoo.yaml", [remote_entry("remote", "http://127.0.0.1:1/v1")]),
        cards=write_card_table(tmp_path / "cards.parquet", ["remote"]),
    )
    manifest["applications"][0]["args"]["config"] = str(
        write_config(tmp_path / "serve.yaml", config)
    )
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    serve_command(cluster, "deploy", str(tmp_path / "manifest.yaml"))
    until(
        lambda: serve_command(cluster, "status"),
        lambda log: "host 0.0.0.0 can be reached from other machines" in log,
        timeout_s=READY_TIMEOUT_S,
    )
    url = f"http://127.0.0.1:{manifest['http_options']['port']}"
    with suppress(httpx.TransportError):  # Ray's proxy may hold what no replica takes
        assert httpx.get(f"{url}/v1/models", trust_env=False, timeout=5).status_code >= 400
    serve_command(cluster, "shutdown", "--yes")
