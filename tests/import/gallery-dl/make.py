"""Writes the files beside: what gallery-dl's metadata postprocessor writes of invented posts.

Made with Python 3.11.7, gallery-dl 1.32.18. Its own extractor, job and postprocessor run; only the answers are ours, and
nothing is downloaded.

    python3 -m venv venv && venv/bin/pip install gallery-dl==1.32.18
    venv/bin/python tests/import/gallery-dl/make.py
"""

import copy
import pathlib
import shutil
import sys
import tempfile

from gallery_dl import config, extractor, job

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import invented  # noqa: E402

SCRATCH = tempfile.mkdtemp()
PROCESSORS = [{"name": "metadata"}, {"name": "metadata", "event": "post", "filename": "info.json"}]


def save(name, answer, url):
    """Every file that is written for this post, named by what it is and its extension."""
    config.clear()
    config.set((), "base-directory", SCRATCH)
    config.set((), "postprocessors", PROCESSORS)
    config.set((), "directory", [name])
    config.set((), "download", False)
    config.set((), "skip", False)
    config.set(("extractor", "instagram"), "sleep-request", 0)
    config.set(("extractor", "instagram"), "audio", True)
    config.set(("extractor", "instagram"), "videos", "merged")
    extr = extractor.find(url)
    extr.initialize()
    extr.posts = lambda: [copy.deepcopy(answer)]
    extr.login = lambda: None
    job.DownloadJob(extr).run()
    for path in sorted(pathlib.Path(SCRATCH, name).iterdir()):
        shutil.copy(path, HERE / f"{name}-{path.name}")


def reel(code):
    return f"https://www.instagram.com/reel/{code}/"


save("soto", invented.SOTO, reel("DGrSoto4yam"))
save("sambal", invented.SAMBAL, reel("DGsSambal_1"))
save("pasar", invented.PASAR, "https://www.instagram.com/p/DGuPasar-03/")
save("foto", invented.FOTO, "https://www.instagram.com/p/DGvFoto0004/")
stories = {"id": invented.SRI["pk"], "user": invented.user(invented.SRI), "items": [invented.STORY], "seen": 1741400000}
save("story", stories, f"https://www.instagram.com/stories/{invented.SRI['username']}/")
