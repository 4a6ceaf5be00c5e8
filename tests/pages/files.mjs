// What is kept, what comes back in, and what is refused.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as forms from "./forms.mjs";
import {
  begin,
  chooseFile,
  folder,
  inBrowser,
  openForm,
  PHONE,
  press,
  rest,
  save,
  shown,
  tabTo,
  text,
  until,
} from "./browser.mjs";

function answered(form, change = {}) {
  const { kind, role, tasks, items } = form;
  const line = ({ id, account, shown }) => ({
    id,
    account,
    shown,
    answers: { category: "musik", ad: "iklan" },
    seconds: 1.5,
  });
  return {
    v: 1,
    kind,
    form: form.form,
    role,
    annotator: "ani",
    tasks,
    of: items.length,
    items: items.slice(4, 7).map(line),
    ...change,
  };
}

function put(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const storage = (page) => page.evaluate(() => JSON.stringify(localStorage));

inBrowser(
  "a file that doesn't answer this form is refused by name, and nothing changes",
  async (context) => {
    const form = forms.annotations();
    const page = await openForm(context, form);
    await begin(page, "ani");
    await press(page, "1", "2");
    await rest(page);
    await page.reload();
    await tabTo(page, "name");
    await page.keyboard.type("ani");
    const before = await storage(page);
    const good = answered(form);
    const [line, ...others] = good.items;
    const cases = {
      "half.json": [JSON.stringify(good).slice(0, 400), "tidak terbaca sebagai berkas jawaban"],
      "list.json": ["[]", "tidak terbaca"],
      "null.json": ["null", "tidak terbaca"],
      "items.json": [{ items: [null] }, "tidak terbaca"],
      "v2.json": [{ v: 2 }, "berversi 2"],
      "kind.json": [{ kind: "ratings" }, "berisi “ratings”, sedangkan halaman ini menanyakan “annotations”"],
      "form.json": [{ form: "0123abcd" }, `menjawab formulir lain (0123abcd, di sini ${form.form})`],
      "role.json": [{ role: "adjudicator" }, "ditulis sebagai adjudicator"],
      "whose.json": [{ annotator: "Budi" }, "adalah jawaban “Budi”, bukan “ani”"],
      "data.json": [
        { items: [...others, { ...line, id: "r_lain" }] },
        "memuat Reel yang tidak ada di halaman ini: r_lain",
      ],
      "twice.json": [{ items: [line, line] }, `memuat Reel ${line.id} dua kali`],
      "label.json": [
        { items: [{ ...line, answers: { category: "Musik" } }] },
        `Reel ${line.id}: “Musik” bukan jawaban untuk “category”`,
      ],
      "task.json": [{ items: [{ ...line, answers: { mood: "senang" } }] }, `Reel ${line.id}: “mood” tidak ditanyakan`],
      "rated.json": [{ items: [{ ...line, ratings: { abc: { fluent: 3 } } }] }, "“abc fluent” tidak ditanyakan"],
      "shape.json": [{ items: [{ ...line, answers: null, ratings: [null], preferences: [null] }] }, "tidak ditanyakan"],
    };
    for (const [name, [change, reason]] of Object.entries(cases)) {
      const content = typeof change === "string" ? change : JSON.stringify({ ...good, ...change });
      await chooseFile(page, put(name, content));
      const refusal = await text(page, "refusal");
      assert.ok(refusal.startsWith(name) && refusal.includes(reason), `${name}: ${refusal}`);
      assert.ok(refusal.endsWith("tidak ada jawaban yang berubah."), refusal);
    }
    assert.equal(await storage(page), before);
    await press(page, "Enter");
    assert.equal(await page.evaluate(() => sheet.answers), 2);
  },
  { keeps: true },
);

inBrowser(
  "a file adds to what the browser has, and says where both differ or the Reel has changed",
  async (context) => {
    const form = forms.annotations();
    const good = answered(form);
    good.items[1].shown = "before";
    let page = await openForm(context, form);
    await begin(page, "ani");
    while ((await shown(page)) !== good.items[0].id) await press(page, "n");
    await press(page, "1");
    await rest(page);
    await page.close();
    page = await openForm(context, form);
    await chooseFile(page, put("some.json", JSON.stringify(good)));
    const told = await text(page, "found");
    for (const part of [
      "menyimpan 1 dari 80",
      "some.json: 4 dari 80",
      "1 jawaban atau catatan di berkas berbeda",
      `dijawab lagi: ${good.items[1].id}.`,
    ])
      assert.ok(told.includes(part), told);
    await tabTo(page, "go");
    await press(page, "Enter");
    const { file } = await save(page);
    const answers = Object.fromEntries(file.items.map((line) => [line.id, line.answers]));
    assert.deepEqual(answers, {
      [good.items[0].id]: { category: "hiburan", ad: "iklan" },
      [good.items[2].id]: { category: "musik", ad: "iklan" },
    });
  },
  { keeps: true },
);

inBrowser("a file can be dropped, and a name is asked for", async (context) => {
  const form = forms.annotations();
  const page = await openForm(context, form);
  await press(page, "Tab", "Tab", "Enter");
  assert.equal(await text(page, "refusal"), "Isi nama Anda dahulu.");
  await page.fill("#name", "   ");
  await tabTo(page, "go");
  await press(page, "Enter");
  assert.equal(await text(page, "refusal"), "Isi nama Anda dahulu.");
  assert.ok(await page.isHidden("#work"));
  await page.fill("#name", "");
  await page.evaluate(
    (content) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([content], "dropped.json"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    },
    JSON.stringify(answered(form)),
  );
  await until(page, () => $("found").textContent.includes("dropped.json: 6 dari 80"));
});

inBrowser(
  "leaving warns where a file lacks an answer",
  async (context) => {
    const page = await openForm(context, forms.annotations());
    let warnings = 0;
    page.on("dialog", (dialog) => ((warnings += dialog.type() === "beforeunload"), dialog.accept()));
    await begin(page, "ani");
    await page.reload();
    assert.equal(warnings, 0, "nothing is answered");
    await begin(page, "ani");
    await press(page, "1");
    assert.match(await text(page, "saved"), /^Belum disimpan ke berkas/);
    await rest(page);
    await page.reload();
    assert.equal(warnings, 1);
    await begin(page, "ani");
    await save(page);
    await rest(page);
    await page.reload();
    assert.equal(warnings, 1);
    await begin(page, "ani");
    assert.match(await text(page, "saved"), /^Semua perubahan tersimpan/, "as it was before the page was left");
    await press(page, "u", "2");
    assert.match(await text(page, "saved"), /^Ada perubahan sejak/);
  },
  { keeps: true },
);

inBrowser("a browser that is full, or keeps nothing, is told of, and the page goes on", async (context) => {
  const form = forms.annotations();
  let page = await openForm(context, form);
  await begin(page, "ani");
  await page.evaluate(() => {
    for (let size = 4_000_000; size; size = Math.floor(size / 2))
      try {
        for (;;) localStorage.setItem(`junk ${Math.random()}`, "x".repeat(size));
      } catch {}
  });
  await press(page, "1", "2");
  assert.match(await text(page, "warning"), /tidak bisa menyimpan salinan/);
  assert.deepEqual((await save(page)).file.items[0].answers, { category: "hiburan", ad: "bukan iklan" });
  await page.evaluate(() => localStorage.clear());
  await press(page, "j", "1");
  assert.ok(await page.isHidden("#warning"), "there is room again");
  await page.close();

  await context.addInitScript(() => {
    Object.defineProperty(window, "localStorage", {
      get: () => {
        throw new DOMException("no", "SecurityError");
      },
    });
  });
  page = await openForm(context, form);
  await begin(page, "ani");
  await press(page, "3");
  assert.match(await text(page, "warning"), /tidak bisa menyimpan salinan/);
  assert.equal((await save(page)).file.items.length, 1);
});

inBrowser("a copy that is damaged is told of", async (context) => {
  const form = forms.annotations();
  const page = await openForm(context, form);
  await page.evaluate(() => localStorage.setItem(`${COPY} ani`, '{"file":{"v":1'));
  await page.fill("#name", "ani");
  assert.match(await text(page, "found"), /Salinan di peramban ini tidak bisa dipakai/);
});

inBrowser("two tabs don't overwrite each other", async (context) => {
  const form = forms.annotations();
  const [one, two] = [await openForm(context, form), await openForm(context, form)];
  await begin(one, "ani");
  await begin(two, "ani");
  await press(two, "1", "2");
  const copy = await storage(two);
  await until(one, () => !$("warning").hidden);
  assert.match(await text(one, "warning"), /terbuka di tab lain/);
  await press(one, "4");
  assert.equal(await storage(two), copy);
});

inBrowser("no text is more than text", async (context) => {
  const form = forms.annotations();
  form.title = "</title><script>window.ran = true</script>";
  const page = await openForm(context, form);
  await begin(page, '<img src=x onerror="window.ran=1"> ../Ü\\\ud83d');
  for (let nth = 0; nth < form.items.length; nth++) await press(page, "1", "n");
  while ((await shown(page)) !== form.items[0].id) await press(page, "p");
  assert.ok((await text(page, "shown")).includes("<script>window.ran = true</script>"));
  assert.equal(await page.evaluate(() => window.ran), undefined);
  // Half of a character, as text cut by a program may end.
  await page.evaluate(() => {
    $("note").value = "a\ud83d";
    $("note").dispatchEvent(new Event("input"));
  });
  const { name, file } = await save(page);
  assert.equal(name, "title-script-window-ran-true-script.img-src-x-onerror-window-ran-1-ü.json");
  assert.equal(file.items[0].note, "a\ufffd");
  assert.equal(file.annotator, '<img src=x onerror="window.ran=1"> ../ü\\\ufffd');
});

inBrowser("the page may ask for nothing from elsewhere", async (context) => {
  const page = await openForm(context, forms.annotations());
  const blocked = await page.evaluate(async () => {
    const violation = new Promise((resolve) =>
      addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective)),
    );
    new Image().src = "https://reels.invalid/x.png";
    return violation;
  });
  assert.equal(blocked, "img-src");
  context.faults.length = 0; // the browser's own line on what was just blocked
});

inBrowser(
  "names and labels may be any",
  async (context) => {
    const form = forms.annotations();
    const labels = ["__proto__", "toString", ...Array.from({ length: 40 }, (_, at) => `label ${at}`)];
    form.tasks = ["__proto__", "constructor"].map((name) => ({ name, labels, descriptions: {} }));
    const page = await openForm(context, form);
    await begin(page, "__proto__");
    const id = await shown(page);
    assert.doesNotMatch(await text(page, "questions"), /function|object/);
    await press(page, "1", "z");
    const { path, file } = await save(page);
    assert.equal(JSON.stringify(file.items[0].answers), '{"__proto__":"__proto__","constructor":"label 26"}');
    await page.evaluate(() => localStorage.clear());
    await rest(page);
    await page.reload();
    await chooseFile(page, path);
    assert.match(await text(page, "found"), /2 dari 80/);
    assert.equal(file.items[0].id, id);
  },
  { ...PHONE, keeps: true },
);
