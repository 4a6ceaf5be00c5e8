// Forms to try the page with, of the project's invented Reels.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { asked } from "./make.mjs";

const hash = (text) => createHash("sha256").update(text).digest("hex").slice(0, 16);
const REELS = readFileSync(new URL("../../eval/dev.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

const task = (name) => asked.tasks.find((task) => task.name === name);

function item({ id, account, duration_s, likes, views, plays, comments, caption, hashtags, transcript }) {
  const shown = { duration_s, likes, views, plays, comments, caption, hashtags, transcript };
  return { id, account, shown: hash(JSON.stringify(shown)), ...shown };
}

const form = (kind, role, title, tasks, items) => ({ v: 1, kind, form: hash(kind + title), role, title, tasks, items });

// Reels that are hard to show among ordinary ones.
const STRANGE = [
  { transcript: "<script>window.ran = true</script><img src=x onerror='window.ran = true'> &amp; {{ css }} </script>" },
  { transcript: "مرحبا بكم في القناة، اليوم نطبخ nasi goreng معا", caption: "\u202eterbalik", hashtags: ["طبخ"] },
  {
    transcript: null,
    caption: "",
    hashtags: [],
    duration_s: null,
    likes: null,
    views: null,
    plays: null,
    comments: null,
    account: null,
  },
  { transcript: `${"a".repeat(400)}\n\n\u0000 ${"👩‍👩‍👧 ".repeat(40)}` },
];

// What the program asks, of some Reels with other texts.
export const annotations = (reels = 40) => ({
  ...asked,
  title: "Reel Kuliner & Lainnya, Putaran 1",
  items: asked.items.slice(0, reels).map((item, at) => ({ ...item, ...STRANGE[at] })),
});

export function suggestions() {
  const items = REELS.slice(0, 3).map((reel) => ({ ...item(reel), suggested: { category: reel.reference.category } }));
  return form("annotations", "annotator", "Dengan usulan", [task("category"), task("ad")], items);
}

export function adjudication() {
  const items = REELS.slice(0, 4).map((reel, at) => {
    const category = [
      { by: "sari", answer: "kuliner", note: at ? undefined : "ada <b>resep</b>, tetapi juga jualan" },
      { by: "budi", answer: "bisnis" },
    ];
    const ad = [
      { by: "budi", answer: "bukan iklan" },
      { by: "sari", answer: "iklan" },
    ];
    return { ...item(reel), disputed: at % 2 ? { category, ad } : { category } };
  });
  return form("annotations", "adjudicator", "Yang diperselisihkan", [task("category"), task("ad")], items);
}

// Two texts of every other Reel, three of the rest.
export function ratings() {
  const items = REELS.slice(0, 6).map((reel, at) => {
    const first = reel.transcript.split(" ").slice(0, 30).join(" ");
    const texts = [reel.reference.summary, first, `Reel ini tentang ${reel.reference.category}.`].slice(
      0,
      2 + (at % 2),
    );
    return { ...item(reel), texts: texts.map((text) => ({ key: hash(text), text })) };
  });
  return form(
    "ratings",
    "annotator",
    "Ringkasan dari tiga model",
    [{ name: "summary", labels: [], descriptions: {} }],
    items,
  );
}

// As long as a data set gets.
export function large() {
  const long = (at) =>
    REELS.concat(REELS)
      .slice(at % 100)
      .map((reel) => reel.transcript)
      .join(" ")
      .slice(0, 2000);
  const items = Array.from({ length: 655 }, (_, at) =>
    item({ ...REELS[at % REELS.length], id: `r_${at}`, transcript: long(at) }),
  );
  return form("annotations", "annotator", "Besar", [task("category"), task("ad")], items);
}
