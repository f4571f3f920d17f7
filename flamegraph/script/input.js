/* SPDX-License-Identifier: MIT */
/* What the reader does with mouse and keyboard. */

function zoom(i) {
    if (i === zoomed || !(total[i] > 0))
        return;
    const take = document.activeElement && document.activeElement.node !== undefined;
    zoomed = focused = i;
    draw();
    sum();
    showDetails(-1);
    remember(true);
    if (take)
        mark(true);
}

function retype(text) {
    search(text);
    draw();
    remember(false);
}

function toggleCase() {
    ignoreCase = !ignoreCase;
    caseButton.setAttribute("aria-pressed", String(ignoreCase));
    retype(query);
}

function openSearch() {
    input.focus();
    input.select();
}

function step(key) {
    const outwards = (key === "ArrowUp") !== icicle;
    let best = -1;
    if (key === "ArrowLeft" || key === "ArrowRight") {
        for (const i of drawn.keys()) {
            if (depth[i] !== depth[focused])
                continue;
            if (key === "ArrowLeft" ? i < focused : i > focused && best < 0)
                best = i;
        }
    } else if (!outwards)
        best = parent[focused];
    else {
        for (let child = focused + 1; child < end[focused]; child = end[child]) {
            if (drawn.has(child) && (best < 0 || total[child] > total[best]))
                best = child;
        }
    }
    if (best >= 0)
        focused = best;
    mark(true);
}

function escape() {
    if (query || document.activeElement === input) {
        input.blur();
        retype("");
    } else
        zoom(0);
}

function onKey(event) {
    const typing = event.target === input, plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const onFrame = event.target.node !== undefined;
    let act = null;
    if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f"))
        act = openSearch;
    else if (event.ctrlKey && event.key.toLowerCase() === "i")
        act = toggleCase;
    else if (event.key === "Escape")
        act = escape;
    else if (typing && event.key === "Enter")
        act = () => nextMatch(event.shiftKey ? -1 : 1);
    else if (!typing && plain) {
        if (event.key === "0" || event.key === "Home")
            act = () => zoom(0);
        else if (event.key === "/")
            act = openSearch;
        else if (event.key.startsWith("Arrow"))
            act = () => step(event.key);
        else if (event.key === "n" || event.key === "N")
            act = () => nextMatch(event.key === "n" ? 1 : -1);
        else if (onFrame && (event.key === "Enter" || event.key === " "))
            act = () => zoom(event.target.node);
    }
    if (act) {
        event.preventDefault();
        act();
    }
}

const groupOf = target => target.closest ? target.closest("#frames g") : null;

function listen() {
    frames.addEventListener("click", event => {
        const group = groupOf(event.target);
        if (group && !event.target.closest("a"))
            zoom(group.node);
    });
    frames.addEventListener("mouseover", event => {
        const group = groupOf(event.target);
        if (group) {
            titleOf(group);
            showDetails(group.node);
        }
    });
    frames.addEventListener("mouseout", () => showDetails(-1));
    /* At the document: Chromium takes an SVG element that listens for focus for one that wants it. */
    document.addEventListener("focusin", event => {
        if (event.target.node !== undefined) {
            event.target.classList.add("focus");
            showDetails(event.target.node);
        }
    });
    document.addEventListener("focusout", event => event.target.classList.remove("focus"));
    input.addEventListener("input", () => retype(input.value));
    caseButton.addEventListener("click", toggleCase);
    resetButton.addEventListener("click", () => zoom(0));
    document.addEventListener("keydown", onKey);
    window.addEventListener("popstate", () => {
        recall();
        draw();
        showDetails(-1);
    });
    window.addEventListener("resize", arrange);
    window.addEventListener("scroll", place);
}
