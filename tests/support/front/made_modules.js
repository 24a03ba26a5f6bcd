// @ts-check
// Lets Node find the scripts that the server makes, in the folder that MADE names.
//
//   node --import ./tests/support/front/made_modules.js --test …

import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const STATIC = new URL("../../../labeler/web/static/", import.meta.url).href;
const made = pathToFileURL(`${process.env.MADE}/`).href;

registerHooks({
  resolve(specifier, context, next) {
    const url = specifier.startsWith(".") && context.parentURL ? new URL(specifier, context.parentURL).href : "";
    const isMade = url.startsWith(STATIC) && !existsSync(fileURLToPath(url));
    return next(isMade ? url.replace(STATIC, made) : specifier, context);
  },
});
