// @ts-check
// Files of the labels: a format, whose labels, and a link that downloads them.

import { at } from "../shared/base.js";
import { byId, element } from "../shared/dom.js";
import { FORMATS } from "./formats.js";

const WHOSE = { all: "from people and the judge", human: "from people", judge: "from the judge" };

export function showDownloads() {
  byId("downloads").hidden = false;
  const whose = element("select", { id: "whose", class: "field" }, ...Object.entries(WHOSE).map(([value, name]) => element("option", { value }, name)));
  const links = FORMATS.map(([format, title, about]) => {
    const link = element("a", { class: "button", download: "" }, title);
    const aim = () => link.setAttribute("href", at(`/export/${format}?labels=${whose.value}`));
    aim();
    whose.addEventListener("change", aim);
    return element("li", {}, link, element("span", { class: "soft" }, about));
  });
  const choice = element("p", {}, element("label", { for: "whose" }, "Labels "), whose);
  byId("downloads-body").append(choice, element("ul", { class: "downloads" }, ...links));
}
