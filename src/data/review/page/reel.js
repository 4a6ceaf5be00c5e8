"use strict";
// How a Reel and what is asked about it look.

// Letters for annotators' names, the same on every Reel.
const THEIR_NAMES = [
  ...new Set(form.items.flatMap((item) => Object.values(item.disputed ?? {}).flat()).map((one) => one.by)),
].sort();

function showReel() {
  const reel = item();
  $("reel-title").textContent = said.reel(number(place + 1), number(sheet.order.length));
  const facts = Object.entries(said.facts).map(([fact, name]) => {
    const known = reel[fact] ?? null;
    const value =
      known === null ? said.unknown : fact === "duration_s" ? said.seconds(number(known, 1)) : number(known);
    return h("div", {}, h("dt", {}, name), h("dd", known === null ? { class: "missing" } : {}, value));
  });
  const tags = reel.hashtags?.map((tag) => `#${tag}`).join(" ");
  $("shown").replaceChildren(
    ...part(said.transcript, reel.transcript, said.unknown),
    ...part(said.caption, reel.caption, said.unknown),
    ...part(said.hashtags, tags || null, said.nothing),
    h("dl", { class: "facts" }, ...facts),
  );
}

function part(title, text, missing) {
  const shown = text?.trim()
    ? h("p", { class: "text", lang: "id", dir: "auto" }, text)
    : h("p", { class: "missing" }, text == null ? missing : said.empty);
  return [h("h3", {}, title), shown];
}

function showQuestions() {
  const parts = [];
  let text = null;
  for (const question of asked()) {
    if (question.text && question.text !== text) {
      text = question.text;
      parts.push(
        h("h3", {}, said.text(question.number)),
        h("p", { class: "text rated", lang: "id", dir: "auto" }, text.text),
      );
    }
    if (question.numbers && !parts.pairs) parts.push((parts.pairs = h("h3", {}, said.pairs)));
    parts.push(fieldset(question));
  }
  $("questions").replaceChildren(...parts);
  $("note").value = own().note;
  mark();
}

function fieldset(question) {
  const row = question.task ? "labels" : question.scale ? "scale" : "pair";
  const [, worst, best] = said.scales[question.scale] ?? [];
  const suggestion = ownValue(item().suggested, question.task?.name);
  const inside = [
    h("legend", {}, titleOf(question), " ", h("span", { class: "tag answered" }, said.answered)),
    ...theirAnswers(question),
    h("div", { class: row }, ...question.options.map((option) => choice(question, option, suggestion))),
  ];
  if (worst) inside.push(h("p", { class: "ends" }, h("span", {}, `1 = ${worst}`), h("span", {}, `5 = ${best}`)));
  if (suggestion !== undefined) inside.push(h("p", { class: "why" }, said.suggestedWhy));
  return h("fieldset", { "data-id": question.id }, ...inside);
}

function titleOf({ task, scale, number, numbers }) {
  if (task) return task.name;
  return scale ? said.scale(said.scales[scale][0], number) : said.pair(...numbers);
}

function nameOfAnswer(question, value) {
  if (question.task) return value;
  if (question.scale) return String(value);
  const at = question.options.findIndex((option) => option.value === value);
  return at === 2 ? said.neither : said.text(question.numbers[at]);
}

function choice(question, option, suggestion) {
  const { value, key } = option;
  const name = nameOfAnswer(question, value);
  const input = h("input", { type: "radio", name: question.id, value, "aria-keyshortcuts": key });
  input.addEventListener("change", () => answer(question, value, byPointer));
  const inside = [input];
  if (key) inside.push(h("kbd", { "aria-hidden": question.scale ? undefined : "true" }, key.toUpperCase()));
  const isSuggested = suggestion !== undefined && value === suggestion;
  const words = [h("b", {}, name)];
  if (isSuggested) words.push(" ", h("span", { class: "tag" }, said.suggested));
  const meaning = ownValue(question.task?.descriptions, value);
  if (meaning) words.push(" ", h("small", {}, meaning));
  if (!question.scale) inside.push(h("span", { class: "name" }, ...words));
  return h("label", { class: isSuggested && "suggested" }, ...inside);
}

// Where it is decided between annotators: what each of them answered, without their names.
function theirAnswers(question) {
  const theirs = ownValue(item().disputed, question.task?.name);
  if (!theirs) return [];
  const nth = (one) => THEIR_NAMES.indexOf(one.by);
  const lines = [...theirs]
    .sort((one, two) => nth(one) - nth(two))
    .map((one) => {
      const line = h("li", {}, h("b", {}, letter(nth(one))), `: ${one.answer}`);
      if (one.note) line.append(h("span", { dir: "auto" }, ` (${said.theirNote}: ${one.note})`));
      return line;
    });
  return [h("div", { class: "theirs" }, h("p", {}, said.theirs), h("ul", {}, ...lines))];
}

const letter = (at) => (at < 26 ? String.fromCharCode(65 + at) : `A${at - 25}`);
