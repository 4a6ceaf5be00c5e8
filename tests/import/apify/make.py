"""Writes the files beside: rows as Apify's actors write them, about invented posts.

Actors run on Apify's machines, so none was run: the names are those that apify/instagram-scraper and
apify/instagram-reel-scraper write in November 2026, and those of actors by others.

    python3 tests/import/apify/make.py
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
CAPTION = "Soto ayam kuah kuning, resepnya gampang banget!\n#ResepSoto #masakanrumah bareng @rina.jalan2"


def save(name, rows):
    (HERE / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def official(code, kind, **more):
    return {
        "id": "3579036291496617638",
        "type": kind,
        "shortCode": code,
        "caption": CAPTION,
        "hashtags": ["ResepSoto", "masakanrumah"],
        "mentions": ["rina.jalan2"],
        "url": f"https://www.instagram.com/p/{code}/",
        "inputUrl": "https://www.instagram.com/dapur.mbaksri/",
        "commentsCount": 88,
        "firstComment": "mantap @warung_paklek",
        "latestComments": [{"id": "1", "text": "mantap", "ownerUsername": "warung_paklek", "likesCount": 1}],
        "displayUrl": "https://cdn.invented.example/soto.jpg",
        "images": [],
        "likesCount": 1204,
        "timestamp": "2025-03-02T10:11:12.000Z",
        "childPosts": [],
        "ownerFullName": "Sri Wahyuni | Dapur Rumahan",
        "ownerUsername": "dapur.mbaksri",
        "ownerId": "51002003001",
        "isCommentsDisabled": False,
    } | more


SOTO = official(
    "DGrSoto4yam",
    "Video",
    productType="clips",
    videoUrl="https://cdn.invented.example/soto.mp4",
    videoViewCount=15100,
    videoPlayCount=45300,
    videoDuration=41.2,
    isSponsored=True,
    paidPartnership=True,
    sponsors=[{"id": "51002003004", "username": "kecap.manalagi"}],
    taggedUsers=[{"full_name": "Rina Puspita", "id": "51002003005", "username": "Rina.Jalan2", "is_verified": False}],
    coauthorProducers=[{"id": "51002003002", "username": "warung_paklek"}],
    musicInfo={"artist_name": "dapur.mbaksri", "uses_original_audio": True},
    transcript="Hari ini kita masak soto ayam kuah kuning.",
)
PASAR = official(
    "DGuPasar-03",
    "Sidecar",
    caption="Keliling pasar pagi: tiga kios favorit",
    hashtags=[],
    mentions=[],
    childPosts=[{"type": "Image", "shortCode": "DGuPasarAAA"}, {"type": "Video", "shortCode": "DGuPasarBBB", "videoDuration": 9.5}],
    isSponsored=False,
)
FOTO = official("DGvFoto0004", "Image")
FOTOS = official("DGvFoto0006", "Sidecar", childPosts=[{"type": "Image", "shortCode": "DGvFoto0007"}])
GONE = {"url": "https://www.instagram.com/p/DGzHilang08/", "error": "not_found", "errorDescription": "Post does not exist"}
EMPTY = {"inputUrl": "https://www.instagram.com/reel/DGzHilang09/", "error": "no_items", "errorMessage": "Empty or private data"}

save("official", [SOTO, PASAR, FOTO, FOTOS, GONE, EMPTY])
# Of a profile, with its last posts in it; of another one, without.
save("profile", [
    {"username": "dapur.mbaksri", "fullName": "Sri Wahyuni", "followersCount": 8100, "latestPosts": [SOTO, FOTO]},
    {"username": "warung_paklek", "fullName": "Paklek Tarno", "followersCount": 12, "latestPosts": []},
])
save("comments", [{
    "postUrl": "https://www.instagram.com/p/DGrSoto4yam/", "commentUrl": "https://www.instagram.com/p/DGrSoto4yam/c/1", "id": "1",
    "text": "mantap", "ownerUsername": "rina.jalan2", "timestamp": "2025-03-02T11:00:00.000Z", "repliesCount": 0, "likesCount": 2,
}])
save("tiktok", [{"id": "73", "text": "joget", "diggCount": 5, "playCount": 900, "webVideoUrl": "https://www.tiktok.com/@a/video/73"}])
# By others: other names, numbers as text, seconds since 1970, hidden likes.
save("others", [
    {
        "code": "DGrSoto4yam", "caption": {"text": "Soto ayam"}, "playCount": "45300", "likes": "1204", "comments": 88, "username": "Dapur.MbakSri",
        "takenAt": 1740910272, "duration": "41.2", "productType": "clips", "transcript": [{"start": 0, "text": "Hari ini"}, {"start": 2, "text": "kita masak"}],
        "transcriptLanguage": "id", "scrapedAt": "2025-11-30T10:53:20Z",
    },
    {
        "shortcode": "DGsSambal_1", "caption": None, "igPlayCount": 0, "plays": 700, "likesCount": 3, "likesHidden": True, "commentsCount": 0,
        "owner": {"id": 51002003001, "username": "dapur.mbaksri", "fullName": "Sri Wahyuni"}, "isVideo": True, "takenAt": "2025-03-03T11:06:40Z",
    },
    {
        "url": "https://www.instagram.com/reel/DGtRendang2/?igsh=abc", "likesCount": -1, "videoPlayCount": 90000, "ownerUsername": "dapur.mbaksri",
        "transcript": {"text": "Rendang tiga jam", "language": "ID"},
    },
])
