"""Writes expected.json: what is to be read of the files beside, put down by hand from invented.py and the other scripts.

By folder and file, everything in it in its order: a post without what it doesn't have, or the reason why it is none.

    python3 tests/import/expected.py
"""

import json
import pathlib

SRI = {"id": "51002003001", "handle": "dapur.mbaksri", "name": "Sri Wahyuni | Dapur Rumahan"}
SRI_NAMELESS = {"id": "51002003001", "handle": "dapur.mbaksri"}
TARNO = {"id": "51002003002", "handle": "warung_paklek", "name": "Paklek Tarno"}
SOTO_TEXT = "Soto ayam kuah kuning, resepnya gampang banget!\n#ResepSoto #masakanrumah bareng @rina.jalan2"
RENDANG_TEXT = "Rendang tiga jam, sabar ya bund"
PASAR_TEXT = "Keliling pasar pagi: tiga kios favorit"

SOTO = {"id": "DGrSoto4yam", "owner": SRI, "posted_at": "2025-03-02T10:11:12Z", "caption": SOTO_TEXT}
SAMBAL = {"id": "DGsSambal_1", "owner": SRI, "posted_at": "2025-03-03T11:06:40Z"}
RENDANG = {"id": "DGtRendang2", "owner": SRI, "posted_at": "2025-03-04T14:53:20Z", "caption": RENDANG_TEXT}
PASAR = {"id": "DGuPasar-03", "owner": SRI, "posted_at": "2025-03-05T18:40:00Z", "caption": PASAR_TEXT}

HIDDEN = {name: "hidden by the account" for name in ["likes", "views", "plays"]}

# As the private interface, version 1, has them.
V1_SOTO = SOTO | {
    "with": [TARNO],
    "handles": ["rina.jalan2", "kecap.manalagi"],
    "duration_s": 41.2,
    "counts": {"likes": 1204, "plays": 45300, "comments": 88},
    "flags": {"is_paid_partnership": True, "sponsor_tags": True},
}
V1_SAMBAL = SAMBAL | {"duration_s": 12.0, "counts": {"likes": 3, "comments": 0}, "hidden": HIDDEN, "flags": {"is_paid_partnership": False}}
V1_RENDANG = RENDANG | {"duration_s": 58.5}
V1_PASAR = PASAR | {"handles": ["rina.jalan2"], "counts": {"likes": 310, "comments": 12}}

# As GraphQL has them.
QL_SOTO = V1_SOTO | {
    "counts": {"likes": 1204, "views": 15100, "plays": 45300, "comments": 88},
    "flags": {"is_paid_partnership": True, "is_affiliate": False, "is_ad": False, "edge_media_to_sponsor_user": True},
}
QL_SAMBAL = SAMBAL | {
    "duration_s": 12.0,
    "counts": {"likes": -1, "views": 0, "comments": 0},
    "hidden": HIDDEN,
    "flags": {"edge_media_to_sponsor_user": False},
}
QL_PASAR = V1_PASAR | {"duration_s": 9.5}

IMAGE = "an image"
expected = {}

V = {"version": "4.16"}
NAMELESS = {"owner": SRI_NAMELESS}
expected["instaloader"] = {
    "graphql-soto.json": [QL_SOTO | NAMELESS | V],
    "graphql-sambal.json": [QL_SAMBAL | NAMELESS | V],
    "graphql-pasar.json": [QL_PASAR | V],
    "graphql-foto.json": [IMAGE],
    "graphql-with-iphone-soto.json": [
        QL_SOTO
        | {"counts": {"likes": 1210, "views": 15100, "plays": 45300, "comments": 88}, "flags": QL_SOTO["flags"] | V1_SOTO["flags"]}
        | V
    ],
    "iphone-soto.json": [V1_SOTO | V],
    "iphone-sambal.json": [V1_SAMBAL | V],
    "iphone-pasar.json": [V1_PASAR | V],
    "web-info-soto.json": [V1_SOTO | V],
    "web-info-sambal.json": [V1_SAMBAL | V],
    "web-info-rendang.json": [V1_RENDANG | V],
    "web-info-pasar.json": [V1_PASAR | V],
    "web-info-foto.json": [IMAGE],
    "profile.json": ["a profile"],
    "hashtag.json": ["a hashtag"],
    "story.json": ["a story"],
    "iterator_bookmark.json": ["a bookmark of the collector"],
    "soto_comments.json": ["a comment list"],
}

