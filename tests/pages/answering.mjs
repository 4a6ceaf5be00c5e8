// Annotators at work.
import assert from "node:assert/strict";
import * as forms from "./forms.mjs";
import {
  answerReel,
  begin,
  chooseFile,
  inBrowser,
  openForm,
  PHONE,
  press,
  profile,
  question,
  rest,
  save,
  shown,
  tabTo,
  text,
} from "./browser.mjs";

const CATEGORIES = forms.annotations().tasks[0].labels;
// Some label, another one for other Reels and annotators.
const labels = (annotator) => (reel, question) => {
  const chance = [...(annotator + reel)].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return question === "task ad" ? ["iklan", "bukan iklan"][chance % 2] : CATEGORIES[chance % CATEGORIES.length];
};

function complete(form, annotator, notes = {}) {
  const items = form.items.map(({ id, account, shown }) => {
    const answers = { category: labels(annotator)(id, "task category"), ad: labels(annotator)(id, "task ad") };
    return { id, account, shown, answers, ...(notes[id] && { note: notes[id] }) };
  });
  const { kind, role, tasks } = form;
  return { v: 1, kind, form: form.form, role, annotator, tasks, of: form.items.length, items };
}

function withoutTime(file) {
  const items = file.items.map(({ seconds, ...line }) => {
    assert.ok(seconds >= 0 && seconds < 60, `${seconds} s`);
    return line;
  });
  return { ...file, items };
}

async function answerReels(page, annotator, reels, order) {
  for (let nth = 0; nth < reels; nth++) {
    order.push(await answerReel(page, labels(annotator)));
    await press(page, "Enter"); // on the button for the next one
  }
}

const orders = {};

inBrowser(
  "an annotator answers 40 Reels by keyboard, and goes on after a crash",
  async (context) => {
    const form = forms.annotations();
    let page = await openForm(context, form);
    await begin(page, "  Ani ");
    const order = (orders.ani = []);
    await answerReels(page, "ani", 17, order);
    await press(page, "c");
    await page.keyboard.type("ragu: n1, s? ");
    await press(page, "Escape");
    const noted = await shown(page);
    await rest(page);
    const crashed = page.waitForEvent("crash");
    page.goto("chrome://crash").catch(() => {});
    await crashed;

    page = await openForm(context, form);
    await tabTo(page, "name");
    await page.keyboard.type("ANI");
    assert.match(await text(page, "found"), /menyimpan 34 dari 80 jawaban/);
    assert.equal(await text(page, "go"), "Lanjutkan");
    await press(page, "Enter");
    assert.equal(await shown(page), noted, "it goes on where it was");
    assert.equal(await page.inputValue("#note"), "ragu: n1, s?");
    await answerReels(page, "ani", 22, order);
    order.push(await answerReel(page, labels("ani")));
    assert.equal(await text(page, "done-title"), "Semua terjawab: simpan berkasnya");
    assert.ok(await page.isVisible("#done"));
    assert.equal(await page.evaluate(() => document.activeElement.id), "save-all");
    const { name, file } = await save(page);
    assert.equal(name, "reel-kuliner-lainnya-putaran-1.ani.json");
    assert.deepEqual(withoutTime(file), complete(form, "ani", { [noted]: "ragu: n1, s?" }));
    assert.match(await text(page, "saved"), /^Semua perubahan tersimpan/);
  },
  { keeps: true },
);

inBrowser(
  "another goes on in a new browser with the file, on a phone",
  async (context) => {
    const form = forms.annotations();
    const order = (orders.budi = []);
    let page = await openForm(context, form);
    await begin(page, "Budi");
    await answerReels(page, "budi", 20, order);
    const half = await save(page);
    assert.equal(half.file.items.length, 20);

    const elsewhere = await profile(PHONE);
    page = await openForm(elsewhere, form);
    await chooseFile(page, half.path);
    assert.match(await text(page, "found"), /budi\.json: 40 dari 80 jawaban/);
    assert.equal(await page.inputValue("#name"), "budi", "a file tells whose it is");
    await page.tap("#go");
    await answerReels(page, "budi", 19, order);
    order.push(await answerReel(page, labels("budi")));
    const { file } = await save(page);
    assert.deepEqual(withoutTime(file), complete(form, "budi"));
    assert.deepEqual(elsewhere.faults, []);
    assert.notDeepEqual(orders.ani, orders.budi);
    assert.deepEqual([...orders.ani].sort(), [...orders.budi].sort());
    await elsewhere.close();
  },
  PHONE,
);

