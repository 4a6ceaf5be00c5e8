"""Writes what src/data/privacy/pseudonym.rs expects: media numbers with their shortcodes by instaloader, and pseudonyms by
Python's hmac under the key 00 01 … 1f.

Made with Python 3.11.7, instaloader 4.16.

    python3 -m venv venv
    venv/bin/pip install instaloader==4.16
    venv/bin/python tests/reference/pseudonyms.py
"""

import hashlib
import hmac
import json
import pathlib
import random

from instaloader import Post

KEY = bytes(range(32))
RANDOM = random.Random(23)


def digits(kind, name):
    return hmac.new(KEY, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:16]


numbers = [2**60, 2**61 + 2**30, 3 * 2**60, 999_999_999_999, 10**18] + [RANDOM.randrange(10**12, 2**62) for _ in range(60)]
shortcodes = [(number, Post.mediaid_to_shortcode(number)) for number in numbers]
assert all(Post.shortcode_to_mediaid(code) == number for number, code in shortcodes)
number, code = next(pair for pair in shortcodes if pair[1].startswith("C"))
handles = {"rani_kue": "rani_kue", "@Rani_Kue": "rani_kue", "bengkel.mang.ujang": "bengkel.mang.ujang", "KOPI7": "kopi7"}
reels = {code: code, str(number): code, f"{number}_5512": code, code + "x" * 28: code, "reel-1": "reel-1"}
expected = {
    "shortcodes": [[str(number), code] for number, code in shortcodes],
    "accounts": {written: "a_" + digits("account", handle) for written, handle in handles.items()},
    "reels": {written: "r_" + digits("reel", name) for written, name in reels.items()},
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(expected, indent=1) + "\n")