V = {"version": "2026.10.26", "collected_at": "2025-11-30T10:53:20Z"}
YT_PASAR = PASAR | {"counts": {"likes": 310, "comments": 12}} | V
LIST = "a list without what is in it"
IN_LIST = V | {"owner": {"handle": "dapur.mbaksri"}}
expected["yt-dlp"] = {
    "soto-DGrSoto4yam.info.json": [SOTO | {"duration_s": 41.2, "counts": {"likes": 1204, "comments": 88}} | V],
    "sambal-DGsSambal_1.info.json": [SAMBAL | {"duration_s": 12.0, "counts": {"likes": 3, "comments": 0}} | V],
    "rendang-DGtRendang2.info.json": [RENDANG | {"duration_s": 58.5} | V],
    "pasar-DGuPasarAAA.info.json": [IMAGE],
    "pasar-DGuPasarBBB.info.json": [YT_PASAR],
    "pasar-DGuPasarCCC.info.json": [YT_PASAR],
    "pasar-list.info.json": [LIST],
    "pasar-J.info.json": [IMAGE, YT_PASAR, YT_PASAR],
    "user-J.info.json": [
        SOTO | {"duration_s": 41.2, "counts": {"likes": 1204, "views": 15100, "comments": 88}} | IN_LIST,
        SAMBAL | {"duration_s": 12.0, "counts": {"likes": -1, "views": 0, "comments": 0}} | IN_LIST,
    ],
    "story-J.info.json": ["a story"],
    # Of youtube-dl 2020.12.31: no number of the account, no version; of a carousel's videos the list has the caption.
    "old-soto-DGrSoto4yam.info.json": [
        SOTO
        | {"owner": {"handle": "dapur.mbaksri", "name": "Sri Wahyuni | Dapur Rumahan"}}
        | {"counts": {"likes": 1204, "comments": 88}}
    ],
    "old-pasar-DGuPasarBBB.info.json": [{"id": "DGuPasar-03"}],
    "old-pasar-J.info.json": [{"id": "DGuPasar-03", "caption": PASAR_TEXT}],
}

WHOLE = "not said to be a video"
GD_PASAR = PASAR | {"counts": {"likes": 310}}
expected["gallery-dl"] = {
    "soto-3579036291496617638.mp4.json": [SOTO | {"with": [TARNO], "handles": ["rina.jalan2"], "counts": {"likes": 1204}}],
    "soto-778899.m4a.json": ["the sound of a post"],
    "soto-info.json": [WHOLE],
    "sambal-3579316796658442229.mp4.json": [SAMBAL | {"counts": {"likes": 3}}],
    "sambal-info.json": [WHOLE],
    "pasar-3579866558902562103_3579866558902304768.jpg.json": [IMAGE],
    "pasar-3579866558902562103_3579866558902308929.mp4.json": [GD_PASAR | {"handles": ["rina.jalan2"]}],
    "pasar-3579866558902562103_3579866558902313090.mp4.json": [GD_PASAR],
    "pasar-info.json": [WHOLE],
    "foto-3580105016797777208.jpg.json": [IMAGE],
    "foto-info.json": [WHOLE],
    "story-3580444004657614137.mp4.json": ["a story"],
    "story-info.json": ["a story"],
}

SHORT = {key: V1_SOTO[key] for key in ["id", "posted_at", "counts"]} | {"owner": {"id": "51002003001"}}
expected["web"] = {
    "xdt-soto.json": [QL_SOTO],
    "old-pasar.json": [QL_PASAR],
    "inner-sambal.json": [QL_SAMBAL],
    "node-soto.json": [QL_SOTO],
    "item-soto.json": [V1_SOTO],
    "info-soto.json": [V1_SOTO],
    "feed.json": [V1_SOTO, V1_SAMBAL, V1_PASAR, IMAGE],
    "empty-feed.json": ["no post in it"],
    "web-info-rendang.json": [V1_RENDANG],
    "clips-v1.json": [SHORT],
    "clips.json": [SHORT],
    "timeline.json": [V1_RENDANG, IMAGE],
    "profile.json": [QL_SOTO, QL_PASAR, IMAGE],
    "logged-out-rendang.json": [V1_RENDANG],
}