inBrowser(
  "taps answer too, and go on to the next question",
  async (context) => {
    const page = await openForm(context, forms.annotations());
    await begin(page, "ani");
    await page.tap("label:has-text('otomotif')");
    assert.equal(await question(page), "task ad");
    await page.tap("label:has-text('bukan iklan')");
    assert.deepEqual(await page.evaluate(() => [...own().given.values()]), ["otomotif", "bukan iklan"]);
  },
  PHONE,
);

inBrowser("answers are taken back one by one, wherever they were given", async (context) => {
  const page = await openForm(context, forms.annotations());
  await begin(page, "ani");
  const first = await shown(page);
  await press(page, "2", "3", "1", "n", "4");
  const given = () => page.evaluate(() => [...own().given.values()]);
  assert.deepEqual(await given(), [CATEGORIES[3]]);
  await press(page, "u");
  assert.deepEqual(await given(), []);
  await press(page, "Control+z");
  assert.equal(await shown(page), first);
  assert.equal(await question(page), "task ad");
  assert.deepEqual(await given(), [CATEGORIES[1]]);
  await press(page, "u", "u");
  assert.deepEqual(await given(), []);
  assert.match(await text(page, "told"), /Tidak ada jawaban/);
});

inBrowser("keys do nothing but write in a note, and answer once where they are held", async (context) => {
  const page = await openForm(context, forms.annotations());
  await begin(page, "ani");
  const reel = await shown(page);
  await press(page, "c");
  await page.keyboard.type("1 unsc? JP");
  await press(page, "Control+z"); // of the writing, not of answers
  assert.equal(await shown(page), reel);
  assert.equal(await page.evaluate(() => own().given.size), 0);
  await press(page, "Escape");
  assert.equal(await page.evaluate(() => document.activeElement.name), "task category");
  for (let nth = 0; nth < 3; nth++) await page.keyboard.down("1");
  assert.equal(await page.evaluate(() => own().given.size), 1);
  await page.keyboard.up("1");
});

inBrowser("arrows choose and Tab moves on, as in any form", async (context) => {
  const page = await openForm(context, forms.annotations());
  await begin(page, "ani");
  await press(page, "Tab", "Space", "ArrowDown", "ArrowDown");
  assert.deepEqual(await page.evaluate(() => [...own().given.values()]), [CATEGORIES[2]]);
  await press(page, "Tab");
  assert.equal(await question(page), "task ad");
  await press(page, "2", "p");
  assert.match(await text(page, "told"), /Reel pertama/);
});

inBrowser("a model's suggestion is marked, and is no answer until it is accepted", async (context) => {
  const form = forms.suggestions();
  const page = await openForm(context, form);
  await begin(page, "ani");
  const id = await shown(page);
  assert.equal(await page.locator("input:checked").count(), 0);
  assert.match(await page.textContent(".suggested"), /usulan model/);
  assert.equal((await save(page)).file.items.length, 0);
  await press(page, "Enter", "Enter", "2"); // the second accepts nothing: of ad nothing is suggested
  const suggested = form.items.find((item) => item.id === id).suggested.category;
  assert.deepEqual((await save(page)).file.items[0].answers, { category: suggested, ad: "bukan iklan" });
});

