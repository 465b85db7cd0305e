"""Run on a small disk of its own: fill it, see that nothing is half done, free it, see that everything is done.

`python full_disk.py FOLDER`, where FOLDER is a file system of some megabytes. Ends with 0 when all held.
"""

from __future__ import annotations

import errno
import io
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from prelisten.app import create_app
from prelisten.errors import StorageError
from prelisten.pipeline import receive, wait_for_decision
from prelisten.worker import run_worker
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined


def fill(path: Path) -> None:
    """Write until the disk takes no further byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 9, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def check(holds: bool, what: str) -> None:
    """End the run when something does not hold."""
    if not holds:
        raise SystemExit(f"does not hold: {what}")


def main(folder: Path) -> None:
    """Accept on an empty disk, refuse on a full one, decide when there is room again."""
    services = make_services(folder / "data", min_free_bytes=0, workers=0, wait_s=0)
    recordings = [wav_bytes(speech_like(2.0, seed=seed)) for seed in range(4)]
    accepted = [receive(quarantined(services, content), services)[0] for content in recordings[:2]]
    client = create_app(services.config).test_client()
    in_quarantine = quarantined(services, recordings[2])
    fill(folder / "filler")
    try:  # The file is on the disk already; the database has no room for its row.
        receive(in_quarantine, services)
    except StorageError as error:
        print("refused:", error)
    else:
        raise SystemExit("an upload was taken on a full disk")
    fill(folder / "filler-2")
    answer = client.post("/prelisten/v1/uploads", data={"file": (io.BytesIO(recordings[3]), "voice.wav")})
    print("refused:", answer.status, answer.json)
    check(answer.status_code in (503, 507), f"an upload is refused for want of storage, not {answer.status}")
    check(answer.json["error"]["code"] in ("storage_unavailable", "disk_full"), "the code says why")
    check(not any((services.config.data / "quarantine").iterdir()), "quarantine is empty after a refusal")
    stop = threading.Event()
    worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
    worker.start()
    try:
        check(wait_for_decision(accepted[0].id, services, 3) is None, "nothing is decided without room")
        (folder / "filler").unlink()
        (folder / "filler-2").unlink()
        for submission in accepted:
            decision = wait_for_decision(submission.id, services, 60)
            check(decision is not None, "what was accepted is decided when there is room again")
            codes = [reason.code for reason in decision.reasons]
            check("SCREENING_INCOMPLETE" not in codes, f"the recording was heard to its end: {codes}")
    finally:
        stop.set()
        worker.join()
    with services.storage.read() as tx:
        count = tx.connection.exec_driver_sql("SELECT count(*) FROM submissions").scalar_one()
    check(count == len(accepted), f"{len(accepted)} submissions, not {count}")
    for path in services.blobs.root.rglob("*"):
        if path.is_file():
            services.blobs.check(path.name)
    services.storage.close()
    print("all held")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
