// Makes a review page of a form, as the program does.
//
//   node make.mjs FORM.json > page.html
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const part = (name) => readFileSync(new URL(`../../src/data/review/page/${name}`, import.meta.url), "utf8");
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

export function page(form) {
  const filled = {
    title: escaped(form.title),
    css: part("page.css"),
    script: ["texts.js", "answers.js", "start.js", "reel.js", "page.js"].map(part).join("\n"),
    form: JSON.stringify(form).replaceAll("<", "\\u003c"),
  };
  return part("page.html").replace(/\{\{ (\w+) \}\}/g, (_, name) => filled[name]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(page(JSON.parse(readFileSync(process.argv[2], "utf8"))));
}
