"""What of MLflow's insides this program leans on; a new version of MLflow that moved one of them is noticed here."""

from pathlib import Path
from typing import Any

import pytest

from study.mlflow import private
from study.mlflow.database import sqlite_uri
from study.mlflow.exchange import LimitedSession
from study.mlflow.store import open_client


def test_every_request_of_mlflow_goes_through_a_limited_session(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.utils import rest_utils

    asked: list[str] = []

    def request(self: LimitedSession, method: str, url: str, **how: Any) -> Any:
        asked.append(url)
        raise ConnectionError("not sent")

    monkeypatch.setattr(LimitedSession, "request", request)
    client = open_client("http://127.0.0.1:9")
    with pytest.raises(Exception, match="not sent"):
        client.search_experiments()
    with pytest.raises(Exception, match="not sent"):
        rest_utils.http_request(rest_utils.MlflowHostCreds("http://127.0.0.1:9"), "/artifacts", "PUT", data=b"")
    with pytest.raises(Exception, match="not sent"):
        rest_utils.cloud_storage_http_request("put", "http://127.0.0.1:9/cloud")
    assert len(asked) == 3


def test_a_store_is_made_and_read_in_bulk(tmp_path: Path) -> None:
    uri = sqlite_uri(tmp_path / "mlflow.db")
    private.make_store(uri, tmp_path.as_uri())
    assert private.newest_schema() in (tmp_path / "mlflow.db").read_bytes().decode("latin-1")
    client = open_client(uri)
    assert [e.artifact_location for e in client.search_experiments()] == [f"{tmp_path.as_uri()}/0"]
    read = private.history_reader(client)
    assert read is not None
    assert list(read([], "fid", 10)) == []
    assert private.history_reader(open_client("http://127.0.0.1:9")) is None
    private.forget_connections(uri)
