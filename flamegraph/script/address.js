/* SPDX-License-Identifier: MIT */
/* The URL says what is seen: x and y are the zoomed frame's first unit of weight and its depth, s the search, i ignoring case. */

function remember(push) {
    const state = new URLSearchParams(window.location.search);
    for (const [key, value] of [["x", zoomed ? String(start[zoomed]) : ""], ["y", zoomed ? String(depth[zoomed]) : ""], ["s", query],
        ["i", ignoreCase ? "1" : ""]]) {
        if (value)
            state.set(key, value);
        else
            state.delete(key);
    }
    const text = state.toString();
    try {
        window.history[push ? "pushState" : "replaceState"](null, "", window.location.pathname + (text ? "?" + text : "") + window.location.hash);
    } catch (error) {
        /* data: and sandboxed documents have no history of their own */
    }
}

function nodeAt(x, y) {
    let i = 0;
    for (let level = 0; level < y; level++) {
        let found = -1;
        for (let child = i + 1; child < end[i]; child = end[child]) {
            if (name[child] >= 0 && total[child] > 0 && start[child] <= x && x < start[child] + total[child])
                found = child;
        }
        if (found < 0)
            return 0;
        i = found;
    }
    return i;
}

function recall() {
    const state = new URLSearchParams(window.location.search);
    ignoreCase = state.get("i") === "1";
    caseButton.setAttribute("aria-pressed", String(ignoreCase));
    zoomed = state.has("x") && state.has("y") ? nodeAt(Number(state.get("x")), Number(state.get("y"))) : 0;
    focused = zoomed;
    search(state.get("s") || "");
}
