"""Writes the files beside: what instaloader saves of invented posts.

Made with Python 3.11.7, instaloader 4.16. Its own classes are filled from saved answers instead of the network.

    python3 -m venv venv && venv/bin/pip install instaloader==4.16
    venv/bin/python tests/import/instaloader/make.py
"""

import copy
import pathlib
import sys

from instaloader import Hashtag, Instaloader, Post, Profile, StoryItem
from instaloader.nodeiterator import FrozenNodeIterator

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import invented  # noqa: E402

loader = Instaloader(quiet=True, compress_json=False, iphone_support=False)
context = loader.context


def save(name, structure):
    loader.save_metadata_json(str(HERE / name), structure)


def web_info(item):
    """As Post.from_shortcode leaves it: the answer of the web interface."""
    item = copy.deepcopy(item)
    answer = {"data": {"xdt_api__v1__media__shortcode__web_info": {"items": [item]}}}
    context.doc_id_graphql_query = lambda *_, **__: answer
    return Post.from_shortcode(context, item["code"])


def graphql(node, owner=True):
    profile = Profile(context, {"id": invented.SRI["pk"], "username": invented.SRI["username"]}) if owner else None
    return Post(context, copy.deepcopy(node), profile)


def iphone(item):
    return Post.from_iphone_struct(context, copy.deepcopy(item))


# A GraphQL node of which a logged-in user also got the iPhone's answer.
both = graphql(invented.GRAPHQL_SOTO)
both._iphone_struct_ = copy.deepcopy(invented.SOTO) | {"like_count": 1210}

save("graphql-soto", graphql(invented.GRAPHQL_SOTO))
save("graphql-sambal", graphql(invented.GRAPHQL_SAMBAL))
save("graphql-pasar", graphql(invented.GRAPHQL_PASAR, owner=False))
save("graphql-foto", graphql(invented.GRAPHQL_FOTO))
save("graphql-with-iphone-soto", both)
save("iphone-soto", iphone(invented.SOTO))
save("iphone-sambal", iphone(invented.SAMBAL))
save("iphone-pasar", iphone(invented.PASAR))
save("web-info-soto", web_info(invented.SOTO))
save("web-info-sambal", web_info(invented.SAMBAL))
save("web-info-rendang", web_info(invented.RENDANG))
save("web-info-pasar", web_info(invented.PASAR))
save("web-info-foto", web_info(invented.FOTO))
loader.compress_json = True
save("packed-soto", web_info(invented.SOTO))
loader.compress_json = False

save("profile", Profile(context, {"id": invented.SRI["pk"], "username": invented.SRI["username"], "biography": "Masak tiap hari"}))
save("hashtag", Hashtag(context, {"name": "resepsoto", "id": "17841"}))
story = {"__typename": "GraphStoryVideo", "id": "3412", "is_video": True, "taken_at_timestamp": 1741400000, "expiring_at_timestamp": 1741486400}
save("story", StoryItem(context, story, Profile(context, {"id": invented.SRI["pk"], "username": invented.SRI["username"]})))
bookmark = FrozenNodeIterator(
    query_hash=None, query_variables={"id": invented.SRI["pk"]}, query_referer=None, context_username=None, total_index=12,
    best_before=1764600000.0, remaining_data={"edges": []}, first_node={"shortcode": "DGrSoto4yam"}, doc_id="1",
)
save("iterator_bookmark", bookmark)

# Comments, through the method that writes them.
commented = graphql(invented.GRAPHQL_SOTO | {"edge_media_to_parent_comment": invented.count(1) | {"edges": [{"node": {
    "id": "178900", "created_at": 1740920000, "text": "mantap @warung_paklek", "owner": {"id": invented.RINA["pk"], "username": invented.RINA["username"]},
    "edge_liked_by": {"count": 2}}}]}})
context.username = "peneliti"
loader.update_comments(str(HERE / "soto"), commented)
