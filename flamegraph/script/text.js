/* SPDX-License-Identifier: MIT */
/* What people read of a frame. */

const visibleName = i => names[name[i]].replace(/_\[[kwijs]\]$/, "");
const percent = (part, whole) => (whole > 0 ? 100 * part / whole : 0).toFixed(2) + "%";
const weight = i => Math.round(total[i] * factor).toString().replace(/\B(?=(\d{3})+$)/g, ",");

function figures(i) {
    let text = weight(i) + " " + settings.countName + ", " + (i ? percent(total[i], all) : "100%");
    if (differential && i)
        text += "; " + (delta[i] > 0 ? "+" : "") + percent(delta[i], all);
    return text;
}

function describe(i) {
    return names[name[i]] + " (" + figures(i) + ")";
}

function differenceColor(value) {
    const share = mostDelta ? Math.round(255 * Math.min(1, Math.abs(value) / mostDelta)) : 0;
    const to = (negate ? value > 0 : value < 0) ? [84, 150, 255] : [255, 92, 72];
    return "rgb(" + to.map(channel => Math.floor((224 * (255 - share) + channel * share + 127) / 255)) + ")";
}

function isWide(c) {
    return c >= 0x1100 && (c < 0x1160 || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
        (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) || (c >= 0x1f300 && c < 0x1fb00) || c >= 0x20000);
}

/* As much of the text as fits into so many columns. */
function cut(text, columns) {
    if (text.length * 2 <= columns)
        return text;
    let used = 0, fits = 0, at = 0;
    for (const symbol of text) {
        used += isWide(symbol.codePointAt(0)) ? 2 : 1;
        if (used > columns)
            return text.slice(0, fits) + "\u2026";
        at += symbol.length;
        if (used <= columns - 1)
            fits = at;
    }
    return text;
}

function label(i, columns) {
    const text = visibleName(i);
    if (differential && i && delta[i]) {
        const more = text + " " + (delta[i] > 0 ? "+" : "") + percent(delta[i], all);
        if (cut(more, columns) === more)
            return more;
    }
    return cut(text, columns);
}
