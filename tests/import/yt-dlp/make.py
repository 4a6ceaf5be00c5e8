"""Writes the files beside: what yt-dlp writes with --write-info-json, --no-download and -J of invented posts.

Made with Python 3.11.7, yt-dlp 2026.10.26. Its own extractors and YoutubeDL run; only the answers are ours. `epoch` is set.

    python3 -m venv venv && venv/bin/pip install yt-dlp==2026.10.26
    venv/bin/python tests/import/yt-dlp/make.py
"""

import copy
import json
import pathlib
import sys
import time

from yt_dlp import YoutubeDL
from yt_dlp.extractor.instagram import InstagramIE, InstagramStoryIE, InstagramUserIE

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import invented  # noqa: E402

time.time = lambda: 1764500000.0


class Answered:
    """The extractor with saved answers."""

    answer = None

    def _real_initialize(self):
        pass


class Post(Answered, InstagramIE):
    IE_NAME = "Instagram"

    @classmethod
    def ie_key(cls):
        return "Instagram"

    def _real_extract(self, url):
        return self._extract_product(copy.deepcopy(self.answer), video_id=self._match_id(url), get_comments=False)


class User(Answered, InstagramUserIE):
    IE_NAME = "instagram:user"

    @classmethod
    def ie_key(cls):
        return "InstagramUser"

    def _real_extract(self, url):
        name = self._match_id(url)
        return self.playlist_result(self._extract_nodes(copy.deepcopy(self.answer)), name, name)


class Story(Answered, InstagramStoryIE):
    IE_NAME = "instagram:story"

    @classmethod
    def ie_key(cls):
        return "InstagramStory"

    def _real_extract(self, url):
        return self.playlist_result([self._extract_product(copy.deepcopy(self.answer))], "3412", "Story by " + invented.SRI["username"])


def written(name, extractor, answer, url, **options):
    """The files that --write-info-json leaves."""
    extractor.answer = answer
    template = {"default": str(HERE / f"{name}-%(id)s.%(ext)s"), "pl_infojson": str(HERE / f"{name}-list.%(ext)s")}
    settings = {"quiet": True, "no_warnings": True, "skip_download": True, "writeinfojson": True, "outtmpl": template, "ignoreerrors": True}
    settings["http_headers"] = {"User-Agent": "Mozilla/5.0"}
    with YoutubeDL(settings | options, auto_init=False) as program:
        program.add_info_extractor(extractor())
        info = program.extract_info(url)
        return program.sanitize_info(info)


def save(name, info):
    # Paths of the machine that made it.
    for entry in info["entries"]:
        entry.pop("requested_downloads", None)
    (HERE / f"{name}.info.json").write_text(json.dumps(info, ensure_ascii=False, indent=1) + "\n")


reel = "https://www.instagram.com/reel/"
written("soto", Post, invented.SOTO, reel + "DGrSoto4yam/")
written("sambal", Post, invented.SAMBAL, reel + "DGsSambal_1/")
written("rendang", Post, invented.RENDANG, reel + "DGtRendang2/")
save("pasar-J", written("pasar", Post, invented.PASAR, "https://www.instagram.com/p/DGuPasar-03/", ignore_no_formats_error=True))
nodes = [invented.GRAPHQL_SOTO, invented.GRAPHQL_SAMBAL, invented.GRAPHQL_FOTO]
save("user-J", written("user", User, nodes, "https://www.instagram.com/dapur.mbaksri", extract_flat=True, writeinfojson=False))
save("story-J", written("story", Story, invented.STORY, "https://www.instagram.com/stories/dapur.mbaksri/", writeinfojson=False))
