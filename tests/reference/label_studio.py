"""Writes what src/data/review/label_studio/ reads: label_studio/, exports of a real server's project in which two annotators
answer, skip, leave and change. Its config.xml and tasks.json are what reels writes:

    cargo test --lib write_what_label_studio_takes -- --ignored

Made with Python 3.11.7, label-studio 1.23.2, label-studio-sdk 2.1.2. Times, ids and hashes differ each time it runs.

    python3 -m venv venv
    venv/bin/pip install label-studio==1.23.2 label-studio-sdk==2.1.2
    venv/bin/python tests/reference/label_studio.py
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import requests
from label_studio_sdk.label_interface import LabelInterface

HERE = pathlib.Path(__file__).parent / "label_studio"
URL = "http://127.0.0.1:8931"
CONFIG = (HERE / "config.xml").read_text()
TASKS = json.loads((HERE / "tasks.json").read_text())
OFFLINE = {"COLLECT_ANALYTICS": "0", "LATEST_VERSION_CHECK": "0", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
USERS = {"sari@example.id": "kata-sandi-sari", "budi@example.id": "kata-sandi-budi"}
FIRST, SECOND = USERS


class User:
    """A session of the server."""

    def __init__(self, email, path):
        self.session = requests.Session()
        self.session.get(URL + path)
        form = {"email": email, "password": USERS[email], "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        answer = self.session.post(URL + path, data=form, allow_redirects=False)
        assert answer.status_code == 302, answer.text

    def ask(self, method, path, **arguments):
        headers = {"X-CSRFToken": self.session.cookies["csrftoken"], "Referer": URL}
        answer = self.session.request(method, URL + "/api" + path, headers=headers, **arguments)
        assert answer.ok, (path, answer.status_code, answer.text[:2000])
        return answer

    def annotate(self, task, category, ad, note=None, seconds=10.5):
        answer = self.ask("POST", f"/tasks/{task}/annotations", json={"result": result(category, ad, note), "lead_time": seconds})
        return answer.json()["id"]


def choice(task, label):
    return {"from_name": f"answer_{task}", "to_name": "transcript", "type": "choices", "origin": "manual", "value": {"choices": [label]}}


def result(category, ad, note=None):
    said = [choice("category", category), choice("ada iklan", ad)]
    if note:
        said.append({"from_name": "note", "to_name": "transcript", "type": "textarea", "origin": "manual", "value": {"text": [note]}})
    return said


def server(folder):
    program = pathlib.Path(sys.executable).parent / "label-studio"
    arguments = ["start", "--no-browser", "--port", "8931", "--internal-host", "127.0.0.1", "--data-dir", folder]
    arguments += ["--username", FIRST, "--password", USERS[FIRST], "--log-level", "WARNING"]
    running = subprocess.Popen([program, *arguments], env={**os.environ, **OFFLINE, "LABEL_STUDIO_BASE_DATA_DIR": folder})
    for _ in range(300):
        try:
            requests.get(URL + "/health", timeout=1).raise_for_status()
            return running
        except requests.RequestException:
            time.sleep(1)
    running.kill()
    raise SystemExit("the server doesn't start")


def check():
    """By the SDK, before the server does."""
    interface = LabelInterface(CONFIG)
    interface.validate()
    assert interface.get_control("answer_category").labels == ["kuliner", "musik", "tanya \"&\" jawab <3"]
    assert interface.get_control("answer_ada iklan").labels == ["iklan", "bukan iklan"]
    for task in TASKS:
        assert interface.validate_task({"data": task["data"]})
        assert all(interface.validate_prediction(prediction) for prediction in task.get("predictions", []))


def project(user):
    number = user.ask("POST", "/projects", json={"title": "reels", "label_config": CONFIG}).json()["id"]
    user.ask("POST", f"/projects/{number}/import", json=TASKS)
    tasks = user.ask("GET", "/tasks", params={"project": number, "page_size": 100}).json()["tasks"]
    return number, sorted(task["id"] for task in tasks)


def answer(first, second, tasks):
    first.annotate(tasks[0], "kuliner", "iklan", "Ada kode diskon \"WARUNG10\",\nmungkin <iklan> & ajakan.", 31.25)
    first.annotate(tasks[1], "musik", "bukan iklan")
    first.annotate(tasks[2], "tanya \"&\" jawab <3", "bukan iklan")
    first.ask("POST", f"/tasks/{tasks[3]}/annotations", json={"result": [], "was_cancelled": True, "lead_time": 2.0})
    changed = first.annotate(tasks[4], "musik", "iklan", seconds=5.0)
    first.ask("PATCH", f"/annotations/{changed}", json={"result": result("kuliner", "iklan", "Tadinya musik."), "lead_time": 12.0})
    first.ask("POST", f"/tasks/{tasks[5]}/drafts", json={"result": [choice("category", "musik")], "lead_time": 3.0})
    second.annotate(tasks[0], "kuliner", "bukan iklan")
    second.annotate(tasks[1], "musik", "bukan iklan", "Lagu daerah.")
    second.annotate(tasks[3], "kuliner", "iklan")
    second.ask("POST", f"/tasks/{tasks[2]}/annotations", json={"result": [], "was_cancelled": True, "lead_time": 1.0})


def export(user, number, kind, name, **options):
    answer = user.ask("GET", f"/projects/{number}/export", params={"exportType": kind, **options})
    (HERE / name).write_bytes(answer.content)


def snapshot(user, number, name):
    """As an export, with names of users."""
    options = {"serialization_options": {"annotations__completed_by": {"only_id": False}}}
    made = user.ask("POST", f"/projects/{number}/exports", json=options).json()
    while made["status"] not in ["completed", "failed"]:
        time.sleep(1)
        made = user.ask("GET", f"/projects/{number}/exports/{made['id']}").json()
    download = user.ask("GET", f"/projects/{number}/exports/{made['id']}/download", params={"exportType": "JSON"})
    (HERE / name).write_bytes(download.content)


check()
with tempfile.TemporaryDirectory() as folder:
    running = server(folder)
    try:
        first, second = User(FIRST, "/user/login/"), User(SECOND, "/user/signup/")
        number, tasks = project(first)
        answer(first, second, tasks)
        export(first, number, "JSON", "export.json")
        export(first, number, "JSON", "export-all.json", download_all_tasks="true")
        export(first, number, "JSON_MIN", "export-min.json", download_all_tasks="true")
        export(first, number, "CSV", "export.csv")
        snapshot(first, number, "snapshot.json")
    finally:
        running.terminate()
        running.wait()
