/* SPDX-License-Identifier: MIT */
/* Search: which names match, and how much weight they have. */

function search(text) {
    query = text;
    input.value = text;
    hits = null;
    input.setAttribute("aria-invalid", "false");
    if (text) {
        try {
            const pattern = new RegExp(text, ignoreCase ? "i" : "");
            hits = Uint8Array.from(names, each => pattern.test(each) ? 1 : 0);
        } catch (error) {
            input.setAttribute("aria-invalid", "true");
        }
    }
    sum();
}

/* The weight of the outermost matching frames: a match over a match is the same weight and is not counted again. */
function weigh(root) {
    let found = 0;
    for (let i = root; i < end[root];) {
        if (name[i] >= 0 && hits[name[i]]) {
            found += total[i];
            i = end[i];
        } else
            i++;
    }
    return found;
}

function sum() {
    if (!hits) {
        matched.textContent = input.getAttribute("aria-invalid") === "true" ? "Not a regular expression" : dropped();
        return;
    }
    matched.textContent = "Matched: " + percent(weigh(0), all);
    if (zoomed)
        matched.textContent += " (" + percent(weigh(zoomed), total[zoomed]) + " of view)";
}

function dropped() {
    const number = Number(settings.dropped);
    return number ? number.toLocaleString("en") + " narrowest frames were left out" : "";
}

function nextMatch(step) {
    const list = Array.from(drawn.keys()).filter(i => hits && hits[name[i]]);
    if (!list.length)
        return;
    const after = step > 0 ? list.findIndex(i => i > focused) : list.findLastIndex(i => i < focused);
    focused = after >= 0 ? list[after] : step > 0 ? list[0] : list[list.length - 1];
    mark(true);
}