inBrowser("an adjudicator decides what annotators disagree about, and sees no names", async (context) => {
  const form = forms.adjudication();
  const page = await openForm(context, form);
  await begin(page, "citra");
  const seen = [];
  for (let nth = 0; nth < form.items.length; nth++) {
    seen.push(await page.textContent("#questions"));
    await answerReel(page, (reel, id) => (id === "task ad" ? "iklan" : "bisnis"));
    await press(page, "n");
  }
  assert.ok(
    seen.every((shown) => /A: bisnisB: kuliner/.test(shown) && !/sari|budi/.test(shown)),
    seen[0],
  );
  assert.ok(seen.some((shown) => shown.includes("(catatan: ada <b>resep</b>, tetapi juga jualan)")));
  const { file } = await save(page);
  assert.equal(file.role, "adjudicator");
  assert.deepEqual(
    file.items.map((line) => Object.keys(line.answers)),
    [["category"], ["category", "ad"], ["category"], ["category", "ad"]],
  );
});

inBrowser("two and three texts are rated and compared, in an order of the annotator's", async (context) => {
  const form = forms.ratings();
  const page = await openForm(context, form);
  await begin(page, "ani");
  await press(page, "c");
  await page.keyboard.type("dua teks");
  await press(page, "Escape");
  const { seconds, ...noted } = (await save(page)).file.items[0];
  assert.deepEqual(Object.keys(noted), ["id", "account", "shown", "note"]);
  // The text that stands first in the form is the better one.
  const rating = (reel, id) => {
    const texts = form.items.find((item) => item.id === reel).texts;
    return id.startsWith("pair") ? "a" : 5 - texts.findIndex(({ key }) => id.includes(key));
  };
  let otherwise = 0;
  for (let nth = 0; nth < form.items.length; nth++) {
    const order = await page.evaluate(() => [...new Set(asked().flatMap(({ text }) => text?.key ?? []))]);
    const inForm = form.items
      .find(({ texts }) => texts.some(({ key }) => key === order[0]))
      .texts.map(({ key }) => key);
    otherwise += order.join() !== inForm.join();
    await answerReel(page, rating);
    await press(page, "j");
  }
  assert.ok(otherwise > 0);
  const { file } = await save(page);
  for (const [nth, { id, texts }] of form.items.entries()) {
    const keys = texts.map(({ key }) => key);
    const line = file.items[nth];
    assert.equal(line.id, id);
    assert.deepEqual(
      line.ratings,
      Object.fromEntries(keys.map((key, at) => [key, { faithful: 5 - at, complete: 5 - at, fluent: 5 - at }])),
    );
    const pairs = keys.flatMap((a, at) => keys.slice(at + 1).map((b) => ({ a, b, prefers: "a" })));
    assert.deepEqual(line.preferences, pairs);
    assert.ok(!("answers" in line));
  }
});

inBrowser("time counts while the page is in view, up to ten minutes between actions", async (context) => {
  const page = await openForm(context, forms.annotations());
  await page.clock.install();
  const minutes = (number) => page.clock.fastForward(number * 60_000);
  await page.click("#heading");
  await minutes(5);
  await begin(page, "ani");
  const inView = (hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await minutes(1);
  await press(page, "1");
  await minutes(25);
  await press(page, "1");
  await minutes(2);
  await inView(true);
  await minutes(4);
  await inView(false);
  await minutes(0.5);
  const { seconds } = (await save(page)).file.items[0];
  assert.ok(Math.abs(seconds - 60 * (1 + 10 + 2 + 0.5)) < 10, `${seconds} s`);
});

inBrowser("every order is as likely as another", async (context) => {
  const page = await openForm(context, forms.annotations());
  const counts = await page.evaluate(() => {
    const counts = {};
    for (let nth = 0; nth < 24_000; nth++) {
      const order = shuffled(["a", "b", "c", "d"], `anotator ${nth}\nformulir`).join("");
      counts[order] = (counts[order] ?? 0) + 1;
    }
    return Object.values(counts);
  });
  assert.equal(counts.length, 24);
  // Chi-square with 23 degrees of freedom is above 49.7 once in a thousand.
  assert.ok(counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0) < 49.7, counts.join());
});
