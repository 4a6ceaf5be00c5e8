"""What Instagram would answer about invented people and their posts, in both of its shapes.

The collectors are run on these, so that the files beside are theirs and nothing in them is anybody's.
"""

SRI = {"pk": "51002003001", "username": "dapur.mbaksri", "full_name": "Sri Wahyuni | Dapur Rumahan"}
TARNO = {"pk": "51002003002", "username": "warung_paklek", "full_name": "Paklek Tarno"}
KECAP = {"pk": "51002003004", "username": "kecap.manalagi", "full_name": "Kecap Manalagi"}
RINA = {"pk": "51002003005", "username": "rina.jalan2", "full_name": "Rina Puspita"}

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def number(code):
    """The media number of a shortcode."""
    value = 0
    for letter in code:
        value = value * 64 + LETTERS.index(letter)
    return value


def link(name):
    return f"https://cdn.invented.example/{name}"


def user(person):
    return {**person, "id": person["pk"], "is_private": False, "is_verified": False, "profile_pic_url": link("face.jpg")}


def item(code, kind, taken_at, **more):
    """An item of the private interface, version 1: `kind` is 1 for an image, 2 for a video, 8 for several."""
    media = {
        "pk": str(number(code)),
        "id": f"{number(code)}_{SRI['pk']}",
        "code": code,
        "media_type": kind,
        "taken_at": taken_at,
        "user": user(SRI),
        "image_versions2": {"candidates": [{"url": link(f"{code}.jpg"), "width": 640, "height": 1136}]},
        "original_width": 720,
        "original_height": 1280,
        "caption": None,
        "has_liked": False,
        "like_and_view_counts_disabled": False,
        "coauthor_producers": [],
        "usertags": None,
        "title": None,
    }
    if kind == 2:
        media |= {
            "product_type": "clips",
            "video_versions": [{"url": link(f"{code}.mp4"), "width": 720, "height": 1280, "type": 101}],
        }
    return media | more


def caption(text):
    return {"pk": "1", "text": text, "created_at": 1740910272, "user": user(SRI)}


# A Reel of two, paid for.
SOTO = item(
    "DGrSoto4yam",
    2,
    1740910272,
    caption=caption("Soto ayam kuah kuning, resepnya gampang banget!\n#ResepSoto #masakanrumah bareng @rina.jalan2"),
    video_duration=41.2,
    like_count=1204,
    comment_count=88,
    play_count=45300,
    ig_play_count=45300,
    view_count=None,
    coauthor_producers=[user(TARNO)],
    usertags={"in": [{"user": user(RINA), "position": [0.5, 0.5]}]},
    is_paid_partnership=True,
    sponsor_tags=[{"sponsor": user(KECAP), "permission": True}],
    clips_metadata={
        "original_sound_info": {
            "original_audio_title": "Original audio",
            "ig_artist": user(SRI),
            "audio_asset_id": 778899,
            "duration_in_ms": 41200,
            "progressive_download_url": link("suara.m4a"),
        }
    },
)

# Likes are hidden: what stands there is a placeholder.
SAMBAL = item(
    "DGsSambal_1",
    2,
    1741000000,
    video_duration=12.0,
    like_count=3,
    comment_count=0,
    play_count=None,
    view_count=None,
    like_and_view_counts_disabled=True,
    is_paid_partnership=False,
    sponsor_tags=None,
)

# As one who isn't logged in gets it: no counts.
RENDANG = item(
    "DGtRendang2",
    2,
    1741100000,
    caption=caption("Rendang tiga jam, sabar ya bund"),
    video_duration=58.5,
    like_count=None,
    comment_count=None,
    view_count=None,
)

# An image and two videos.
PASAR = item(
    "DGuPasar-03",
    8,
    1741200000,
    caption=caption("Keliling pasar pagi: tiga kios favorit"),
    like_count=310,
    comment_count=12,
    product_type="carousel_container",
    carousel_media=[
        item("DGuPasarAAA", 1, 1741200000),
        item("DGuPasarBBB", 2, 1741200000, video_duration=9.5, usertags={"in": [{"user": user(RINA)}]}),
        item("DGuPasarCCC", 2, 1741200000, video_duration=14.0),
    ],
)

