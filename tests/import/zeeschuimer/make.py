"""Writes items.ndjson: invented posts as Zeeschuimer exports what the browser was shown.

Zeeschuimer is a browser's extension and wasn't run: the frame of a line is the one that js/zs-background.js stores at commit
062cd4ea, the items in it are what Instagram sends.

    python3 tests/import/zeeschuimer/make.py
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from invented import *  # noqa: E402, F403

WHEN = 1764500000123


def line(index, identity, data, platform="instagram.com"):
    return {
        "nav_index": f"1:{index}:0",
        "item_id": identity,
        "timestamp_collected": WHEN + index,
        "source_platform": platform,
        "source_platform_url": f"https://www.{platform}/",
        "source_url": f"https://www.{platform}/api",
        "user_agent": "Mozilla/5.0",
        "data": data,
    }


items = [SOTO, SAMBAL, PASAR, FOTO, STORY]
lines = [line(index, item["id"], item) for index, item in enumerate(items)]
lines.append(line(5, GRAPHQL_SOTO["id"], GRAPHQL_SOTO))
lines.append(line(6, RENDANG["id"], RENDANG | {"__typename": "XDTMediaDict"}))
lines.append(line(7, "7300000000000000000", {"id": "7300000000000000000", "desc": "joget"}, platform="tiktok.com"))
(HERE / "items.ndjson").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
