"""Near copies among 5,000 generated texts, as datasketch finds them: near.json.

pip install datasketch==2.0.0; python tests/reference/near.py > tests/reference/near.json
"""

import json
from importlib.metadata import version

from datasketch import MinHash, MinHashLSH

TEXTS, WORDS, VOCABULARY, LETTERS, THRESHOLD = 5000, 60, 3000, 5, 0.7


class Random:
    """The linear congruential generator of Knuth's MMIX, which is two lines in any language."""

    def __init__(self, state):
        self.state = state

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n


def word(index):
    """Syllables by the digits of a number to base 40."""
    letters = ""
    index += 40
    while index:
        letters += "bdgjklmnprst"[index % 10] + "aiue"[index % 40 // 10]
        index //= 40
    return letters


def texts():
    random = Random(23)
    made, free = [], []
    for index in range(TEXTS):
        if free and random.below(5) == 0:
            # Each text has one copy at most, with 1 to 9 words changed.
            words = list(made[free.pop(random.below(len(free)))])
            for _ in range(1 + random.below(9)):
                words[random.below(WORDS)] = word(random.below(VOCABULARY))
        else:
            words = [word(random.below(VOCABULARY)) for _ in range(WORDS)]
            free.append(index)
        made.append(words)
    return made


def shingles(words):
    letters = "".join(words)
    return {letters[at : at + LETTERS] for at in range(len(letters) - LETTERS + 1)}


sets = [shingles(words) for words in texts()]
# 50 bands of 5: at the threshold 99.99 % of pairs meet.
index = MinHashLSH(num_perm=250, params=(50, 5))
pairs = []
for at, letters in enumerate(sets):
    sketch = MinHash(num_perm=250)
    sketch.update_batch([shingle.encode() for shingle in letters])
    for other in index.query(sketch):
        jaccard = len(letters & sets[other]) / len(letters | sets[other])
        if jaccard >= THRESHOLD:
            pairs.append([other, at, jaccard])
    index.insert(at, sketch)
print(json.dumps({"datasketch": version("datasketch"), "threshold": THRESHOLD, "pairs": sorted(pairs)}))