FOTO = item("DGvFoto0004", 1, 1741300000, caption=caption("Foto bumbu dapur"), like_count=77, comment_count=1)

STORY = item("DGwStory005", 2, 1741400000, product_type="story", expiring_at=1741486400, video_duration=8.0)


def people(edges):
    return {"edges": [{"node": {"user": {"id": p["pk"], "username": p["username"], "full_name": p["full_name"]}}} for p in edges]}


def texts(text):
    return {"edges": [] if text is None else [{"node": {"text": text}}]}


def node(code, kind, taken_at, text=None, **more):
    """A node of the GraphQL interface: `kind` is Image, Video or Sidecar."""
    return {
        "__typename": f"Graph{kind}",
        "id": str(number(code)),
        "shortcode": code,
        "display_url": link(f"{code}.jpg"),
        "is_video": kind == "Video",
        "edge_media_to_caption": texts(text),
        "taken_at_timestamp": taken_at,
        "owner": {"id": SRI["pk"], "username": SRI["username"], "full_name": SRI["full_name"], "profile_pic_url": link("face.jpg")},
    } | more


def count(number):
    return {"count": number}


GRAPHQL_SOTO = node(
    "DGrSoto4yam",
    "Video",
    1740910272,
    "Soto ayam kuah kuning, resepnya gampang banget!\n#ResepSoto #masakanrumah bareng @rina.jalan2",
    product_type="clips",
    video_url=link("soto.mp4"),
    video_duration=41.2,
    video_view_count=15100,
    video_play_count=45300,
    edge_media_preview_like=count(1204) | {"edges": []},
    edge_media_to_parent_comment=count(88)
    | {"edges": [{"node": {"id": "1", "text": "mantap @warung_paklek", "owner": {"username": "rina.jalan2"}}}]},
    edge_media_to_tagged_user=people([RINA]),
    edge_media_to_sponsor_user={"edges": [{"node": {"sponsor": {"id": KECAP["pk"], "username": KECAP["username"]}}}]},
    coauthor_producers=[{"id": TARNO["pk"], "username": TARNO["username"], "full_name": TARNO["full_name"]}],
    is_paid_partnership=True,
    is_affiliate=False,
    is_ad=False,
    like_and_view_counts_disabled=False,
)

GRAPHQL_SAMBAL = node(
    "DGsSambal_1",
    "Video",
    1741000000,
    product_type="clips",
    video_url=link("sambal.mp4"),
    video_duration=12.0,
    video_view_count=0,
    edge_media_preview_like=count(-1),
    edge_media_to_comment=count(0),
    edge_media_to_tagged_user=people([]),
    edge_media_to_sponsor_user={"edges": []},
    like_and_view_counts_disabled=True,
)

GRAPHQL_PASAR = node(
    "DGuPasar-03",
    "Sidecar",
    1741200000,
    "Keliling pasar pagi: tiga kios favorit",
    edge_media_preview_like=count(310),
    edge_media_to_comment=count(12),
    edge_sidecar_to_children={
        "edges": [
            {"node": {"__typename": "GraphImage", "shortcode": "DGuPasarAAA", "is_video": False, "display_url": link("a.jpg")}},
            {
                "node": {
                    "__typename": "GraphVideo",
                    "shortcode": "DGuPasarBBB",
                    "is_video": True,
                    "display_url": link("b.jpg"),
                    "video_url": link("b.mp4"),
                    "video_duration": 9.5,
                    "edge_media_to_tagged_user": people([RINA]),
                }
            },
        ]
    },
)

GRAPHQL_FOTO = node("DGvFoto0004", "Image", 1741300000, "Foto bumbu dapur", edge_media_preview_like=count(77))
