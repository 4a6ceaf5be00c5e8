"use strict";
// Before it begins: who answers, and what they go on with.

function showStart() {
  const kind = form.role === "adjudicator" ? "adjudicator" : form.kind;
  const all = new Sheet("").all;
  document.documentElement.lang = language;
  document.title = form.title;
  for (const id of ["title", "heading", "page-title"]) $(id).textContent = form.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = said[element.dataset.text];
  $("kind").textContent = said.kinds[kind];
  $("language").textContent = said.other;
  $("language").lang = language === "id" ? "en" : "id";
  $("intro").textContent = said.intro[kind];
  $("size").textContent = said.size(number(form.items.length), number(all));
  $("bar").setAttribute("aria-label", said.progress);
  $("meanings").replaceChildren(...(form.kind === "ratings" ? scaleMeanings() : form.tasks.map(taskMeanings)));
  $("key-list").replaceChildren(...said.keyList.flatMap(([key, does]) => [h("dt", {}, key), h("dd", {}, does)]));
}

function taskMeanings(task) {
  const meanings = task.labels.flatMap((label) => [
    h("dt", {}, label),
    h("dd", {}, ownValue(task.descriptions, label) ?? "–"),
  ]);
  return h("div", {}, h("h3", {}, task.name), h("dl", { class: "meanings", lang: "id" }, ...meanings));
}

function scaleMeanings() {
  const meanings = SCALES.map((scale) => said.scales[scale]).flatMap(([name, worst, best]) => [
    h("dt", {}, name),
    h("dd", {}, `1 = ${worst}, 5 = ${best}`),
  ]);
  return [h("dl", { class: "meanings" }, ...meanings)];
}

// What the name and the chosen file come to: a sheet to begin with, or nothing.
function prepare() {
  const name = nameOf($("name").value);
  $("found").textContent = $("refusal").textContent = "";
  $("go").textContent = said.start;
  if (!name) return null;
  const prepared = new Sheet(name);
  const copy = takeCopy(prepared);
  if (chosenFile && !takeFile(prepared)) return null;
  if (prepared.answers) $("go").textContent = said.goOn;
  return { prepared, copy };
}

function takeCopy(prepared) {
  try {
    const copy = JSON.parse(localStorage.getItem(`${COPY} ${prepared.annotator}`) ?? "null");
    if (!copy) return {};
    prepared.merge(read(said.browserCopy, JSON.stringify(copy.file), prepared.annotator).items);
    tell("found", said.found(number(prepared.answers), number(prepared.all)));
    return copy;
  } catch (error) {
    // A browser that refuses even to look is told of once there is something to keep.
    if (error.name !== "SecurityError") tell("found", said.foundBroken(reason(error)));
    return {};
  }
}

function takeFile(prepared) {
  try {
    const file = read(chosenFile.name, chosenFile.text, prepared.annotator);
    const answers = [...file.items.values()].reduce((sum, line) => sum + line.given.size, 0);
    const differing = prepared.merge(file.items);
    chosenFile.isAll = !differing && prepared.answers === answers;
    tell("found", said.read(chosenFile.name, number(answers), number(prepared.all)));
    if (differing) tell("found", said.differing(number(differing)));
    if (file.outdated.length) tell("found", said.outdated(listed(file.outdated)));
    return true;
  } catch (error) {
    tell("refusal", `${reason(error)} ${said.unchanged}`);
    chosenFile = null;
    return false;
  }
}

const tell = (id, text) => ($(id).textContent += ($(id).textContent && " ") + text);

function reason(error) {
  return error instanceof Refused
    ? said.refused[error.reason](...error.values)
    : said.refused.unreadable(said.browserCopy);
}

async function chooseFile(file) {
  if (!file) return;
  chosenFile = { name: file.name, text: await file.text(), time: new Date(file.lastModified) };
  $("file").value = ""; // so that the same one can be chosen again
  $("name").value ||= annotatorOf(chosenFile.text);
  if (!prepare() && chosenFile) {
    tell("found", chosenFile.name);
    tell("refusal", said.nameMissing);
  }
}

function begin() {
  const ready = prepare();
  if (!form.items.length) return tell("refusal", said.noReels);
  if (!ready) {
    if (!$("refusal").textContent) tell("refusal", said.nameMissing);
    return $("name").focus();
  }
  sheet = ready.prepared;
  saved = chosenFile?.time ?? (ready.copy.saved ? new Date(ready.copy.saved) : null);
  changed = Boolean(ready.copy.changed) || chosenFile?.isAll === false;
  since = null; // what was spent here is no Reel's
  $("start").hidden = true;
  for (const id of ["work", "foot", "progress", "save", "help"]) $(id).hidden = false;
  $("reels").replaceChildren(...sheet.order.map((_, at) => h("li", {}, listButton(at))));
  sheet.order.forEach((_, at) => markListed(at));
  if (chosenFile) keep();
  openReel(Math.max(sheet.unanswered(-1), 0));
}
