// Pages of forms: PAGE, which the program wrote, with another form in it.
import { readFileSync } from "node:fs";

const written = readFileSync(process.env.PAGE, "utf8");
const FORM = /(?<=<script type="application\/json" id="form">).*?(?=<\/script>)/s;

// What the program asks.
export const asked = JSON.parse(FORM.exec(written)[0]);

export function page(form) {
  const json = JSON.stringify(form).replaceAll("<", "\\u003c");
  return written.replace(FORM, () => json);
}
