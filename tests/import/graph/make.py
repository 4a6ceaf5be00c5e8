"""Writes the files beside: the Graph API's answers about invented posts, in the shape of its reference of June 2026.

The platform answers only with a token, so nothing was run.

    python3 tests/import/graph/make.py
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent


def save(name, answer):
    (HERE / f"{name}.json").write_text(json.dumps(answer, ensure_ascii=False, indent=1) + "\n")


def insight(name, value):
    return {"name": name, "period": "lifetime", "values": [{"value": value}], "title": name, "id": f"1/insights/{name}/lifetime"}


def media(number, kind, product, code, **more):
    return {
        "id": f"1789000000000000{number}",
        "media_type": kind,
        "media_product_type": product,
        "permalink": f"https://www.instagram.com/{'reel' if product == 'REELS' else 'p'}/{code}/",
        "timestamp": "2025-03-02T10:11:12+0000",
        "owner": {"id": "17841400000000001"},
        "username": "dapur.mbaksri",
    } | more


SOTO = media(
    1,
    "VIDEO",
    "REELS",
    "DGrSoto4yam",
    caption="Soto ayam kuah kuning, resepnya gampang banget! #ResepSoto",
    like_count=1204,
    comments_count=0,
    total_like_count=1504,
    total_comments_count=2,
    boost_ads_list={"data": [{"ad_id": "1", "ad_status": "ACTIVE"}]},
    insights={"data": [insight("views", 61000), insight("reach", 39000), insight("likes", 1204)]},
    collaborators={"data": [
        {"id": "17841400000000002", "username": "Warung_Paklek", "invite_status": "Accepted"},
        {"id": "17841400000000003", "username": "rina.jalan2", "invite_status": "Pending"},
    ]},
)
# From before plays ended, in April 2025; likes are hidden, so they aren't there.
LAMA = media(2, "VIDEO", "FEED", "DGtRendang2", shortcode="DGtRendang2", caption="Rendang tiga jam", comments_count=4,
             insights={"data": [insight("plays", 8100), {"name": "views", "total_value": {"value": 9000}}]})
ALBUM = media(3, "CAROUSEL_ALBUM", "FEED", "DGuPasar-03", like_count=310,
              children={"data": [{"id": "1", "media_type": "IMAGE"}, {"id": "2", "media_type": "VIDEO"}]})
FOTO = media(4, "IMAGE", "FEED", "DGvFoto0004", like_count=77)
FOTOS = media(5, "CAROUSEL_ALBUM", "FEED", "DGvFoto0006", children={"data": [{"id": "1", "media_type": "IMAGE"}]})
STORY = media(6, "VIDEO", "STORY", "DGwStory005")
IKLAN = media(7, "VIDEO", "AD", "DGxIklan006", caption="Promo kecap")

save("soto", SOTO)
save("page", {"data": [SOTO, LAMA, ALBUM, FOTO, FOTOS, STORY, IKLAN], "paging": {"cursors": {"before": "a", "after": "b"}}})
# An account's own posts, and those of another one, which are without their owner.
bare = {key: LAMA[key] for key in ["id", "media_type", "permalink", "timestamp", "caption"]} | {"view_count": 9000}
save("account", {"id": "17841400000000001", "username": "dapur.mbaksri", "name": "Sri Wahyuni", "media": {"data": [bare]}})
save("discovery", {"business_discovery": {"username": "dapur.mbaksri", "id": "17841400000000001", "media": {"data": [bare]}}, "id": "17841400000000009"})
# Without link and code there is only its own id.
save("no-link", {"id": "17890000000000001", "media_type": "VIDEO", "media_product_type": "REELS", "like_count": 5})
save("error", {"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190, "fbtrace_id": "AbC"}})
save("comments", {"data": [{"timestamp": "2025-03-02T11:00:00+0000", "text": "enak", "id": "17870000000000001"}], "paging": {}})
