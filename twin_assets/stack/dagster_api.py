"""The few questions and orders that stopping Dagster in good order needs, over its GraphQL door."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any
from urllib.parse import unquote, urlsplit

from twin_assets.errors import StackError
from twin_assets.settings import without_credentials

TIMEOUT_S = 10.0
RELOAD_TIMEOUT_S = 60.0
Selector = dict[str, str]

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on PythonError { message causes { message } } } } } } }"""
ACTIVE_RUNS = """{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]})
  { ... on Runs { results { runId status } } } }"""
LATEST_RUNS = """query ($job: String!) { runsOrError(filter: {pipelineName: $job}, limit: 8)
  { ... on Runs { results { runId status creationTime startTime endTime tags { key value } } } } }"""
RUN_STATUS = """query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"""
LAUNCH_JOB = """mutation ($job: ExecutionParams!) { launchRun(executionParams: $job) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE_RUNS = """mutation ($runs: [String!]!) { terminateRuns(runIds: $runs,
  terminatePolicy: SAFE_TERMINATE) { __typename } }"""
SENSORS = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name }
  sensors { name sensorState { id status } } } } } }"""
STOP_SENSOR = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"
RELOAD_LOCATION = """mutation ($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name)
  { __typename } }"""
UNREACHABLE = "DagsterUserCodeUnreachableError"
RESET_SENSOR = (
    """mutation ($sensor: SensorSelector!) { resetSensor(sensorSelector: $sensor) { __typename } }"""
)


class DagsterApi:
    """Dagster's GraphQL at `url`; all but `is_up` and `is_loaded` raise StackError where it does not answer.

    User and password in the URL are for a proxy before Dagster, which has no login of its own.
    """

    def __init__(self, url: str) -> None:
        self._url = without_credentials(url).rstrip("/")
        self._login = _login_of(url)

    def is_up(self) -> bool:
        """Say whether the webserver answers."""
        try:
            return "dagster_webserver_version" in self._load("server_info")
        except (OSError, ValueError):
            return False

    def load_error(self) -> str | None:
        """Return in one line why a code location cannot be loaded; None where all is well so far."""
        entries = self._ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        outcomes = [entry["locationOrLoadError"] or {} for entry in entries]
        for outcome in outcomes:
            if "message" in outcome:
                innermost: str = [outcome, *outcome["causes"]][-1]["message"]
                return innermost.strip().splitlines()[0]
        return None

    def is_loaded(self) -> bool:
        """Say whether every code location has been loaded, well or not; False while it is too busy to say."""
        try:
            entries = self._ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except StackError:
            return False
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    def unreachable_locations(self) -> list[str]:
        """Name the code locations whose server is gone; one with an error in its code is not among them."""
        entries = self._ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        return [
            entry["name"]
            for entry in entries
            if UNREACHABLE in (entry["locationOrLoadError"] or {}).get("message", "")
        ]

    def reload_location(self, name: str) -> None:
        """Have a code location loaded by a new server; runs of the old one go on."""
        self._ask(RELOAD_LOCATION, RELOAD_TIMEOUT_S, name=name)

    def active_runs(self) -> dict[str, str]:
        """Return the status of each run that is not over, by run id."""
        return {run["runId"]: run["status"] for run in self._ask(ACTIVE_RUNS)["runsOrError"]["results"]}

    def latest_runs(self, job: str) -> list[dict[str, Any]]:
        """Return a job's latest runs, newest first: runId, status, its times (s), tags."""
        runs = self._ask(LATEST_RUNS, job=job)["runsOrError"].get("results", [])
        return [run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in runs]

    def launch(self, job: str) -> str:
        """Launch a job with its default configuration and return the run's id."""
        location = self._ask(SENSORS)["repositoriesOrError"]["nodes"][0]
        selector = {
            "repositoryName": location["name"],
            "repositoryLocationName": location["location"]["name"],
            "pipelineName": job,
        }
        answer = self._ask(LAUNCH_JOB, job={"selector": selector, "runConfigData": {}})["launchRun"]
        if "run" not in answer:
            raise StackError(f"Dagster cannot launch {job}: {answer.get('message', answer['__typename'])}")
        return str(answer["run"]["runId"])

    def run_status(self, run_id: str) -> str:
        """Return a run's status, such as STARTED or SUCCESS."""
        return str(self._ask(RUN_STATUS, run=run_id)["runOrError"].get("status", "MISSING"))

    def terminate(self, runs: list[str]) -> None:
        """Ask runs to end what they have in hand and stop."""
        self._ask(TERMINATE_RUNS, runs=runs)

    def running_sensors(self) -> dict[str, Selector]:
        """Return each running sensor's state id and selector."""
        return {
            sensor["sensorState"]["id"]: {
                "repositoryName": repository["name"],
                "repositoryLocationName": repository["location"]["name"],
                "sensorName": sensor["name"],
            }
            for repository in self._ask(SENSORS)["repositoriesOrError"]["nodes"]
            for sensor in repository["sensors"]
            if sensor["sensorState"]["status"] == "RUNNING"
        }

    def stop_sensor(self, state_id: str) -> None:
        """Keep a sensor from ticking until it is reset."""
        self._ask(STOP_SENSOR, id=state_id)

    def reset_sensor(self, sensor: Selector) -> None:
        """Give a sensor back the status that the code gives it."""
        self._ask(RESET_SENSOR, sensor=sensor)

    def _ask(self, query: str, timeout_s: float = TIMEOUT_S, /, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        try:
            answer = self._load("graphql", body, timeout_s=timeout_s)
        except (OSError, ValueError) as error:
            raise StackError(f"Dagster at {self._url} does not answer ({error})") from error
        if answer.get("errors"):
            raise StackError(f"Dagster at {self._url} refuses: {answer['errors'][0]['message']}")
        data: dict[str, Any] = answer["data"]
        return data

    def _load(self, path: str, body: bytes | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        request = urllib.request.Request(  # noqa: S310 - settings take http and https alone
            f"{self._url}/{path}", body, {"Content-Type": "application/json"}
        )
        if self._login:
            request.add_unredirected_header("Authorization", self._login)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:  # noqa: S310 - as above
                return json.load(reply)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise


def _login_of(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.username is None:
        return None
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(login.encode()).decode()}"
