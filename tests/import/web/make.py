"""Writes the files beside: Instagram's answers about invented posts, whole.

No package writes these: they are what is asked of the platform and saved as it came. The shapes are those that instaloader
4.16 (doc_id_graphql_query, NodeIterator), yt-dlp 2026.10.26 (xig_polaris_media) and gallery-dl 1.32.18 (_pagination,
_pagination_graphql) read, and `shortcode_media` what instaloader 4.9 read.

    python3 tests/import/web/make.py
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from invented import *  # noqa: E402, F403


def save(name, answer):
    (HERE / f"{name}.json").write_text(json.dumps(answer, ensure_ascii=False, indent=1) + "\n")


def page(nodes):
    return {"edges": [{"node": node, "cursor": "x"} for node in nodes], "page_info": {"has_next_page": False, "end_cursor": None}}


xdt = GRAPHQL_SOTO | {"__typename": "XDTGraphVideo"}
save("xdt-soto", {"data": {"xdt_shortcode_media": xdt}, "status": "ok"})
save("old-pasar", {"graphql": {"shortcode_media": GRAPHQL_PASAR}})
save("inner-sambal", {"shortcode_media": GRAPHQL_SAMBAL})
save("node-soto", GRAPHQL_SOTO)
save("item-soto", SOTO)
save("info-soto", {"items": [SOTO], "num_results": 1, "more_available": False, "status": "ok"})
save("feed", {"items": [SOTO, SAMBAL, PASAR, FOTO], "user": user(SRI), "more_available": False, "status": "ok"})
save("empty-feed", {"items": [], "more_available": False, "status": "ok"})
save("web-info-rendang", {"data": {"xdt_api__v1__media__shortcode__web_info": {"items": [RENDANG]}}})

# In the Reels of an account the caption isn't there, and of the user only the number.
short = {key: SOTO[key] for key in ["pk", "id", "code", "media_type", "product_type", "play_count", "view_count", "like_count", "comment_count", "like_and_view_counts_disabled"]}
short |= {"user": {"pk": SRI["pk"], "id": SRI["pk"]}, "taken_at": 1740910272}
save("clips-v1", {"items": [{"media": short}], "paging_info": {"more_available": False}, "status": "ok"})
save("clips", {"data": {"xdt_api__v1__clips__user__connection_v2": page([{"media": short, "__typename": "XDTClipsItem"}])}})
save("timeline", {"data": {"xdt_api__v1__feed__user_timeline_graphql_connection": page([RENDANG | {"__typename": "XDTMediaDict"}, FOTO])}})
save("profile", {"data": {"user": {"id": SRI["pk"], "username": SRI["username"], "edge_owner_to_timeline_media": count(3) | page([GRAPHQL_SOTO, GRAPHQL_PASAR, GRAPHQL_FOTO])}}})
logged_out = {key: RENDANG[key] for key in ["pk", "user", "taken_at", "caption", "video_versions", "video_duration"]}
save("logged-out-rendang", {"data": {"xig_polaris_media": {"pk": RENDANG["pk"], "if_not_gated_logged_out": logged_out, "comments_connection": {"edges": [{"node": {"pk": "1", "text": "enak", "user": user(RINA)}}]}}}})
