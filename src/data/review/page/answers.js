"use strict";
// The form, what is answered, and the file that it becomes. Nothing here knows how it looks.
const form = JSON.parse(document.getElementById("form").textContent);
const SCALES = ["faithful", "complete", "fluent"];
// Labels' keys; the letters left out are commands.
const KEYS = [..."123456789abdefghiklmoqrtvwxyz"];

// Of any name: "constructor" is something in every object.
const ownValue = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

// FNV-1a over UTF-16 units, ended as MurmurHash3 is, so that names that differ in one letter differ in all bits.
function hash(text) {
  let bits = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

// Fisher–Yates, drawing from a counter that is hashed: the same seed always gives the same order.
function shuffled(list, seed) {
  const mixed = [...list];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor((hash(`${seed}\n${last}`) / 2 ** 32) * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

// What is asked about a Reel, in the order in which it is shown to this annotator.
function questionsOf(item, annotator) {
  if (form.kind === "ratings") {
    const texts = shuffled(item.texts ?? [], `${annotator}\n${form.form}\n${item.id}`);
    return [...scalesOf(texts), ...pairsOf(item, texts)];
  }
  // Where annotators agree there is nothing to decide.
  const open = form.tasks.filter((task) => !item.disputed || Object.hasOwn(item.disputed, task.name));
  return open.map((task) => ({
    id: `task ${task.name}`,
    task,
    options: task.labels.map((value, at) => ({ value, key: KEYS[at] })),
  }));
}

function scalesOf(texts) {
  const options = [1, 2, 3, 4, 5].map((value) => ({ value, key: String(value) }));
  return texts.flatMap((text, at) =>
    SCALES.map((scale) => ({ id: `rate ${text.key} ${scale}`, text, scale, number: at + 1, options })),
  );
}

// A pair is stored in the order of the form, so that files compare, and asked in the order of the texts shown.
function pairsOf(item, texts) {
  const keys = item.texts?.map((text) => text.key);
  return texts.flatMap((one, at) =>
    texts.slice(at + 1).map((two, further) => {
      const numbers = [at + 1, at + further + 2];
      const forwards = keys.indexOf(one.key) < keys.indexOf(two.key);
      const [a, b] = forwards ? [one, two] : [two, one];
      const options = [
        { value: forwards ? "a" : "b", key: String(numbers[0]) },
        { value: forwards ? "b" : "a", key: String(numbers[1]) },
        { value: "neither", key: "0" },
      ];
      return { id: `pair ${a.key} ${b.key}`, numbers, options };
    }),
  );
}

// As the file has it. A lone half of a surrogate pair is no Unicode, and no JSON reader but JavaScript's takes it.
const wellFormed = (text) =>
  text
    .replace(/\p{Surrogate}/gu, "\ufffd")
    .normalize("NFC")
    .trim();
const nameOf = (text) => wellFormed(text).toLowerCase();

// What one annotator answered: by Reel, a map from question to value, a note and the seconds that it took.
class Sheet {
  constructor(annotator) {
    this.annotator = annotator;
    this.order = shuffled(form.items, `${annotator}\n${form.form}`);
    this.questions = new Map(form.items.map((item) => [item.id, questionsOf(item, annotator)]));
    this.own = new Map(form.items.map((item) => [item.id, { given: new Map(), note: "", seconds: 0 }]));
    this.all = [...this.questions.values()].reduce((sum, questions) => sum + questions.length, 0);
  }

  get answers() {
    return [...this.own.values()].reduce((sum, own) => sum + own.given.size, 0);
  }

  // "done", "some" or "none" of a Reel's questions.
  state(item) {
    const given = this.own.get(item.id).given.size;
    return given === this.questions.get(item.id).length ? "done" : given ? "some" : "none";
  }

  get reelsDone() {
    return this.order.filter((item) => this.state(item) === "done").length;
  }

  // The next unanswered Reel after a place, from the top again at the end; -1 where all are answered.
  unanswered(after) {
    const places = this.order.map((_, step) => (after + 1 + step) % this.order.length);
    return places.find((place) => this.state(this.order[place]) !== "done") ?? -1;
  }

  // Takes over what isn't answered here; returns how many answers and notes differ, which stay as they are here.
  merge(read) {
    let differing = 0;
    for (const [id, theirs] of read) {
      const own = this.own.get(id);
      for (const [question, value] of theirs.given) {
        if (!own.given.has(question)) own.given.set(question, value);
        else if (own.given.get(question) !== value) differing += 1;
      }
      if (own.note && theirs.note && own.note !== theirs.note) differing += 1;
      own.note ||= theirs.note;
      own.seconds = Math.max(own.seconds, theirs.seconds);
    }
    return differing;
  }

  // The file, in the order of the form.
  file() {
    const items = form.items.map((item) => written(item, this.own.get(item.id))).filter(Boolean);
    const { kind, role, tasks } = form;
    return { v: 1, kind, form: form.form, role, annotator: this.annotator, tasks, of: form.items.length, items };
  }
}

function written(item, own) {
  const note = wellFormed(own.note);
  if (!own.given.size && !note) return null;
  const line = { id: item.id, account: item.account ?? null, shown: item.shown };
  if (form.kind === "ratings") Object.assign(line, writtenRatings(item.texts ?? [], own.given));
  else if (own.given.size)
    line.answers = chosen(
      form.tasks.map((task) => task.name),
      (name) => own.given.get(`task ${name}`),
    );
  if (note) line.note = note;
  line.seconds = Math.round(own.seconds * 10) / 10;
  return line;
}

function writtenRatings(texts, given) {
  const keys = texts.map((text) => text.key);
  const ratings = chosen(keys, (key) => unlessEmpty(chosen(SCALES, (scale) => given.get(`rate ${key} ${scale}`))));
  const preferences = keys
    .flatMap((a, at) => keys.slice(at + 1).map((b) => ({ a, b, prefers: given.get(`pair ${a} ${b}`) })))
    .filter((pair) => pair.prefers);
  return { ratings: unlessEmpty(ratings), preferences: unlessEmpty(preferences) };
}

// Nothing in place of a list or object without entries, which JSON then leaves out.
const unlessEmpty = (value) => (Object.keys(value).length ? value : undefined);

// An object of those names that have a value. Names may be any, "__proto__" too, which assigning would lose.
function chosen(names, value) {
  return Object.fromEntries(names.map((name) => [name, value(name)]).filter(([, value]) => value !== undefined));
}

// Why a file can't be used: a key of TEXTS.refused and what it says.
class Refused extends Error {
  constructor(reason, ...values) {
    super(reason);
    Object.assign(this, { reason, values });
  }
}

// Answers in a file's text, by Reel, and the Reels that were shown otherwise when they were answered.
function read(name, text, annotator) {
  const file = parsed(name, text);
  if (nameOf(file.annotator) !== annotator) throw new Refused("annotator", name, file.annotator, annotator);
  const [items, outdated] = [new Map(), []];
  const strange = file.items.filter((line) => !form.items.some((item) => item.id === line.id)).map((line) => line.id);
  if (strange.length) throw new Refused("unknown", name, listed(strange));
  const sheet = new Sheet(annotator);
  for (const line of file.items) {
    if (items.has(line.id) || outdated.includes(line.id)) throw new Refused("twice", name, line.id);
    if (line.shown !== form.items.find((item) => item.id === line.id).shown) outdated.push(line.id);
    else items.set(line.id, { given: given(name, line, sheet), note: line.note ?? "", seconds: line.seconds ?? 0 });
  }
  return { items, outdated };
}

// The file of a text, once it is one that answers this form.
function parsed(name, text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Refused("unreadable", name);
  }
  const isLine = (line) =>
    typeof line?.id === "string" && typeof (line.note ?? "") === "string" && (line.seconds ?? 0) >= 0;
  const isFile = ["kind", "form", "role", "annotator"].every((field) => typeof file?.[field] === "string");
  if (!isFile || !Array.isArray(file.items) || !file.items.every(isLine)) throw new Refused("unreadable", name);
  if (file.v !== 1) throw new Refused("version", name, file.v);
  for (const field of ["kind", "form", "role"])
    if (file[field] !== form[field]) throw new Refused(field, name, file[field], form[field]);
  return file;
}

// Whose answers a file holds, or nothing where it is no such file.
function annotatorOf(text) {
  try {
    return nameOf(JSON.parse(text).annotator);
  } catch {
    return "";
  }
}

function given(name, line, sheet) {
  const answers = Object.entries(line.answers ?? {}).map(([task, label]) => [`task ${task}`, label]);
  const ratings = Object.entries(line.ratings ?? {}).flatMap(([key, scales]) =>
    Object.entries(scales ?? {}).map(([scale, value]) => [`rate ${key} ${scale}`, value]),
  );
  const pairs = [line.preferences ?? []].flat().map((pair) => [`pair ${pair?.a} ${pair?.b}`, pair?.prefers]);
  const all = [...answers, ...ratings, ...pairs];
  for (const [id, value] of all) {
    const question = sheet.questions.get(line.id).find((question) => question.id === id);
    if (!question) throw new Refused("question", name, line.id, id.replace(/^\w+ /, ""));
    if (!question.options.some((option) => option.value === value))
      throw new Refused("value", name, line.id, id.replace(/^\w+ /, ""), value);
  }
  return new Map(all);
}

const listed = (ids) => ids.slice(0, 3).join(", ") + (ids.length > 3 ? ` … (${ids.length})` : "");

// Safe as a name on every system, and told apart where scripts other than Latin are used.
const slug = (text, otherwise) =>
  [...text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-")]
    .slice(0, 40)
    .join("")
    .replace(/^-+|-+$/g, "") || otherwise;
const fileName = (annotator) => `${slug(form.title, "reels")}.${slug(annotator, "nama")}.json`;
