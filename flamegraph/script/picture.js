/* SPDX-License-Identifier: MIT */
/*
 * The picture of the tree, zoomed: only what a pixel shows is ever in the document. Text is set by textContent alone; nothing is fetched.
 */

const MARGIN = 10, LEAST = 0.25, THIN = 1, NARROW = 640;

/* The state: what is zoomed to, what is searched for, where the keyboard is. */

let zoomed = 0, query = "", ignoreCase = false, focused = 0, hits = null;
let width = 0, rows = 0, restRows = 0, top = 0, drawn = new Map();

/* The frames of the zoomed subtree that a pixel shows, under its ancestors. */
function visible(root) {
    const list = [], unit = (width - 2 * MARGIN) / (root ? total[root] : Math.max(all, total[0]));
    for (let i = parent[root]; i >= 0; i = parent[i])
        list.push(i);
    list.reverse();
    for (let i = root; i < end[root];) {
        if (i !== root && total[i] * unit < LEAST) {
            i = end[i];
            continue;
        }
        if (name[i] >= 0)
            list.push(i);
        i++;
    }
    return {list, unit};
}

function titleOf(group) {
    if (!group.querySelector("title")) {
        const style = styles.get(names[name[group.node]]);
        group.prepend(element(SVG, "title", {}, style && style.title ? style.title : describe(group.node)));
    }
}

const colorOf = i => differential ? differenceColor(delta[i]) : colors[name[i]];
const isHit = i => hits !== null && hits[name[i]] === 1;
const rounded = value => Math.round(value * 100) / 100;

/* A frame that can be pointed at. */
function block(i, x, y, wide, ancestor) {
    const group = document.createElementNS(SVG, "g"), rect = document.createElementNS(SVG, "rect");
    const style = styles.size ? styles.get(names[name[i]]) : undefined;
    let inner = group;
    group.node = i;
    if (style && style.class)
        group.setAttribute("class", style.class);
    if (style && style.href)
        inner = group.appendChild(element(SVG, "a", {href: style.href, target: "_top"}));
    if (ancestor)
        group.classList.add("ancestor");
    if (isHit(i))
        group.classList.add("hit");
    rect.setAttribute("x", rounded(x));
    rect.setAttribute("y", y);
    rect.setAttribute("width", rounded(wide > 4 ? wide - 0.7 : wide));
    rect.setAttribute("height", frameHeight - 1);
    rect.setAttribute("fill", colorOf(i));
    inner.appendChild(rect);
    const columns = Math.floor((wide - 6) / character);
    if (columns >= 3) {
        titleOf(group);
        group.setAttribute("role", "treeitem");
        group.setAttribute("aria-level", depth[i] + 1);
        inner.appendChild(element(SVG, "text", {x: rounded(x + 3), y: rounded(y + frameHeight / 2 + fontSize * 0.33)},
            label(i, columns)));
    }
    return group;
}

/* Frames too thin to point at are drawn together, a path a colour. */
function slivers(thin, fragment) {
    for (const [key, outline] of thin) {
        const hit = key === "hit";
        fragment.appendChild(element(SVG, "path", {class: hit ? "thin hit" : "thin", fill: hit ? "none" : key, d: outline.join("")}));
    }
}

function draw() {
    const {list, unit} = visible(zoomed), fragment = document.createDocumentFragment(), thin = new Map();
    rows = restRows;
    for (const i of list)
        rows = Math.max(rows, depth[i] + 1);
    restRows = restRows || rows;
    drawn = new Map();
    for (const i of list) {
        const ancestor = i < zoomed && end[i] > zoomed;
        const x = ancestor ? MARGIN : MARGIN + (start[i] - start[zoomed]) * unit;
        const wide = ancestor ? width - 2 * MARGIN : total[i] * unit;
        const y = top + (icicle ? depth[i] : rows - 1 - depth[i]) * frameHeight;
        if (wide < THIN && i !== zoomed) {
            const key = isHit(i) ? "hit" : colorOf(i), w = rounded(wide);
            if (!thin.has(key))
                thin.set(key, []);
            thin.get(key).push("M" + rounded(x) + " " + y + "h" + w + "v" + (frameHeight - 1) + "h-" + w + "z");
        } else {
            const group = block(i, x, y, wide, ancestor);
            drawn.set(i, group);
            fragment.appendChild(group);
        }
    }
    slivers(thin, fragment);
    frames.replaceChildren(fragment);
    frames.classList.toggle("searching", hits !== null);
    svg.setAttribute("height", top + rows * frameHeight + FOOTER);
    resetButton.disabled = zoomed === 0;
    place();
    mark(false);
}

/* The static header and footer, fitted to the window. */
function arrange() {
    width = Math.max(200, svg.getBoundingClientRect().width || window.innerWidth);
    const narrow = width < NARROW, heading = Number(settings.top);
    top = narrow ? heading + 38 : heading;
    const span = narrow ? width - 2 * MARGIN : Math.min(380, width / 2);
    holder.setAttribute("x", width - MARGIN - span);
    holder.setAttribute("y", narrow ? heading - 4 : 9);
    holder.setAttribute("width", span);
    draw();
}

/* The footer stays in sight however tall the graph is. */
function place() {
    const height = Number(svg.getAttribute("height"));
    const bottom = Math.min(height, (window.scrollY || 0) + window.innerHeight);
    footer.setAttribute("y", bottom - FOOTER + 4);
    details.setAttribute("y", bottom - 11);
    matched.setAttribute("y", bottom - 11);
    matched.setAttribute("x", width - MARGIN);
}

function showDetails(i) {
    if (i < 0) {
        details.textContent = zoomed ? "Zoomed: " + cut(visibleName(zoomed), Math.floor(width / 8) - 12) : " ";
        return;
    }
    const numbers = " (" + figures(i) + (zoomed ? ", " + percent(total[i], total[zoomed]) + " of view" : "") + ")";
    const room = Math.floor((width - 2 * MARGIN - (matched.textContent.length + 2) * 7) / 7) - settings.nameType.length - numbers.length;
    details.textContent = settings.nameType + " " + cut(names[name[i]], Math.max(4, room)) + numbers;
}

/* The keyboard's place, as a ring round one frame. */
function mark(take) {
    let i = focused;
    while (i > 0 && !drawn.has(i))
        i = parent[i];
    focused = i;
    for (const old of frames.querySelectorAll(".focus, [tabindex]")) {
        old.classList.remove("focus");
        old.removeAttribute("tabindex");
    }
    const group = drawn.get(i);
    titleOf(group);
    group.setAttribute("tabindex", "0");
    if (take) {
        group.focus({preventScroll: false});
        showDetails(i);
    }
    if (document.activeElement === group)
        group.classList.add("focus");
}
