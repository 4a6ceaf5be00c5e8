"use strict";
// Filters the examples. Everything it searches is already in the page.
const form = document.getElementById("filter");
const cards = [...document.querySelectorAll("#cards .card")].map((card) => ({
  card,
  id: card.querySelector("h3").textContent.toLowerCase(),
  answers: [...card.querySelectorAll(".answer")],
}));
const texts = new WeakMap();

function textOf(answer) {
  if (!texts.has(answer)) texts.set(answer, answer.textContent.toLowerCase());
  return texts.get(answer);
}

function filter() {
  const text = form.elements.text.value.trim().toLowerCase();
  const task = form.elements.task.value;
  const outcomes = form.elements.outcome.value.split(" ").filter(Boolean);
  let shown = 0;
  for (const { card, id, answers } of cards) {
    let any = false;
    for (const answer of answers) {
      const own = answer.dataset.outcome.split(" ");
      const fits =
        (!task || answer.dataset.task === task) &&
        (!outcomes.length || outcomes.some((outcome) => own.includes(outcome))) &&
        (!text || id.includes(text) || textOf(answer).includes(text));
      answer.hidden = !fits;
      any ||= fits;
      shown += fits;
    }
    card.hidden = !any;
  }
  form.elements.shown.value = `${shown.toLocaleString("en")} answer${shown === 1 ? "" : "s"}`;
}

form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter();
