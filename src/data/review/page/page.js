"use strict";
// The page once it has begun: answers, keys, and what is kept.
const $ = (id) => document.getElementById(id);
const LONGEST_PAUSE = 600; // seconds; who comes back later wasn't at it
const COPY = `reels ${form.form} ${hash(form.role + form.items.map((item) => item.id + item.shown).join())}`;

let language = "id";
let said = TEXTS[language];
let sheet = null; // once somebody has begun
let chosenFile = null; // to go on with: { name, text, time }
let place = 0; // of the Reel shown, in the annotator's order
let current = 0; // of the question that keys answer
let since = null; // of the last action on the Reel, in milliseconds
let saved = null; // when it was last written to a file
let changed = false; // since then
let copying = true;
let warning = "";
let byPointer = false; // whether it was the last to be used, not the keyboard
const past = []; // for undo: { place, id, before }

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  element.append(...children);
  return element;
}

const item = () => sheet.order[place];
const own = () => sheet.own.get(item().id);
const asked = () => sheet.questions.get(item().id);
const number = (value, digits = 0) => value.toLocaleString(language, { maximumFractionDigits: digits });

// ---- Answering

function answer(question, value, goOn) {
  const { given } = own();
  const before = given.get(question.id);
  if (before !== value) past.push({ place, id: question.id, before });
  given.set(question.id, value);
  hasChanged();
  mark();
  report(said.told(titleOf(question), nameOfAnswer(question, value), number(sheet.answers), number(sheet.all)));
  if (goOn) moveOn(asked().indexOf(question));
}

// To what is still to be answered: of this Reel, of the others, or nothing any more.
function moveOn(from) {
  const questions = asked();
  const isOpen = (question) => !own().given.has(question.id);
  const later = questions.findIndex((question, at) => at > from && isOpen(question));
  const next = later >= 0 ? later : questions.findIndex(isOpen);
  if (next >= 0) focusQuestion(next);
  else $(sheet.unanswered(place) >= 0 ? "unanswered" : "save-all").focus();
}

function focusQuestion(at) {
  current = at;
  const set = $("questions").querySelectorAll("fieldset")[at];
  const inputs = ["input:checked", ".suggested input", "input"].map((which) => set?.querySelector(which));
  (inputs.find(Boolean) ?? $("reel-title")).focus();
  mark();
}

// Brings the radio buttons and marks of the Reel up to what is answered.
function mark() {
  const sets = $("questions").querySelectorAll("fieldset");
  asked().forEach((question, at) => {
    const value = own().given.get(question.id);
    sets[at].classList.toggle("current", at === current);
    sets[at].classList.toggle("done", value !== undefined);
    for (const [nth, input] of sets[at].querySelectorAll("input").entries())
      input.checked = question.options[nth].value === value;
  });
}

function undo() {
  const last = past.pop();
  if (!last) return report(said.nothingToUndo);
  if (last.place !== place) openReel(last.place);
  const { given } = own();
  if (last.before === undefined) given.delete(last.id);
  else given.set(last.id, last.before);
  hasChanged();
  const at = asked().findIndex((question) => question.id === last.id);
  focusQuestion(at);
  report(said.undone(titleOf(asked()[at])));
}

function hasChanged() {
  spend();
  changed = true;
  keep();
  markListed(place);
  showProgress();
}

// Time with the page in view, up to now.
function spend() {
  const now = performance.now();
  if (since !== null && sheet) own().seconds += Math.min((now - since) / 1000, LONGEST_PAUSE);
  since = document.hidden ? null : now;
}

// ---- Where one is

function openReel(at) {
  spend();
  const before = place;
  [place, current] = [at, 0];
  for (const listed of [before, place]) markListed(listed);
  showReel();
  showQuestions();
  showProgress();
  report("");
  window.scrollTo(0, 0);
  $("reel").scrollTop = 0;
  $("reel-title").focus();
}

function listButton(at) {
  const button = h("button", { type: "button" }, h("span", {}, number(at + 1)), h("span", { "aria-hidden": "true" }));
  button.addEventListener("click", () => openReel(at));
  return button;
}