AT = {"collected_at": "2025-11-30T10:53:20Z"}
expected["zeeschuimer"] = {
    "items.ndjson": [
        V1_SOTO | AT,
        V1_SAMBAL | AT,
        V1_PASAR | AT,
        IMAGE,
        "a story",
        QL_SOTO | AT,
        V1_RENDANG | AT,
        "of another platform",
    ]
}

PAGE = {"id": "17841400000000001", "handle": "dapur.mbaksri"}
AT = {"posted_at": "2025-03-02T10:11:12Z"}
GRAPH_SOTO = AT | {
    "id": "DGrSoto4yam",
    "owner": PAGE,
    "with": [{"id": "17841400000000002", "handle": "warung_paklek"}],
    "handles": ["rina.jalan2"],
    "counts": {"likes": 1204, "views": 61000, "comments": 0},
    "caption": "Soto ayam kuah kuning, resepnya gampang banget! #ResepSoto",
    "flags": {"total_like_count": 1504, "total_comments_count": 2, "boost_ads_list": True},
}
GRAPH_RENDANG = AT | {"id": "DGtRendang2", "owner": PAGE, "caption": "Rendang tiga jam"}
expected["graph"] = {
    "soto.json": [GRAPH_SOTO],
    "page.json": [
        GRAPH_SOTO,
        GRAPH_RENDANG | {"counts": {"plays": 8100, "views": 9000, "comments": 4}},
        AT | {"id": "DGuPasar-03", "owner": PAGE, "counts": {"likes": 310}},
        IMAGE,
        IMAGE,
        "a story",
        AT | {"id": "DGxIklan006", "owner": PAGE, "caption": "Promo kecap", "flags": {"media_product_type": "AD"}},
    ],
    "account.json": [GRAPH_RENDANG | {"owner": PAGE | {"name": "Sri Wahyuni"}, "counts": {"views": 9000}}],
    "discovery.json": [GRAPH_RENDANG | {"counts": {"views": 9000}}],
    "no-link.json": [{"id": "17890000000000001", "counts": {"likes": 5}}],
    "error.json": ["an error of the collector"],
    "comments.json": ["not said to be a video"],
}

TAGS = {"hashtags": ["ResepSoto", "masakanrumah"]}
AP_SOTO = SOTO | TAGS | {
    "with": [{"id": "51002003002", "handle": "warung_paklek"}],
    "handles": ["rina.jalan2", "kecap.manalagi"],
    "duration_s": 41.2,
    "counts": {"likes": 1204, "views": 15100, "plays": 45300, "comments": 88},
    "transcript": "Hari ini kita masak soto ayam kuah kuning.",
    "flags": {"isSponsored": True, "paidPartnership": True, "sponsors": True},
}
ERROR = "an error of the collector"
expected["apify"] = {
    "official.json": [
        AP_SOTO,
        PASAR | {"posted_at": "2025-03-02T10:11:12Z", "counts": {"likes": 1204, "comments": 88}, "flags": {"isSponsored": False}},
        IMAGE,
        IMAGE,
        ERROR,
        ERROR,
    ],
    "profile.json": [AP_SOTO, IMAGE, "a profile"],
    "comments.json": ["a comment"],
    "tiktok.json": ["of another platform"],
    "others.json": [
        {
            "id": "DGrSoto4yam",
            "owner": {"handle": "dapur.mbaksri"},
            "posted_at": "2025-03-02T10:11:12Z",
            "duration_s": 41.2,
            "counts": {"likes": 1204, "plays": 45300, "comments": 88},
            "caption": "Soto ayam",
            "transcript": "Hari ini kita masak",
            "language": "id",
            "collected_at": "2025-11-30T10:53:20Z",
        },
        {
            "id": "DGsSambal_1",
            "owner": {"id": "51002003001", "handle": "dapur.mbaksri", "name": "Sri Wahyuni"},
            "posted_at": "2025-03-03T11:06:40Z",
            "counts": {"likes": 3, "plays": 700, "comments": 0},
            "hidden": {name: "hidden by the account" for name in ["likes", "views"]},
        },
        {
            "id": "DGtRendang2",
            "owner": {"handle": "dapur.mbaksri"},
            "counts": {"likes": -1, "plays": 90000},
            "transcript": "Rendang tiga jam",
            "language": "id",
        },
    ],
}

path = pathlib.Path(__file__).with_name("expected.json")
path.write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
