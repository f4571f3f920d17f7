/* SPDX-License-Identifier: MIT */
/*
 * The call tree comes as text in <metadata> (its form: flamegraph/data.h) and is kept in typed arrays, a node being its index, depth first:
 *
 *     the subtree of node i is i ... end[i] - 1;   its frame covers start[i] ... start[i] + total[i]
 *
 * so a subtree too narrow to see is skipped in one step.
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const digitOf = new Uint8Array(128);
for (let i = 0; i < 64; i++)
    digitOf[DIGITS.charCodeAt(i)] = i;

const lines = find("#names").textContent.split("\n").slice(0, -1);
const names = lines.map(line => line.slice(4));
const colors = lines.map(line => {
    let color = 0;
    for (let i = 0; i < 4; i++)
        color = color * 64 + digitOf[line.charCodeAt(i)];
    return "#" + color.toString(16).padStart(6, "0");
});
const styles = new Map(Array.from(svg.querySelectorAll(".style"), element => [element.dataset.name, element.dataset]));
const pieces = Array.from(svg.querySelectorAll(".nodes"), element => element.textContent);
const most = pieces.reduce((sum, piece) => sum + piece.length, 0) / 2 | 0;
const name = new Int32Array(most), parent = new Int32Array(most), end = new Int32Array(most), depth = new Int32Array(most);
const self = new Float64Array(most), total = new Float64Array(most), start = new Float64Array(most);
const delta = new Float64Array(differential ? most : 0);
let count = 0, mostDelta = 0;

function decode(text, path) {
    let at = 0;
    const number = () => {
        let value = 0, unit = 1;
        for (;;) {
            const digit = digitOf[text.charCodeAt(at++)];
            if (digit < 32)
                return value + digit * unit;
            value += (digit - 32) * unit;
            unit *= 32;
        }
    };
    while (at < text.length) {
        const head = number(), i = count++;
        path.length -= Math.floor(head / 8);
        depth[i] = path.length;
        parent[i] = path.length ? path[path.length - 1] : -1;
        name[i] = head & 4 ? -1 : number();
        self[i] = head & 1 ? number() : 0;
        if (head & 2) {
            const zigzag = number();
            delta[i] = zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2;
            mostDelta = Math.max(mostDelta, Math.abs(delta[i]));
        }
        path.push(i);
    }
}

function measure() {
    const cursor = new Float64Array(count);
    for (let i = count - 1; i >= 0; i--) {
        total[i] += self[i];
        end[i] = Math.max(end[i], i + 1);
        if (i) {
            total[parent[i]] += total[i];
            end[parent[i]] = Math.max(end[parent[i]], end[i]);
        }
    }
    for (let i = 0; i < count; i++) {
        if (i) {
            start[i] = cursor[parent[i]];
            cursor[parent[i]] += total[i];
        }
        cursor[i] = start[i] + self[i];
    }
}

const path = [];
for (const piece of pieces)
    decode(piece, path);
measure();
