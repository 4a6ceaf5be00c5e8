// The review page in a browser, as annotators use it. Pictures of all states go to the folder that OUT names:
//
//   OUT=target/pictures target/tools/pages/playwright/driver/node tests/pages/review.mjs
import { after } from "node:test";
import { browser } from "./browser.mjs";
import "./answering.mjs";
import "./files.mjs";
import "./looks.mjs";

after(() => browser.close());
