// @ts-check
// A question in a dialog before something is done: what will happen, and an answer.

import { element } from "./dom.js";

/** Ask; resolves with true, or with the text if `field` asks for one, or with null for no.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {string[]} [question.lines]
 * @param {string} question.verb
 * @param {{ label: string, max: number } | null} [question.field]
 * @param {boolean} [question.danger]
 * @returns {Promise<true | string | null>} */
export function ask({ title, lines = [], verb, field = null, danger = false }) {
  const input = field && element("textarea", { id: "ask-field", rows: "3", maxlength: field.max });
  const no = element("button", { type: "submit", value: "no", class: "button" }, "Cancel");
  const form = element(
    "form",
    { method: "dialog" },
    element("h2", { id: "ask-title" }, title),
    ...lines.map((line) => element("p", {}, line)),
    ...(field && input ? [element("label", { for: "ask-field" }, field.label), input] : []),
    element(
      "div",
      { class: "ask-buttons" },
      no,
      element("button", { type: "submit", value: "yes", class: `button ${danger ? "danger" : "primary"}` }, verb),
    ),
  );
  const dialog = element("dialog", { class: "ask", "aria-labelledby": "ask-title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      const yes = dialog.returnValue === "yes";
      resolve(yes ? (input ? input.value.trim() : true) : null);
    });
    dialog.showModal();
    (input ?? no).focus();
  });
}
