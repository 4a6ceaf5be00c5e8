"""Writes old-*.info.json: what youtube-dl, and yt-dlp until 2022, wrote of invented posts; the uploader's id is the handle there.

Made with Python 3.11.7, youtube-dl 2020.12.31. Its own extractor and YoutubeDL run; only the page is ours.

    python3 -m venv venv && venv/bin/pip install youtube_dl==2020.12.31
    venv/bin/python tests/import/yt-dlp/make_old.py
"""

import json
import os
import pathlib
import sys

from youtube_dl import YoutubeDL
from youtube_dl.extractor.instagram import InstagramIE
from youtube_dl.utils import std_headers

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import invented  # noqa: E402

# It writes the name of the video's file down.
os.chdir(HERE)
# It makes one up.
std_headers["User-Agent"] = "Mozilla/5.0"


def save(name, node):
    page = {"entry_data": {"PostPage": [{"graphql": {"shortcode_media": node}}]}}
    InstagramIE._download_webpage = lambda *_: f"<script>window._sharedData = {json.dumps(page)};</script>"
    template = f"old-{name}-%(id)s.%(ext)s"
    settings = {"quiet": True, "skip_download": True, "writeinfojson": True, "outtmpl": template}
    with YoutubeDL(settings, auto_init=False) as program:
        program.add_info_extractor(InstagramIE())
        info = program.extract_info(f"https://www.instagram.com/p/{node['shortcode']}/")
    if "entries" in info:
        pathlib.Path(f"old-{name}-J.info.json").write_text(json.dumps(info, ensure_ascii=False, indent=1) + "\n")


save("soto", invented.GRAPHQL_SOTO)
save("pasar", invented.GRAPHQL_PASAR)
