// What people see and hear: no violation of axe-core's rules in any state, on a phone and a desktop, light and dark.
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as forms from "./forms.mjs";
import { accessible, begin, DESKTOP, inBrowser, openForm, PHONE, press, text } from "./browser.mjs";

const FORMS = {
  annotations: forms.annotations(),
  suggestions: forms.suggestions(),
  adjudication: forms.adjudication(),
  ratings: forms.ratings(),
};
const LOOKS = [
  [DESKTOP, "desktop"],
  [PHONE, "phone"],
].flatMap(([size, name]) =>
  ["light", "dark"].map((colorScheme) => ({ name: `${name}-${colorScheme}`, options: { ...size, colorScheme } })),
);

describe("every state is accessible", { concurrency: 2 }, () => {
  for (const [kind, form] of Object.entries(FORMS))
    for (const { name, options } of LOOKS)
      inBrowser(`${kind}-${name}`, (context) => walk(context, form, `${kind}-${name}`), options);
});

// Through all states of a page, each in both languages.
async function walk(context, form, state) {
  const page = await openForm(context, form);
  const both = async (step) => {
    await accessible(page, `${state}-${step}-id`);
    await page.click("#language");
    assert.equal(await page.getAttribute("html", "lang"), "en");
    await accessible(page, `${state}-${step}-en`);
    await page.click("#language");
  };
  await both("1-start");
  await page.click("#go");
  await accessible(page, `${state}-2-no-name`);
  await begin(page, "ani");
  await both("3-reel");
  await press(page, "?");
  await accessible(page, `${state}-4-help`);
  await press(page, "Escape");
  assert.ok(await page.isHidden("#keys"));
  await page.click("#list summary");
  await press(page, "1");
  await both("5-begun");
  // The rest at once: how answers are given is tested elsewhere.
  await page.evaluate(() => {
    for (const reel of sheet.order)
      for (const { id, options } of sheet.questions.get(reel.id))
        sheet.own.get(reel.id).given.set(id, options[0].value);
    sheet.order.forEach((_, at) => markListed(at));
    openReel(1);
    warn("elsewhere");
  });
  await both("6-end");
  assert.equal(await text(page, "done-title"), "Semua terjawab: simpan berkasnya");
}