function markListed(at) {
  const button = $("reels").children[at].firstChild;
  const state = sheet.state(sheet.order[at]);
  button.className = state;
  button.lastChild.textContent = { done: "✓", some: "◐", none: "" }[state];
  button.setAttribute("aria-label", `${said.reel(number(at + 1), number(sheet.order.length))}: ${said.states[state]}`);
  if (at === place) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

function showProgress() {
  const { answers, all, reelsDone } = sheet;
  const file = fileName(sheet.annotator);
  const complete = answers === all;
  $("bar").max = all || 1;
  $("bar").value = answers;
  const counts = said.counts(number(answers), number(all), number(reelsDone), number(form.items.length));
  $("counts").replaceChildren(h("bdi", {}, sheet.annotator), ` · ${counts}`);
  $("done").hidden = !complete;
  $("done-why").textContent = complete && !changed ? said.handed(file) : said.handOver(file);
  const time = saved?.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  $("saved").textContent = !saved ? said.savedNever : changed ? said.savedBefore(time) : said.savedAll(time);
}

const report = (text) => ($("told").textContent = text);

function step(by) {
  const to = place + by;
  if (to >= 0 && to < sheet.order.length) return openReel(to);
  report(by < 0 ? said.first : said.last);
}

function toUnanswered() {
  const next = sheet.unanswered(place);
  if (next >= 0) return openReel(next);
  report(said.noneLeft);
  $("save-all").focus();
}

// ---- Keeping and saving

// A copy in the browser, against a crash. A browser that can't keep one is told of, and the page goes on.
function keep() {
  if (!copying) return;
  try {
    localStorage.setItem(`${COPY} ${sheet.annotator}`, JSON.stringify({ saved, changed, file: sheet.file() }));
    warn("");
  } catch {
    warn("notKept");
  }
}

// Of a key of the texts, or of nothing any more.
function warn(about) {
  warning = about;
  $("warning").textContent = about && said[about];
  $("warning").hidden = !about;
}

function save() {
  spend();
  const text = JSON.stringify(sheet.file(), null, 2) + "\n";
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: address, download: fileName(sheet.annotator) }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  [saved, changed] = [new Date(), false];
  keep();
  showProgress();
  report(said.written(fileName(sheet.annotator)));
}

// Two tabs would overwrite each other's copy.
function otherTab(event) {
  if (!sheet || event.key !== `${COPY} ${sheet.annotator}`) return;
  copying = false;
  warn("elsewhere");
}

// ---- Keys and events

const COMMANDS = {
  n: () => step(1),
  p: () => step(-1),
  j: toUnanswered,
  u: undo,
  c: () => $("note").focus(),
  s: save,
  "?": () => $("keys").showModal(),
};

function onKey(event) {
  byPointer = false;
  const key = event.key?.toLowerCase(); // none where a browser fills in a field
  // A key that is held down would answer one question after another.
  if (!sheet || !key || event.isComposing || $("keys").open) return;
  spend();
  const control = event.ctrlKey || event.metaKey;
  if (control && key === "s") return take(event, save);
  if (event.target === $("note")) return key === "escape" && take(event, () => focusQuestion(current));
  if (control && key === "z" && !event.shiftKey) return take(event, undo);
  if (control || event.altKey) return;
  if (COMMANDS[key]) return take(event, COMMANDS[key]);
  const question = asked()[current];
  const option =
    key === "enter" ? suggestedOption(question, event.target) : question?.options.find((option) => option.key === key);
  if (option) take(event, () => answer(question, option.value, true));
}

// What Enter accepts; on a button it presses the button.
function suggestedOption(question, target) {
  if (!question?.task || own().given.has(question.id) || target.closest("button, summary")) return undefined;
  return question.options.find((option) => option.value === ownValue(item().suggested, question.task.name));
}

function take(event, action) {
  event.preventDefault();
  if (!event.repeat) action();
}

function switchLanguage() {
  language = language === "id" ? "en" : "id";
  said = TEXTS[language];
  showStart();
  if (!sheet) return prepare();
  showReel();
  showQuestions();
  showProgress();
  sheet.order.forEach((_, at) => markListed(at));
  warn(warning);
}

function onFocus(event) {
  const sets = [...$("questions").querySelectorAll("fieldset")];
  const at = sets.indexOf(event.target.closest("fieldset"));
  if (at < 0) return;
  current = at;
  mark();
}

const onDrop = (file) => (sheet ? report(said.notNow) : chooseFile(file));

function listen() {
  const { n: next, p: previous, "?": help } = COMMANDS;
  const moves = { next, previous, unanswered: toUnanswered, undo };
  const clicks = { ...moves, help, save, "save-all": save, language: switchLanguage };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
  $("begin").addEventListener("submit", (event) => (event.preventDefault(), begin()));
  $("name").addEventListener("input", prepare);
  $("file").addEventListener("change", (event) => chooseFile(event.target.files[0]));
  $("note").addEventListener("input", () => ((own().note = $("note").value), hasChanged()));
  $("questions").addEventListener("focusin", onFocus);
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointerdown", () => ((byPointer = true), spend()), true);
  document.addEventListener("scroll", spend, { capture: true, passive: true });
  document.addEventListener("visibilitychange", spend);
  // A file dropped beside the field would replace the page.
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => (event.preventDefault(), onDrop(event.dataTransfer.files[0])));
  window.addEventListener("storage", otherTab);
  window.addEventListener("beforeunload", (event) => changed && event.preventDefault());
}

showStart();
prepare();
listen();
