// Opens pages of forms in Chromium, and drives them as people do.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { page as written } from "./make.mjs";

const tools = fileURLToPath(new URL("../../target/tools/pages/", import.meta.url));
const { chromium } = createRequire(import.meta.url)(join(tools, "playwright/driver/package"));
const AXE = readFileSync(join(tools, "axe_playwright_python/axe.min.js"), "utf8");

export const folder = process.env.OUT ?? mkdtempSync(join(tmpdir(), "pages-"));
export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

function program() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = process.env.PATH.split(delimiter)
    .flatMap((at) => names.map((name) => join(at, name)))
    .find(existsSync);
  return process.env.CHROMIUM ?? found ?? assert.fail("no Chromium: name one in CHROMIUM");
}

// Chromium has no sandbox for root.
const launch = { executablePath: program(), chromiumSandbox: process.getuid() !== 0 };
export const browser = await chromium.launch(launch);

// A browser profile of its own, in which every fault of a page, and every request to elsewhere, fails the test. Private as
// incognito windows are, unless it `keeps` what pages store, as people's do.
export async function profile({ keeps = false, ...options } = DESKTOP) {
  const settings = { reducedMotion: "reduce", ...DESKTOP, ...options };
  const context = keeps
    ? await chromium.launchPersistentContext(mkdtempSync(join(folder, "profile-")), { ...launch, ...settings })
    : await browser.newContext(settings);
  context.faults = [];
  context.on("weberror", (fault) => context.faults.push(fault.error().stack));
  context.on("console", (message) => message.type() === "error" && context.faults.push(message.text()));
  context.on(
    "request",
    (request) => /^(file|blob|data|chrome):/.test(request.url()) || context.faults.push(request.url()),
  );
  return context;
}

// A test in a browser profile of its own.
export function inBrowser(name, body, options) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await profile(options);
    try {
      await body(context);
      assert.deepEqual(context.faults, []);
    } finally {
      await context.close();
    }
  });
}

export async function openForm(context, form) {
  const file = join(folder, `${form.form}.html`);
  const html = written(form);
  // Another test may be loading it.
  if (!existsSync(file) || readFileSync(file, "utf8") !== html) writeFileSync(file, html);
  const page = await context.newPage();
  await page.goto(`file://${file}`);
  return page;
}

// Presses Tab until an element has the focus.
export async function tabTo(page, id) {
  for (let presses = 0; presses < 60; presses++) {
    if (await page.evaluate((id) => document.activeElement.id === id, id)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab doesn't reach ${id}`);
}

export async function begin(page, name) {
  await tabTo(page, "name");
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
}

// Waits until something is so of a page. The page's policy forbids Playwright's own way, which evaluates text again and again.
export async function until(page, isSo, argument) {
  for (let tries = 0; tries < 200; tries++) {
    if (await page.evaluate(isSo, argument)) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`it doesn't come to ${isSo}`);
}

// Gives the start of a page a file, and waits until it says something about it.
export async function chooseFile(page, path) {
  await page.setInputFiles("#file", path);
  await until(page, (name) => ($("found").textContent + $("refusal").textContent).includes(name), basename(path));
}

// Chromium writes what a page stored some seconds later; on a busy machine it loses some of it where the page ends before.
export const rest = (page) => page.waitForTimeout(4000);

export const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};

// What is shown now: the Reel's id, and the question that keys answer.
export const shown = (page) => page.evaluate(() => item().id);
export const question = (page) => page.evaluate(() => asked()[current].id);
export const text = (page, id) => page.textContent(`#${id}`);

// Answers every question of the Reel shown with keys, as `answerOf(reel, question)` says.
export async function answerReel(page, answerOf) {
  const reel = await shown(page);
  const questions = await page.evaluate(() => asked().map(({ id, options }) => ({ id, options })));
  for (const { id, options } of questions) {
    assert.equal(await question(page), id);
    await press(page, options.find((option) => option.value === answerOf(reel, id)).key);
  }
  return reel;
}

// Every file in a folder of its own: those of one annotator have the same name.
let files = 0;
export async function save(page) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("s")]);
  const path = join(folder, "saved", String((files += 1)), download.suggestedFilename());
  await download.saveAs(path);
  return { name: download.suggestedFilename(), path, file: JSON.parse(readFileSync(path, "utf8")) };
}

// No violation of any rule of axe-core, with a picture to look at.
export async function accessible(page, state) {
  await page.screenshot({ path: join(folder, `${state}.png`) });
  const found = await page.evaluate(`${AXE}; axe.run({ resultTypes: ["violations"] })`);
  const told = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], state);
  assert.ok(found.passes.length > 10, `${state}: axe-core looked at nothing`);
  const wide = (await page.evaluate(() => document.documentElement.scrollWidth)) - page.viewportSize().width;
  assert.ok(wide <= 0, `${state}: ${wide} px wider than the screen`);
}
