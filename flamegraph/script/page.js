/* SPDX-License-Identifier: MIT */
/* The document: what the SVG says of itself, and the controls that come with the script. */

const SVG = "http://www.w3.org/2000/svg", HTML = "http://www.w3.org/1999/xhtml";
const svg = document.currentScript.ownerSVGElement || document.documentElement;
const find = selector => svg.querySelector(selector);
const frames = find("#frames"), settings = find("#settings").dataset;
const frameHeight = Number(settings.frameHeight), character = Number(settings.character);
const icicle = settings.icicle === "1", differential = settings.differential === "1", negate = settings.negate === "1";
const scale = Number(settings.scale), all = Number(settings.total) * scale, factor = Number(settings.factor) / scale;
const fontSize = Number(frames.getAttribute("font-size"));

const FOOTER = 34;

function element(namespace, tag, attributes, text) {
    const made = document.createElementNS(namespace, tag);
    for (const key in attributes)
        made.setAttribute(key, attributes[key]);
    if (text !== undefined)
        made.textContent = text;
    return made;
}

const footer = element(SVG, "rect", {id: "footer", x: 0, height: FOOTER, width: "100%"});
const details = find("#details"), matched = find("#matched");
const holder = element(SVG, "foreignObject", {height: 34});
const controls = element(HTML, "div", {id: "controls", role: "search"});
const input = element(HTML, "input", {id: "search", type: "search", placeholder: "Search (regexp)", autocomplete: "off", spellcheck: "false",
    "aria-label": "Search frames by regular expression", "aria-keyshortcuts": "Control+F F3"});
const caseButton = element(HTML, "button", {id: "ignorecase", type: "button", title: "Ignore case (Ctrl-I)", "aria-pressed": "false",
    "aria-label": "Ignore case"}, "Aa");
const resetButton = element(HTML, "button", {id: "unzoom", type: "button", title: "Reset zoom (0, Home or Esc)"}, "Reset zoom");
